/** Which errors are worth another attempt: what they say themselves, and what the function's own `retryOn` says of them. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { StartingReplica } from "../../src/server/replicas/session.ts";
import { type Heard, listen, openJob, params, ReplicaHarness } from "./harness.ts";

const SDK_URL = new URL("../../src/index.ts", import.meta.url).href;

let harness: ReplicaHarness;
let session: StartingReplica;
before(async () => {
  harness = await ReplicaHarness.start();
  const code = `
    import { NonRetryableError } from ${JSON.stringify(SDK_URL)};
    const thrown = {
      plain: () => new Error("plain"), text: () => "text", nothing: () => undefined,
      final: () => new NonRetryableError("final"), own: () => Object.assign(new Error("own"), { retryable: false }),
      transient: () => Object.assign(new Error("transient"), { code: "ECONNRESET" }),
    };
    const handler = (what) => { throw thrown[what](); };
    fn("anything", handler);
    fn("picky", handler, { retries: { max: 1, retryOn: (error) => error?.code === "ECONNRESET" } });
    fn("broken", handler, { retries: { max: 1, retryOn: (error) => error.no.such.thing } });
  `;
  const functions = ["anything", "picky", "broken"].map((name) => ({
    name,
    input: params({ what: { type: "string" } }),
  }));
  session = await harness.replica({ code, functions });
});
after(async () => {
  await session.kill();
  await harness[Symbol.asyncDispose]();
});

async function isRetryable(fn: string, what: string, on: Heard = listen()): Promise<boolean> {
  const answer = await session.openJob(openJob(fn, { what }), [], on).answer;
  assert.equal(answer.type, "error");
  return answer.type === "error" && answer.retryable;
}

test("anything that is thrown is worth another attempt, but a NonRetryableError and what says so itself", async () => {
  for (const what of ["plain", "text", "nothing", "transient"])
    assert.equal(await isRetryable("anything", what), true, what);
  for (const what of ["final", "own"]) assert.equal(await isRetryable("anything", what), false, what);
});

test("retryOn decides of the others", async () => {
  assert.equal(await isRetryable("picky", "transient"), true);
  for (const what of ["plain", "text", "nothing", "final"]) assert.equal(await isRetryable("picky", what), false, what);
});

test("a retryOn that throws leaves the job its retries, and its log says so", async () => {
  const on = listen();
  assert.equal(await isRetryable("broken", "plain", on), true);
  assert.match(on.text().join("\n"), /^retryOn threw, so the job is retried.*TypeError/);
  assert.equal(await isRetryable("broken", "final"), false);
});
