/** What callers and operators are told where replicas start, are busy, crash and stay; through the whole server. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { WebSocket } from "ws";
import { build } from "../../src/build/index.ts";
import { showReplicaGroups } from "../../src/cli/show-replicas.ts";
import type { DeploymentDetailJson, LogLine, Page, Problem, ReplicaGroupJson } from "../../src/protocol/wire.ts";
import { startTestServer, type TestServer } from "../harness/server.ts";

let server: TestServer;

before(async () => {
  server = await startTestServer();
  await server.api.deploy(await build({ entry: join(import.meta.dirname, "apps/scaling.ts") }));
});
after(() => server?.[Symbol.asyncDispose]());

const call = (path: string, signal?: AbortSignal): Promise<Response> =>
  fetch(`${server.url}/scaling${path}`, signal === undefined ? {} : { signal });

async function groupOf(fn: string): Promise<ReplicaGroupJson> {
  const { replica_groups } = await server.api.json<DeploymentDetailJson>("GET", "/v1/deployments/deployments:1");
  const group = replica_groups.find(({ functions }) => functions.includes(fn));
  assert.ok(group, `there is no group of ${fn}`);
  return group;
}

async function until(fn: string, isSo: (group: ReplicaGroupJson) => boolean): Promise<ReplicaGroupJson> {
  for (;;) {
    const group = await groupOf(fn);
    if (isSo(group)) return group;
  }
}

async function refusal(response: Response): Promise<Problem & { retryAfter: number }> {
  assert.equal(response.headers.get("content-type"), "application/problem+json");
  return { ...((await response.json()) as Problem), retryAfter: Number(response.headers.get("retry-after")) };
}

const lines = async (): Promise<string[]> => {
  const page = await server.api.json<Page<LogLine>>("GET", "/v1/deployments/deployments:1/logs");
  return page.items.map(({ line }) => line);
};

describe("a replica that does not start", () => {
  it("is told to the caller with its reason, to the operator with all, and is tried again later", async () => {
    // The one that started it, and one that comes while nothing may be started.
    for (const response of [await call("/broken"), await call("/broken")]) {
      const { status, code, detail, retryAfter } = await refusal(response);
      assert.deepEqual([status, code], [503, "startup_failed"]);
      assert.match(detail, /the model is missing/);
      assert.doesNotMatch(detail, /secret/);
      assert.ok(retryAfter >= 1);
    }
    const group = await until("broken", ({ last_exits }) => last_exits.length > 0);
    const { last_failure: failure, last_exits: exits } = group;
    assert.equal(failure?.code, "startup_failed");
    assert.match(String(failure?.message), /the model is missing/);
    assert.ok(Number(failure?.failures) >= 1 && String(failure?.next_try_at) > String(failure?.at));
    assert.deepEqual([exits[0]?.reason, exits[0]?.ready_s], ["start_failed", null]);
    assert.equal(exits[0]?.last_stderr[0], "the secret is 42");
    assert.match(
      (await lines()).join("\n"),
      /\[athanor\] it did not start; the next start is tried in 0\.5 s: startup_failed: .*missing/,
    );
    const shown = showReplicaGroups([group]);
    assert.match(shown, /failure: +.* failed, last at .*; the next may be tried at .*\n.*the model is missing/);
    assert.match(shown, /start_failed +(signal SIGKILL|exit code 1) +never +at .*scaling\.ts:11/);
  });

  it("nor do those that die before they finish a call: after five in a row callers wait for the next", async () => {
    let response = await call("/die");
    // Where the machine is slow, the time after the fifth is over before the next call: it doubles each time.
    while (response.status === 502) {
      assert.equal((await refusal(response)).code, "replica_crashed");
      response = await call("/die");
    }
    const { status, code, detail, retryAfter } = await refusal(response);
    assert.deepEqual([status, code], [503, "startup_failed"]);
    assert.match(detail, /^replica_crashed: \d+ replicas in a row died .* exit code 3\.$/);
    assert.ok(retryAfter >= 1);
    const { last_failure: failure, last_exits: exits } = await groupOf("die");
    assert.equal(failure?.code, "replica_crashed");
    assert.ok(exits.length >= 5, `${exits.length} deaths`);
    assert.deepEqual(
      exits.map(({ reason, status: how, last_stderr }) => [reason, how, last_stderr]),
      Array.from({ length: exits.length }, () => ["exited", "exit code 3", ["last words"]]),
    );
    assert.match((await lines()).join("\n"), /\[athanor\] it died: replica_crashed: exit code 3/);
  });
});

describe("requests that wait for a place", () => {
  it("are counted, and leave the queue with their client", async () => {
    const [first, second] = [new AbortController(), new AbortController()];
    const gone = [first, second].map(({ signal }) => assert.rejects(call("/hold", signal), { name: "AbortError" }));
    const group = await until("hold", ({ running, waiting }) => running === 1 && waiting === 1);
    assert.deepEqual([group.wanted, group.ready, group.demand], [1, 1, null]);
    const { timings, ready_at, idle_since } = group.replicas[0] ?? assert.fail("no replica");
    assert.equal(typeof timings.from_pool, "boolean");
    const { from_pool: _, ...phases } = timings;
    assert.ok(
      Object.values(phases).every((ms) => typeof ms === "number" && ms >= 0),
      JSON.stringify(phases),
    );
    assert.ok(Number(timings.load_ms) > 0 && ready_at !== null && idle_since === null);
    assert.match(
      showReplicaGroups([group]),
      /ready .* queued \d+, (from pool|process) \d+, connect \d+, load \d+, enter \d+, listen \d+/,
    );
    second.abort();
    await until("hold", ({ running, waiting }) => running === 1 && waiting === 0);
    first.abort();
    await until("hold", ({ running }) => running === 0);
    await Promise.all(gone);
  });
});

describe("an answer that lasts", () => {
  it("keeps its replica while others leave, and lets it go when it is over", async () => {
    const open = async (): Promise<ReadableStreamDefaultReader<Uint8Array>> => {
      const reader = ((await call("/stream")).body ?? assert.fail("no body")).getReader();
      assert.equal(new TextDecoder().decode((await reader.read()).value), "first");
      return reader;
    };
    const [lasts, other] = [await open(), await open()];
    const both = await groupOf("stream");
    assert.deepEqual([both.ready, both.running], [2, 2]);
    assert.equal(both.demand?.peak, 2);
    await other.cancel();
    // With keepWarmS 0 a replica without a call leaves at once.
    const left = await until("stream", ({ replicas }) => replicas.length === 1);
    assert.deepEqual([left.replicas[0]?.status, left.replicas[0]?.running], ["ready", 1]);
    assert.equal(left.replicas[0]?.replica_id, both.replicas[0]?.replica_id);
    assert.deepEqual(
      left.last_exits.map(({ reason }) => reason),
      ["stopped"],
    );
    await lasts.cancel();
    const none = await until("stream", ({ replicas }) => replicas.length === 0);
    assert.deepEqual([none.wanted, none.last_exits.length, none.last_failure], [0, 2, null]);
  });
});

describe("a WebSocket", () => {
  it("keeps its replica while others leave, and lets it go when it is closed", async () => {
    const open = async (): Promise<WebSocket> => {
      const socket = new WebSocket(`${server.url}/scaling/echo`.replace("http", "ws"));
      await once(socket, "open");
      return socket;
    };
    const [lasts, other] = [await open(), await open()];
    const both = await groupOf("echo");
    assert.deepEqual([both.ready, both.running], [2, 2]);
    other.close();
    const left = await until("echo", ({ replicas }) => replicas.length === 1);
    assert.deepEqual([left.replicas[0]?.status, left.replicas[0]?.running, left.wanted], ["ready", 1, 1]);
    const answer = once(lasts, "message");
    lasts.send("still there");
    assert.equal(String((await answer)[0]), "still there");
    lasts.close();
    await until("echo", ({ replicas }) => replicas.length === 0);
  });
});
