import assert from "node:assert/strict";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { build } from "../../src/build/index.ts";
import type { JobEvent } from "../../src/protocol/event.ts";
import type { JobJson } from "../../src/protocol/wire.ts";
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

const spawn = async (fn: string, ...args: JobArgs): Promise<string> => (await api.spawn("jobs", fn, { args })).job_id;
const run = (fn: string, ...args: JobArgs): Promise<JobJson> => api.run("jobs", fn, { args });
type JobArgs = (number | string | boolean)[];
const names = (events: JobEvent[]): string[] => events.map(({ event }) => event);
/** Waits until the job's log has such an event. */
const seen = (job: string, name: JobEvent["event"]): Promise<JobEvent[]> =>
  api.events(job, { enough: ({ event }) => event === name });

describe("a job", () => {
  it("runs to its result, with its JSON filled in", async () => {
    const job = await run("double", 21);
    assert.deepEqual(
      [job.status, job.result, job.error, job.attempt, job.progress, job.waiting],
      ["succeeded", 42, null, 1, 1, null],
    );
    assert.equal(job.deployment_id, "deployments:1");
    assert.ok(job.started_at !== null && job.finished_at !== null && Number(job.execution_time_s) >= 0);
    assert.deepEqual(Object.keys(job.links).sort(), ["cancel", "events", "result", "self"]);
  });

  it("logs what it prints and reports, numbered without a gap", async () => {
    const id = await spawn("chatty", "ann");
    const events = await api.events(id);
    assert.deepEqual(
      events.map((event) => event.id),
      events.map((_, index) => index + 1),
    );
    const lines = events.flatMap((event) => (event.event === "job.log" ? [[event.data.stream, event.data.line]] : []));
    assert.ok(
      lines.some(([stream, line]) => stream === "stdout" && line === "hello ann"),
      JSON.stringify(lines),
    );
    assert.ok(lines.some(([stream, line]) => stream === "stderr" && line === "a warning"));
    assert.ok(lines.some(([, line]) => String(line).includes("through the context")));
    const progress = events.flatMap((event) => (event.event === "job.progress" ? [event.data.progress] : []));
    assert.ok(progress.includes(0.5) && progress.includes(0.9), JSON.stringify(progress));
    assert.deepEqual(
      [names(events)[0], names(events)[1], names(events).at(-2), names(events).at(-1)],
      ["job.queued", "job.running", "job.result", "job.end"],
    );
    assert.deepEqual((await api.job(id)).result, { name: "ann", jobId: id });
  });

  it("sends each yield of a generator as a chunk", async () => {
    const events = await api.events(await spawn("count-to", 5));
    const chunks = events.flatMap((event) => (event.event === "job.chunk" ? [event.data] : []));
    assert.deepEqual(
      chunks,
      [0, 1, 2, 3, 4].map((i) => ({ index: i, value: { i } })),
    );
  });

  it("resumes its log after any event", async () => {
    const id = await spawn("count-to", 3);
    const all = await api.events(id);
    for (const { id: after } of all) assert.deepEqual(await api.events(id, { after }), all.slice(after));
  });

  it("runs in order, one at a time", async () => {
    const jobs = await Promise.all([1, 2, 3, 4, 5].map((n) => spawn("in-order", n)));
    // Which request arrives first is not fixed; the numbers of the jobs are the order.
    const sorted = [...jobs].sort((a, b) => Number(a.slice(5)) - Number(b.slice(5)));
    const results = await Promise.all(sorted.map((job) => api.end(job)));
    for (const [index, { result }] of results.entries()) assert.equal((result as number[]).length, index + 1);
  });

  it("runs as many at a time in a replica as its concurrency says, and no more", async () => {
    const jobs = await Promise.all(Array.from({ length: 9 }, () => run("crowd")));
    const results = jobs.map(({ result }) => result as { seen: number; pid: number });
    assert.equal(Math.max(...results.map(({ seen }) => seen)), 3);
    assert.equal(new Set(results.map(({ pid }) => pid)).size, 1);
  });

  it("has maxWorkers at a time in a queued endpoint", async () => {
    const spawned = await Promise.all(
      Array.from({ length: 5 }, async () => {
        const response = await api.fetch("/jobs/queued", {
          method: "POST",
          body: '{"ms":30}',
          headers: { "content-type": "application/json" },
        });
        assert.equal(response.status, 202);
        return (await response.json()) as JobJson;
      }),
    );
    const ended = await Promise.all(spawned.map(({ job_id }) => api.end(job_id)));
    assert.equal(Math.max(...ended.map(({ result }) => Number(result))), 2);
  });

  it("runs on several replicas where the maximum allows", async () => {
    const dir = await mkdtemp(join(tmpdir(), "athanor-wide-"));
    try {
      const jobs = await Promise.all([1, 2, 3, 4].map(() => run("wide", dir, 2)));
      assert.ok(jobs.every(({ status }) => status === "succeeded"));
      assert.equal((await readdir(dir)).length, 2);
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  });

  it("may be any endpoint's call", async () => {
    const response = await api.fetch("/jobs/sync", {
      method: "POST",
      body: '{"n":1}',
      headers: { "content-type": "application/json", prefer: "respond-async" },
    });
    assert.equal(response.status, 202);
    assert.equal((await api.end(((await response.json()) as JobJson).job_id)).result, 2);
  });
});

describe("a trace", () => {
  const trace = (n: number): string => `00-4bf92f3577b34da6a3ce929d0e0e473${n}-00f067aa0ba902b7-01`;
  const json = { "content-type": "application/json" };
  const traces = async (headers: Record<string, string>): Promise<Response> =>
    api.fetch("/jobs/traces", { method: "POST", body: "{}", headers: { ...json, ...headers } });
  const posted = async (path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> =>
    api.fetch(`/v1/apps/jobs/functions/${path}`, {
      method: "POST",
      body: JSON.stringify(body),
      headers: { ...json, ...headers },
    });
  const result = async (response: Response): Promise<unknown> =>
    (await api.end(((await response.json()) as JobJson).job_id)).result;

  it("goes on from a request to the jobs that its code makes", async () => {
    assert.deepEqual(await (await traces({ traceparent: trace(1) })).json(), [trace(1), trace(1), trace(1)]);
    const [created, ...more] = (await (await traces({})).json()) as string[];
    assert.match(String(created), /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
    assert.deepEqual(more, [created, created]);
  });

  it("goes on from a request to its job, and from that to those that its code makes", async () => {
    const made = await traces({ traceparent: trace(2), prefer: "respond-async" });
    assert.deepEqual(await result(made), [trace(2), trace(2), trace(2)]);
    const began = (await result(await traces({ prefer: "respond-async" }))) as string[];
    assert.match(String(began[0]), /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
    assert.deepEqual(new Set(began).size, 1);
  });

  it("is a call's own, else that of the request which enqueues it, else none", async () => {
    assert.equal(
      await result(await posted("traced/jobs", { traceparent: trace(3) }, { traceparent: trace(4) })),
      trace(3),
    );
    assert.equal(await result(await posted("traced/jobs", {}, { traceparent: trace(4) })), trace(4));
    assert.equal(await result(await posted("traced/jobs", {}, { traceparent: "none" })), null);
    assert.equal(await result(await posted("traced/jobs", {})), null);
    const refused = await posted("traced/jobs", { traceparent: "none" });
    assert.equal(((await refused.json()) as { code: string }).code, "input_invalid");
    const calls = [0, 1].map((n) => ({
      app: "jobs",
      function: "traced-batch",
      args: [n],
      wait: true,
      traceparent: trace(n),
    }));
    const answered = await api.fetch("/v1/calls", {
      method: "POST",
      body: JSON.stringify({ calls }),
      headers: { ...json, prefer: "wait=60" },
    });
    const results = (await answered.text())
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).job.result as unknown[]);
    assert.deepEqual(
      results.map(([own]) => own),
      [null, null],
    );
    assert.deepEqual(results.map(([, each]) => each).sort(), [trace(0), trace(1)]);
  });

  it("is no part of what makes two calls of one key the same, and is kept by what replays a job", async () => {
    const key = { "idempotency-key": "traced" };
    const first = (await (await posted("traced/jobs", {}, { ...key, traceparent: trace(5) })).json()) as JobJson;
    const second = (await (await posted("traced/jobs", {}, { ...key, traceparent: trace(6) })).json()) as JobJson;
    assert.equal(second.job_id, first.job_id);
    await api.end(first.job_id);
    assert.equal(await result(await api.fetch(`/v1/jobs/${first.job_id}/replay`, { method: "POST" })), trace(5));
  });
});

describe("a job that fails", () => {
  it("is retried as its spec says", async () => {
    const id = await spawn("flaky", 3);
    const events = await api.events(id);
    assert.deepEqual(
      names(events).filter((name) => name !== "job.log"),
      [
        "job.queued",
        "job.running",
        "job.retrying",
        "job.queued",
        "job.running",
        "job.retrying",
        "job.queued",
        "job.running",
        "job.progress",
        "job.result",
        "job.end",
      ].filter((name) => name !== "job.progress" || names(events).includes("job.progress")),
    );
    const retrying = events.flatMap((event) => (event.event === "job.retrying" ? [event.data] : []));
    assert.deepEqual(
      retrying.map(({ attempt, delay_s }) => [attempt, delay_s]),
      [
        [1, 0.05],
        [2, 0.05],
      ],
    );
    assert.match(String(retrying[0]?.error.message), /attempt 1 is too early/);
    const job = await api.job(id);
    assert.deepEqual([job.status, job.result, job.attempt], ["succeeded", 3, 3]);
  });

  it("fails with its message and the user's own line, once its attempts are used up", async () => {
    const job = await run("flaky", 99);
    assert.deepEqual([job.status, job.attempt, job.error?.code], ["failed", 4, "handler_error"]);
    assert.match(String(job.error?.message), /attempt 4 is too early/);
    assert.match(String(job.error?.stack), /apps\/jobs\.ts:\d+/);
  });

  it("waits out its retry delay, and says so", async () => {
    const id = await spawn("slow-retry");
    await seen(id, "job.retrying");
    const job = await api.job(id);
    assert.deepEqual([job.status, job.waiting?.reason], ["queued", "retry_delay"]);
    assert.equal((await api.cancel(id)).status, "cancelled");
  });

  it("has the exit code and the last lines where it took its process along", async () => {
    const job = await run("exits", 7);
    assert.deepEqual([job.status, job.error?.code], ["failed", "replica_crashed"]);
    assert.match(String(job.error?.message), /exit code 7/);
    assert.match(String(job.error?.message), /about to exit/);
    assert.equal((await run("exits-once")).result, 2);
  });

  it("fails alone where it throws out of band, or exhausts its memory", async () => {
    const [thrown, memory] = await Promise.all([run("throws-out-of-band"), run("eats-memory")]);
    assert.equal(thrown.status, "failed");
    assert.match(String(thrown.error?.message), /nobody catches this/);
    assert.deepEqual([memory.status, memory.error?.code], ["failed", "out_of_memory"]);
    assert.equal((await run("double", 1)).result, 2);
  });

  it("gives the others of its replica another chance", async () => {
    const [victim, culprit] = await Promise.all([spawn("pair", false), spawn("pair", true)]);
    const [end, fatal] = await Promise.all([api.end(victim), api.end(culprit)]);
    assert.equal(end.status, "succeeded");
    assert.ok(Number(end.result) > 1);
    assert.deepEqual([fatal.status, fatal.error?.code], ["failed", "replica_crashed"]);
  });

  it("waits with the reason while its replica does not start, and can be cancelled then", async () => {
    const id = await spawn("run");
    let job = await api.job(id);
    while (job.waiting?.reason !== "no_capacity") job = await api.job(id);
    assert.match(String(job.waiting.detail), /the model is missing/);
    await api.cancel(id);
    assert.equal((await api.job(id)).status, "cancelled");
  });
});

describe("a job that is stopped", () => {
  it("ends at once while it is queued", async () => {
    const first = await spawn("heeds-abort");
    const second = await spawn("heeds-abort");
    await seen(first, "job.running");
    assert.deepEqual((await api.job(second)).waiting?.reason, "concurrency");
    const third = await spawn("heeds-abort");
    const { waiting } = await api.job(third);
    assert.deepEqual([waiting?.reason, waiting?.position], ["position", 2]);
    assert.equal((await api.cancel(second)).status, "cancelled");
    await Promise.all([api.cancel(third), api.cancel(first)]);
    assert.equal((await api.end(first)).status, "cancelled");
    await api.json("POST", `/v1/jobs/${first}/cancel`, undefined, 409);
  });

  it("is killed where it blocks the event loop, and the next one runs", async () => {
    const id = await spawn("blocks");
    await seen(id, "job.log");
    assert.equal((await api.cancel(id)).status, "running");
    const job = await api.end(id);
    assert.deepEqual([job.status, job.error?.code], ["cancelled", "cancelled"]);
    assert.deepEqual(names(await api.events(id)).at(-1), "job.end");
  });

  it("times out, whether it heeds its signal or not", async () => {
    const [heeding, blocking] = await Promise.all([run("heeds-timeout"), run("blocks-for-ever")]);
    for (const job of [heeding, blocking]) assert.deepEqual([job.status, job.error?.code], ["timed_out", "timeout"]);
  });
});

describe("replicas of jobs", () => {
  it("are kept warm, then leave, and come again with the next job", async () => {
    const first = await run("brief");
    const warm = await run("brief");
    assert.equal(warm.result, first.result);
    const ids = async (): Promise<string[]> =>
      (await api.replicas()).filter(({ functions }) => functions.includes("brief")).map(({ replica_id }) => replica_id);
    while ((await ids()).length > 0) await new Promise((resolve) => setTimeout(resolve, 20));
    const id = await spawn("brief");
    assert.ok(["running", "queued", "succeeded"].includes((await api.job(id)).status));
    assert.notEqual((await api.end(id)).result, first.result);
  });

  it("are said to start while the first job waits for one", async () => {
    const created = await api.spawn("jobs", "parent");
    assert.equal(created.waiting?.reason, "cold_start");
    await seen(created.job_id, "job.running");
    await api.cancel(created.job_id);
    assert.equal((await api.end(created.job_id)).status, "cancelled");
  });
});
