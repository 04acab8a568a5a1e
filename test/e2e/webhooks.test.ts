import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { build } from "../../src/build/index.ts";
import { WEBHOOK_DEFAULTS } from "../../src/protocol/defaults.ts";
import type { SpawnOptionsJson, WebhookJson } from "../../src/protocol/wire.ts";
import type { Api } from "../harness/api.ts";
import { Receiver } from "../harness/receiver.ts";
import { ServerProcess, startTestServer, type TestServer } from "../harness/server.ts";

const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const ENTRY = join(import.meta.dirname, "apps/webhooks.ts");

let upload: Awaited<ReturnType<typeof build>>;
let server: TestServer;
let api: Api;
let receiver: Receiver;

before(async () => {
  upload = await build({ entry: ENTRY });
  server = await startTestServer({ allowPrivateWebhooks: true });
  api = server.api;
  receiver = await Receiver.start(({ path }, response) => {
    if (path === "/gone") response.writeHead(410).end();
    else if (path === "/broken") response.writeHead(503, { "retry-after": "3600" }).end("try later");
    else if (path === "/moved") response.writeHead(302, { location: `${receiver.url}/elsewhere` }).end();
    else response.writeHead(204).end();
  });
  await api.deploy(upload);
});
after(async () => {
  await server?.[Symbol.asyncDispose]();
  await receiver?.[Symbol.asyncDispose]();
});

const webhook = (path: string): SpawnOptionsJson => ({ webhook: { url: `${receiver.url}${path}`, secret: SECRET } });
const spawn = (fn: string, path: string, ...args: (string | number)[]) =>
  api.spawn("webhooks", fn, { args, options: webhook(path) });

/** The delivery once it is as wanted. */
async function delivery(job: string, wanted: (webhook: WebhookJson) => boolean): Promise<WebhookJson> {
  for (;;) {
    const found = await api.json<WebhookJson>("GET", `/v1/jobs/${job}/webhook`);
    if (wanted(found)) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe("a webhook", () => {
  it("tells the end of a job, with its result, signed", async () => {
    const job = await spawn("shout", "/done?token=t0k3n", "hello");
    const body = await receiver.webhook("/done?token=t0k3n", SECRET);
    const ended = await api.end(job.job_id);
    assert.equal(body.type, "job.succeeded");
    assert.equal(body.timestamp, ended.finished_at);
    assert.equal(body.result_omitted, false);
    const { links, ...rest } = body.job;
    const { links: _, ...expected } = ended;
    assert.deepEqual(rest, expected);
    assert.deepEqual(rest.result, { said: "HELLO" });

    const [received] = await receiver.at("/done?token=t0k3n");
    assert.match(String(received?.headers["webhook-id"]), /^msg_[\w-]{20,}$/);
    assert.equal(received?.headers["content-type"], "application/json");
    assert.match(String(received?.headers["user-agent"]), /^Athanor\/\d/);
    assert.ok(links.self.startsWith(`${server.url}/v1/jobs/${job.job_id}?key=`));
    const followed = await fetch(links.self);
    assert.equal(followed.status, 200, "its links open the job without a token");
    await followed.body?.cancel();

    assert.deepEqual(await delivery(job.job_id, ({ state }) => state === "delivered"), {
      url: `${receiver.url}/done?…`,
      state: "delivered",
      attempts: 1,
      max_attempts: 9,
      last_error: null,
      next_at: null,
    });
  });

  it("tells each way to end", async () => {
    const ends: [fn: string, path: string, type: string][] = [
      ["fails", "/failed", "job.failed"],
      ["slow", "/timed-out", "job.timed_out"],
    ];
    for (const [fn, path, type] of ends) {
      await spawn(fn, path);
      const body = await receiver.webhook(path, SECRET);
      assert.equal(body.type, type);
      assert.ok(body.job.error !== null && body.job.result === null);
    }
    const running = await spawn("waits", "/cancelled-running");
    await api.events(running.job_id, { enough: ({ event }) => event === "job.running" });
    const queued = await spawn("waits", "/cancelled-queued");
    const expires = await api.spawn("webhooks", "waits", { options: { ...webhook("/expired"), expire_s: 0.05 } });
    assert.equal((await receiver.webhook("/expired", SECRET)).type, "job.expired");
    assert.equal((await api.job(expires.job_id)).status, "expired");
    await api.cancel(queued.job_id);
    assert.equal((await receiver.webhook("/cancelled-queued", SECRET)).type, "job.cancelled");
    await api.cancel(running.job_id);
    assert.equal((await receiver.webhook("/cancelled-running", SECRET)).type, "job.cancelled");
  });

  it("leaves out a large result, and leads to it", async () => {
    for (const [kib, omitted] of [
      [200, false],
      [300, true],
    ] as const) {
      await spawn("large", `/large-${kib}`, kib);
      const body = await receiver.webhook(`/large-${kib}`, SECRET);
      assert.equal(body.result_omitted, omitted);
      assert.equal(body.job.result === null, omitted);
      const result = await (await fetch(body.job.links.result)).json();
      assert.equal((result as string).length, kib * 1024);
    }
  });

  it("leads to the files of a result", async () => {
    await spawn("draws", "/image");
    const { job } = await receiver.webhook("/image", SECRET);
    const { url } = job.result as { url: string };
    const file = await fetch(url);
    assert.equal(file.headers.get("content-type"), "image/png");
    await file.body?.cancel();
  });

  it("is tried again later, as long as the receiver asks", async () => {
    const job = await spawn("shout", "/broken", "hello");
    const found = await delivery(job.job_id, ({ last_error }) => last_error !== null);
    const ended = await api.end(job.job_id);
    assert.deepEqual([found.state, found.attempts, found.last_error], ["due", 1, "HTTP 503"]);
    assert.ok(Date.parse(found.next_at ?? "") >= Date.parse(ended.finished_at ?? "") + 3_600_000);
    assert.equal((await receiver.at("/broken")).length, 1);
  });

  it("is over where the receiver is gone, and follows no redirect", async () => {
    const gone = await spawn("shout", "/gone", "hello");
    const { state, last_error, next_at } = await delivery(gone.job_id, ({ state }) => state === "failed");
    assert.deepEqual([state, last_error, next_at], ["failed", "HTTP 410: the receiver wants no more of it", null]);
    const moved = await spawn("shout", "/moved", "hello");
    const { last_error: error } = await delivery(moved.job_id, (each) => each.last_error !== null);
    assert.equal(error, "HTTP 302: redirects are not followed");
    assert.deepEqual(
      receiver.received.filter(({ path }) => path === "/elsewhere"),
      [],
    );
  });

  it("holds up neither jobs nor the webhooks of others, though its receiver hangs", async () => {
    await using hangs = await Receiver.start(() => {});
    const to = (url: string): SpawnOptionsJson => ({ webhook: { url, secret: SECRET } });
    for (let n = 0; n < 30; n++)
      await api.spawn("webhooks", "shout", { args: ["hello"], options: to(`${hangs.url}/`) });
    await hangs.at("/", WEBHOOK_DEFAULTS.maxPerHost);
    const job = await spawn("shout", "/quick", "hello");
    assert.equal((await receiver.webhook("/quick", SECRET)).job.job_id, job.job_id);
    assert.equal(
      (await hangs.at("/")).length,
      WEBHOOK_DEFAULTS.maxPerHost,
      "no more than so many at a time to one host",
    );
  });

  it("is delivered once more where the operator says so, under the same id", async () => {
    const job = await spawn("shout", "/more", "hello");
    await delivery(job.job_id, ({ state }) => state === "delivered");
    const due = await api.json<WebhookJson>("POST", `/v1/jobs/${job.job_id}/webhook/redeliver`, undefined, 202);
    assert.equal(due.state, "due");
    const [first, second] = await receiver.at("/more", 2);
    assert.equal(first?.headers["webhook-id"], second?.headers["webhook-id"]);
    assert.equal(first?.body, second?.body);
    const { attempts } = await delivery(job.job_id, ({ state }) => state === "delivered");
    assert.equal(attempts, 2);

    const running = await spawn("waits", "/not-yet");
    const path = `/v1/jobs/${running.job_id}/webhook/redeliver`;
    assert.equal((await api.json<{ code: string }>("POST", path, undefined, 409)).code, "job_not_ended");
    await api.cancel(running.job_id);
    await receiver.at("/not-yet");
  });

  it("goes along where a job is run again", async () => {
    const job = await spawn("fails", "/again");
    await receiver.at("/again");
    const again = await api.json<{ job_id: string }>("POST", `/v1/jobs/${job.job_id}/retry`, undefined, 202);
    const [first, second] = await receiver.at("/again", 2);
    assert.notEqual(first?.headers["webhook-id"], second?.headers["webhook-id"]);
    assert.equal(JSON.parse(second?.body ?? "").job.job_id, again.job_id);
  });

  it("never shows its secret", async () => {
    const job = await spawn("shout", "/secret", "hello");
    await receiver.at("/secret");
    const shown = [
      await api.json("GET", `/v1/jobs/${job.job_id}`),
      await api.json("GET", `/v1/jobs/${job.job_id}/webhook`),
      await api.events(job.job_id),
    ];
    assert.doesNotMatch(JSON.stringify(shown), new RegExp(SECRET.slice(6)));
  });

  it("is counted", async () => {
    const metrics = await (await api.fetch("/metrics")).text();
    assert.match(metrics, /^# TYPE athanor_webhook_attempts_total counter$/m);
    for (const result of ["delivered", "retried", "given_up"])
      assert.match(metrics, new RegExp(`^athanor_webhook_attempts_total\\{result="${result}"\\} [1-9]\\d*$`, "m"));
  });

  it("is refused where it could not be delivered, or verified", async () => {
    const wrong: [webhook: unknown, path: string][] = [
      [{ url: "ftp://example.com/", secret: SECRET }, "url"],
      [{ url: "https://user:pass@example.com/", secret: SECRET }, "url"],
      [{ url: 7, secret: SECRET }, "url"],
      [{ url: "https://example.com/", secret: "short" }, "secret"],
      [{ url: "https://example.com/", secret: "whsec_%" }, "secret"],
      [{ url: "https://example.com/" }, "secret"],
      [{ url: "https://example.com/", secret: SECRET, events: [] }, "events"],
    ];
    for (const [given, path] of wrong) {
      const request = { args: ["x"], options: { webhook: given } };
      const problem = await api.json<{ code: string; errors: { path: string }[] }>(
        "POST",
        "/v1/apps/webhooks/functions/shout/jobs",
        request,
        422,
      );
      assert.equal(problem.code, "input_invalid");
      assert.equal(problem.errors[0]?.path, `/options/webhook/${path}`);
    }
    const none = await api.run("webhooks", "shout", { args: ["x"] });
    const problem = await api.json<{ detail: string }>("GET", `/v1/jobs/${none.job_id}/webhook`, undefined, 404);
    assert.match(problem.detail, /^jobs:\d+ was spawned without a webhook$/);
  });
});

describe("a server that may deliver to public hosts alone", () => {
  it("refuses at once a URL that names a private address", async () => {
    await using strict = await startTestServer();
    await strict.api.deploy(upload);
    const options = { webhook: { url: `${receiver.url}/strict`, secret: SECRET } };
    const problem = await strict.api.json<{ detail: string }>(
      "POST",
      "/v1/apps/webhooks/functions/shout/jobs",
      { args: ["x"], options },
      422,
    );
    assert.match(problem.detail, /127\.0\.0\.1 is a loopback address; `athanor up --allow-private-webhooks` allows it/);
    assert.deepEqual(
      receiver.received.filter(({ path }) => path === "/strict"),
      [],
    );
  });
});

describe("a server that is killed between a job's end and its webhook's delivery", () => {
  it("delivers it after its restart, under the same id", async () => {
    const dataDir = await mkdtemp(join(tmpdir(), "athanor-webhooks-"));
    let answers = false;
    await using slow = await Receiver.start((_, response) => {
      if (answers) response.writeHead(204).end();
    });
    try {
      const start = () => ServerProcess.start({ dataDir, args: ["--allow-private-webhooks"] });
      let job: { job_id: string };
      {
        await using first = await start();
        await first.api.deploy(upload);
        const options = { webhook: { url: `${slow.url}/end`, secret: SECRET } };
        job = await first.api.spawn("webhooks", "shout", { args: ["x"], options });
        await slow.at("/end");
        await first.kill();
      }
      answers = true;
      await using second = await start();
      const [before, again] = await slow.at("/end", 2);
      assert.equal(before?.headers["webhook-id"], again?.headers["webhook-id"]);
      assert.deepEqual(JSON.parse(before?.body ?? "").job.result, JSON.parse(again?.body ?? "").job.result);
      for (let state = ""; state !== "delivered"; )
        ({ state } = await second.api.json<WebhookJson>("GET", `/v1/jobs/${job.job_id}/webhook`));
    } finally {
      await rm(dataDir, { recursive: true, force: true });
    }
  });
});
