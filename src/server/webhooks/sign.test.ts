import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AthanorError } from "../../protocol/errors.ts";
import { secretFault } from "../../protocol/webhook.ts";
import { verifyWebhook } from "../../sdk/client/webhook.ts";
import { signatureHeaders } from "./sign.ts";

const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NOW = 1_614_265_330_000;
const BODY = '{"test": 2432232314}';

const refused = (why: RegExp) => (error: unknown) => {
  assert.ok(error instanceof AthanorError, String(error));
  assert.equal(error.code, "webhook_invalid");
  assert.match(error.detail, why);
  return true;
};

describe("a webhook's signature", () => {
  it("is the one of the Standard Webhooks specification's own example", () => {
    assert.deepEqual(
      signatureHeaders({ id: "msg_p5jXN8AQM9LWM0D4loKWxJek", secret: SECRET, body: BODY, now: NOW + 999 }),
      {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
      },
    );
  });

  for (const secret of [SECRET, "any text will do: ключ"]) {
    it(`is verified with the secret ${secret.slice(0, 6)}…, by Node's headers and by Web ones`, async () => {
      const body = '{"type":"job.succeeded","timestamp":"…"}';
      const headers = signatureHeaders({ id: "msg_1", secret, body, now: NOW });
      const expected = JSON.parse(body);
      assert.deepEqual(await verifyWebhook({ body, headers, secret, now: NOW }), expected);
      const web = { body: new TextEncoder().encode(body), headers: new Headers(headers), secret, now: NOW };
      assert.deepEqual(await verifyWebhook(web), expected);
      assert.deepEqual(await verifyWebhook({ ...web, secret: ["another, older secret", secret] }), expected);
    });
  }

  it("may be one among several, of other kinds and other secrets", async () => {
    const headers = signatureHeaders({ id: "msg_1", secret: SECRET, body: BODY, now: NOW });
    const signature = `v1a,AAAA v1,%%% v1,AAAA ${headers["webhook-signature"]}`;
    const received = { body: BODY, headers: { ...headers, "webhook-signature": signature }, secret: SECRET, now: NOW };
    assert.deepEqual(await verifyWebhook(received), JSON.parse(BODY));
  });

  it("holds for its body, its id, its time and its secret, and no others", async () => {
    const headers = signatureHeaders({ id: "msg_1", secret: SECRET, body: BODY, now: NOW });
    const good = { body: BODY, headers, secret: SECRET, now: NOW };
    const none = refused(/no signature in it was made with this secret/);
    await assert.rejects(verifyWebhook({ ...good, body: `${BODY} ` }), none);
    await assert.rejects(verifyWebhook({ ...good, secret: `${SECRET.slice(0, -1)}x` }), none);
    await assert.rejects(verifyWebhook({ ...good, secret: [] }), none);
    await assert.rejects(verifyWebhook({ ...good, headers: { ...headers, "webhook-id": "msg_2" } }), none);
    await assert.rejects(verifyWebhook({ ...good, headers: { ...headers, "webhook-timestamp": "1614265331" } }), none);
    await assert.rejects(verifyWebhook({ ...good, headers: { ...headers, "webhook-signature": "v1," } }), none);
  });

  it("is refused where it is old, early, or not there", async () => {
    const headers = signatureHeaders({ id: "msg_1", secret: SECRET, body: BODY, now: NOW });
    const good = { body: BODY, headers, secret: SECRET };
    const late = refused(/its time, "1614265330", is not within 300 seconds/);
    await assert.rejects(verifyWebhook({ ...good, now: NOW + 301_000 }), late);
    await assert.rejects(verifyWebhook({ ...good, now: NOW - 301_000 }), late);
    await verifyWebhook({ ...good, now: NOW + 301_000, toleranceS: 400 });
    await assert.rejects(verifyWebhook(good), late, "without a time, it is this machine's that counts");
    const strange = { ...headers, "webhook-timestamp": "yesterday" };
    await assert.rejects(verifyWebhook({ ...good, headers: strange }), refused(/its time, "yesterday"/));
    for (const name of Object.keys(headers)) {
      const headless = { ...headers, [name]: undefined };
      await assert.rejects(verifyWebhook({ ...good, headers: headless, now: NOW }), refused(new RegExp(name)));
    }
  });
});

describe("secretFault", () => {
  it("takes text, and base64 with its prefix", () => {
    for (const secret of [SECRET, "x".repeat(16), "x".repeat(512), `whsec_${btoa("x".repeat(64))}`])
      assert.equal(secretFault(secret), null, secret);
  });

  it("says what is wrong, and never what the secret is", () => {
    const wrong: [string, RegExp][] = [
      ["hunter2", /^text of 16 to 512 characters, and has 7$/],
      ["x".repeat(513), /and has 513$/],
      ["whsec_hunter2!", /no base64$/],
      [`whsec_${btoa("hunter2")}`, /^base64 of 24 to 64 bytes after whsec_, and has 7 bytes$/],
      ["whsec_", /has 0 bytes$/],
    ];
    for (const [secret, fault] of wrong) {
      const said = secretFault(secret) ?? "none";
      assert.match(said, fault);
      assert.doesNotMatch(said, /hunter2/);
    }
  });
});
