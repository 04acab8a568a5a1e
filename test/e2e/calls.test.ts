import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { build } from "../../src/build/index.ts";
import type { CallAnswer, CallRequest } from "../../src/protocol/wire.ts";
import type { Api } from "../harness/api.ts";
import { startTestServer, type TestServer } from "../harness/server.ts";

let server: TestServer;
let api: Api;

before(async () => {
  server = await startTestServer();
  api = server.api;
  await api.deploy(await build({ entry: join(import.meta.dirname, "apps/jobs.ts") }));
});
after(() => server?.[Symbol.asyncDispose]());

const call = (name: string, args: CallRequest["args"], more: Partial<CallRequest> = {}): CallRequest => ({
  app: "jobs",
  function: name,
  args: args ?? [],
  ...more,
});

async function post(calls: unknown, prefer?: string, signal?: AbortSignal): Promise<Response> {
  return api.fetch("/v1/calls", {
    method: "POST",
    body: JSON.stringify({ calls }),
    headers: { "content-type": "application/json", ...(prefer === undefined ? {} : { prefer }) },
    signal: signal ?? null,
  });
}

/** The answers in the order of the calls. */
async function answersOf(response: Response): Promise<CallAnswer[]> {
  assert.equal(response.status, 200);
  assert.match(response.headers.get("content-type") ?? "", /^application\/x-ndjson/);
  const lines = (await response.text()).trimEnd().split("\n");
  return lines.map((line) => JSON.parse(line) as CallAnswer).sort((a, b) => a.call - b.call);
}

describe("POST /v1/calls", () => {
  it("answers those that wait once they have ended, and the others at once", async () => {
    const calls = [call("double", [1], { wait: true }), call("double", [2]), call("double", [3], { wait: true })];
    const answers = await answersOf(await post(calls, "wait=60"));
    const seen = answers.map((answer) => ("job" in answer ? [answer.job.status, answer.job.result] : answer));
    assert.deepEqual(seen, [
      ["succeeded", 2],
      ["queued", null],
      ["succeeded", 6],
    ]);
  });

  it("refuses each call for itself", async () => {
    const calls = [call("double", ["no number"]), call("absent", []), { ...call("double", [4]), app: "absent" }];
    const answers = await answersOf(await post([...calls, call("double", [4], { wait: true })], "wait=60"));
    const seen = answers.map((answer) => ("job" in answer ? answer.job.result : answer.problem.code));
    assert.deepEqual(seen, ["input_invalid", "function_not_found", "app_not_found", 8]);
  });

  it("gives the same job for the same key, also to one that waits for its end", async () => {
    const again = (): CallRequest => call("double", [5], { wait: true, idempotency_key: "calls-5" });
    const first = await answersOf(await post([again(), again()], "wait=60"));
    const later = await answersOf(await post([again()], "wait=60"));
    const jobs = [...first, ...later].map((answer) => "job" in answer && [answer.job.job_id, answer.job.result]);
    assert.deepEqual(jobs[0]?.[1 as never], 10);
    assert.deepEqual(jobs, [jobs[0], jobs[0], jobs[0]]);
  });

  it("answers with the job as it is when the wait is over", async () => {
    const [answer] = await answersOf(await post([call("heeds-abort", [], { wait: true })], "wait=1"));
    assert.ok(answer && "job" in answer && answer.job.status === "running", JSON.stringify(answer));
    await api.cancel(answer.job.job_id);
  });

  it("goes on with what a client has left", async () => {
    const leaving = new AbortController();
    const response = await post([call("flaky", [2], { wait: true })], "wait=60", leaving.signal);
    leaving.abort();
    await assert.rejects(response.text());
    const { items } = await api.json<{ items: { job_id: string }[] }>("GET", "/v1/jobs?function=flaky&limit=1");
    assert.equal((await api.end(items[0]?.job_id ?? "")).status, "succeeded");
  });

  for (const [what, body] of [
    ["no list", { double: 1 }],
    ["a call that is no object", [7]],
    ["a call without its app", [{ function: "double" }]],
    ["an unknown field", [{ ...call("double", [1]), colour: "red" }]],
    ["a key that is no text", [call("double", [1], { idempotency_key: 7 as unknown as string })]],
    ["too many calls", Array.from({ length: 1001 }, () => call("double", [1]))],
  ] as const) {
    it(`refuses ${what}`, async () => {
      const response = await post(body);
      assert.equal(response.status, 422, await response.text());
    });
  }

  it("is for holders of a token", async () => {
    const response = await fetch(new URL("/v1/calls", api.url), { method: "POST", body: "{}" });
    assert.equal(response.status, 401);
    await response.body?.cancel();
  });
});
