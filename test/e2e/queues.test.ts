/** Whole queues over HTTP: options of calls, batches, limits, pauses, cancelling by filter, retry and replay. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { build } from "../../src/build/index.ts";
import { SERVER_DEFAULTS } from "../../src/protocol/defaults.ts";
import type { CancelManyResult, JobJson, KeyJson, Page, Problem, QueueJson } from "../../src/protocol/wire.ts";
import { Api } from "../harness/api.ts";
import { startTestServer, type TestServer } from "../harness/server.ts";

let server: TestServer;
let api: Api;

before(async () => {
  server = await startTestServer();
  api = server.api;
  await api.deploy(await build({ entry: join(import.meta.dirname, "apps/queues.ts") }));
});
after(() => server?.[Symbol.asyncDispose]());

const path = (fn: string): string => `/v1/apps/queues/functions/${fn}/jobs`;
const spawn = (fn: string, args: unknown[], options?: object): Promise<JobJson> =>
  api.json("POST", path(fn), { args, ...(options === undefined ? {} : { options }) }, 202);
const cancel = (filter: object): Promise<CancelManyResult> => api.json("POST", "/v1/jobs/cancel", filter, 200);
const running = (job: string): Promise<unknown> => api.events(job, { enough: ({ event }) => event === "job.running" });

describe("the options of a call", () => {
  it("show in the job's JSON, and are the function's own where they are left out", async () => {
    const runAt = new Date(Date.now() + 3_600_000).toISOString();
    const webhook = { url: "https://hooks.invalid/", secret: "s".repeat(16) };
    const job = await spawn("hold", ["a"], {
      priority: -1000,
      run_at: runAt,
      expire_s: 60,
      ttl_s: 5,
      concurrency_key: "user-17",
      webhook,
    });
    assert.deepEqual(
      [job.priority, job.run_at, job.concurrency_key, job.parent_id, job.retry_of, job.waiting?.reason],
      [-1000, runAt, "user-17", null, null, "delayed"],
    );
    assert.equal(Date.parse(String(job.expires_at)) - Date.parse(runAt), 60_000);
    assert.ok(!JSON.stringify(await api.job(job.job_id)).includes(webhook.secret));
    assert.ok(Number(job.waiting?.estimated_wait_s) > 3500);
    await api.cancel(job.job_id);
    assert.equal((await spawn("fails", ["x"])).priority, 3);
    const delayed = await spawn("echo", ["b"], { delay_s: 0.05 });
    assert.equal((await api.end(delayed.job_id)).result, "b");
  });

  it("are refused where they are wrong, naming the path", async () => {
    const wrong: [unknown, string][] = [
      [{ priority: 1.5 }, "/options/priority"],
      [{ priority: 1001 }, "/options/priority"],
      [{ priority: "1" }, "/options/priority"],
      [{ delay_s: -1 }, "/options/delay_s"],
      [{ delay_s: 1e9 }, "/options/delay_s"],
      [{ delay_s: 1, run_at: "2030-01-01T00:00:00Z" }, "/options"],
      [{ run_at: "tomorrow" }, "/options/run_at"],
      [{ run_at: "2030-01-01" }, "/options/run_at"],
      [{ run_at: "2990-01-01T00:00:00Z" }, "/options/run_at"],
      [{ ttl_s: -1 }, "/options/ttl_s"],
      [{ expire_s: 0 }, "/options/expire_s"],
      [{ concurrency_key: "" }, "/options/concurrency_key"],
      [{ concurrency_key: "a b" }, "/options/concurrency_key"],
      [{ concurrency_key: "k".repeat(256) }, "/options/concurrency_key"],
      [{ webhook: { url: "ftp://example.com/", secret: "s".repeat(16) } }, "/options/webhook/url"],
      [{ webhook: { url: "https://a:b@example.com/", secret: "s".repeat(16) } }, "/options/webhook/url"],
      [{ webhook: { url: "https://example.com/", secret: "short" } }, "/options/webhook/secret"],
      [{ webhook: { url: "https://example.com/" } }, "/options/webhook/secret"],
      [{ urgency: 1 }, "/options/urgency"],
      [[], "/options"],
    ];
    for (const [options, at] of wrong) {
      const problem: Problem = await api.json("POST", path("echo"), { args: ["a"], options }, 422);
      assert.deepEqual([problem.code, problem.errors?.[0]?.path], ["input_invalid", at], JSON.stringify(options));
      assert.ok(!problem.detail.includes("short"));
    }
  });

  it("are not for the public callers of an endpoint, nor is a parent for who is no replica", async () => {
    const headers = { "content-type": "application/json", "athanor-parent-job": "jobs:1" };
    const response = await api.fetch(path("echo"), { method: "POST", headers, body: '{"args":["a"]}' });
    assert.equal(((await response.json()) as JobJson).parent_id, null);
  });
});

describe("a batch", () => {
  const batch = (fn: string, calls: unknown, status: number, key?: string): Promise<{ job_ids: string[] } & Problem> =>
    api.json("POST", `${path(fn)}/batch`, { calls }, status, key === undefined ? {} : { "idempotency-key": key });

  it("of 10,000 calls is taken as one, and one more is refused", async () => {
    const calls = Array.from({ length: 10_000 }, (_, n) => ({ args: [n] }));
    const { job_ids: jobs } = await batch("quick", calls, 202);
    assert.equal(new Set(jobs).size, 10_000);
    const last = await api.end(jobs.at(-1) as string);
    assert.deepEqual([last.status, last.result], ["succeeded", 9999]);
    const tooMany = await batch("quick", [...calls, { args: [0] }], 422);
    assert.deepEqual([tooMany.code, tooMany.errors?.[0]?.path], ["input_invalid", "/calls"]);
    await batch("quick", [], 422);
  });

  it("with one wrong call makes none, and says which", async () => {
    const before = (await api.jobs("&function=quick&status=queued,running,succeeded")).length;
    const problem = await batch("quick", [{ args: [1] }, { kwargs: { n: "one" } }], 422);
    assert.deepEqual([problem.code, problem.errors?.[0]?.path], ["input_invalid", "/calls/1/n"]);
    const option = await batch("quick", [{ args: [1] }, { args: [2], options: { delay_s: -1 } }], 422);
    assert.equal(option.errors?.[0]?.path, "/calls/1/options/delay_s");
    assert.equal((await batch("small", [{}, {}], 429)).code, "queue_full");
    assert.equal((await api.jobs("&function=quick&status=queued,running,succeeded")).length, before);
    assert.deepEqual(await api.jobs("&function=small"), []);
  });

  it("with a key is made once", async () => {
    const calls = [{ args: [1] }, { args: [2], options: { priority: 5 } }];
    const first = await batch("quick", calls, 202, "batch-1");
    assert.deepEqual(await batch("quick", calls, 202, "batch-1"), first);
    assert.equal((await batch("quick", calls.slice(0, 1), 409, "batch-1")).code, "idempotency_conflict");
    assert.equal((await batch("quick", [calls[0], { args: [2] }], 409, "batch-1")).code, "idempotency_conflict");
  });
});

describe("a queue", () => {
  it("runs no more than its function's concurrency over all replicas, and says so", async () => {
    const jobs = await Promise.all(Array.from({ length: 4 }, () => spawn("single", [50])));
    const pids = new Set<unknown>();
    for (const { job_id } of jobs) pids.add((await api.end(job_id)).result);
    assert.equal(pids.size, 1);
    const ran = await Promise.all(jobs.map(({ job_id }) => api.job(job_id)));
    const spans = ran
      .map(({ started_at, finished_at }) => [Date.parse(String(started_at)), Date.parse(String(finished_at))])
      .sort((a, b) => Number(a[0]) - Number(b[0]));
    for (let i = 1; i < spans.length; i++) assert.ok(Number(spans[i]?.[0]) >= Number(spans[i - 1]?.[1]));
    const slow = await spawn("single", [60_000]);
    await running(slow.job_id);
    const { waiting } = await spawn("single", [1]);
    assert.equal(waiting?.reason, "concurrency");
    assert.match(String(waiting?.detail), /concurrency is 1/);
    assert.deepEqual(await cancel({ function: "single" }), { cancelled: 1, stopping: 1 });
  });

  it("holds jobs back by its rate limit", async () => {
    const first = await spawn("limited", [1]);
    assert.equal((await api.end(first.job_id)).result, 1);
    const second = await spawn("limited", [2]);
    let job = await api.job(second.job_id);
    while (job.waiting?.reason !== "rate_limit") job = await api.job(second.job_id);
    assert.ok(Number(job.waiting.estimated_wait_s) > 3000);
    await api.cancel(second.job_id);
  });

  it("that is full says when to come again", async () => {
    const first = await spawn("small", []);
    await running(first.job_id);
    await spawn("small", []);
    const response = await api.fetch(path("small"), { method: "POST" });
    assert.equal(response.status, 429);
    assert.match(String(response.headers.get("retry-after")), /^\d+$/);
    await response.body?.cancel();
    assert.deepEqual(await cancel({ app: "queues", function: "small" }), { cancelled: 1, stopping: 1 });
  });

  it("can be paused and resumed, and is listed so", async () => {
    const paused: QueueJson = await api.json("POST", "/v1/queues/queues/echo/pause", undefined, 200);
    assert.deepEqual([paused.paused, paused.limits?.size], [true, 500]);
    const { job_id: id } = await spawn("echo", ["patient"]);
    assert.equal((await api.job(id)).waiting?.reason, "paused");
    const { items } = await api.json<Page<QueueJson>>("GET", "/v1/queues?app=queues");
    const echo = items.find((queue) => queue.function === "echo");
    assert.deepEqual([echo?.paused, echo?.queued, echo?.running], [true, 1, 0]);
    await api.json("POST", "/v1/queues/queues/echo/resume", undefined, 200);
    assert.equal((await api.end(id)).result, "patient");
    const missing: Problem = await api.json("POST", "/v1/queues/queues/none/pause", undefined, 404);
    assert.equal(missing.code, "function_not_found");
  });

  it("shows its concurrency keys, page by page", async () => {
    const keys = ["ann", "bob", "cid"];
    for (const key of keys) await running((await spawn("keyed", [key], { concurrency_key: key })).job_id);
    const second = await spawn("keyed", ["again"], { concurrency_key: "ann" });
    let job = await api.job(second.job_id);
    while (job.waiting?.reason !== "concurrency_key") job = await api.job(second.job_id);
    const first: Page<KeyJson> = await api.json("GET", "/v1/queues/queues/keyed/keys?limit=2");
    assert.deepEqual(first.items[0], { key: "ann", queued: 1, running: 1, limit: 1 });
    assert.equal(first.next_cursor, "bob");
    const rest: Page<KeyJson> = await api.json("GET", "/v1/queues/queues/keyed/keys?limit=2&cursor=bob");
    assert.deepEqual([rest.items.map(({ key }) => key), rest.next_cursor], [["cid"], null]);
    assert.deepEqual(await cancel({ concurrency_key: "ann" }), { cancelled: 1, stopping: 1 });
    assert.equal((await cancel({ function: "keyed" })).cancelled, 0);
    assert.equal((await api.jobs("&concurrency_key=ann")).length, 2);
  });
});

describe("a job", () => {
  it("whose replica dies under it runs again, and fails with that reason where it kills three", async () => {
    const { job_id: id } = await spawn("poison", []);
    const job = await api.end(id);
    assert.deepEqual([job.status, job.attempt, job.error?.code], ["failed", 3, "replica_crashed"]);
    assert.match(
      String(job.error?.message),
      /^3 replicas died while they ran this job.*SIGKILL.*taking the replica along/s,
    );
  });

  it("keeps its replica while that computes, for longer than any lease, and leaves one that a signal stopped", async () => {
    const busy = await spawn("computes", [SERVER_DEFAULTS.leaseMs + 1000]);
    const { job_id: id } = await spawn("stopped", []);
    await api.events(id, { enough: ({ event }) => event === "job.log" });
    const replica = (await api.replicas()).find(({ functions }) => functions.includes("stopped"));
    process.kill(Number(replica?.pid), "SIGSTOP");
    const job = await api.end(id);
    assert.deepEqual([job.status, job.result], ["succeeded", 2]);
    const retrying = (await api.events(id)).find(({ event }) => event === "job.retrying");
    assert.match(JSON.stringify(retrying?.data), /replica_crashed.*stopped by a signal/);
    const { status, result } = await api.end(busy.job_id);
    assert.deepEqual([status, result], ["succeeded", 1]);
  });

  it("that does not start in time expires", async () => {
    // It has to wait for its replica, however long that takes to start.
    const first = await spawn("late", [], { expire_s: 600 });
    await running(first.job_id);
    const { job_id: id } = await spawn("late", []);
    assert.equal((await api.end(id)).status, "expired");
    await api.cancel(first.job_id);
  });

  it("takes its children with it when it is cancelled", async () => {
    const { job_id: id } = await spawn("parent", []);
    const log = await api.events(id, { enough: ({ event }) => event === "job.log" });
    const line = log.find((event) => event.event === "job.log");
    const child = line?.event === "job.log" ? line.data.line : "";
    assert.equal((await api.job(child)).parent_id, id);
    assert.deepEqual(
      (await api.jobs(`&parent=${id}`)).map(({ job_id }) => job_id),
      [child],
    );
    await running(child);
    await api.cancel(id);
    for (const each of [id, child]) assert.equal((await api.end(each)).status, "cancelled");
  });

  it("with a large input and result is the same over HTTP and in its events", async () => {
    const text = "x".repeat(300_000);
    const { job_id: id } = await spawn("echo", [text]);
    const events = await api.events(id);
    const event = events.find((each) => each.event === "job.result");
    assert.deepEqual(event?.data, { value: text });
    assert.equal(await api.json("GET", `/v1/jobs/${id}/result`), text);
    assert.equal((await api.job(id)).result, text);
  });

  it("is retried, replayed, or not, as its status allows", async () => {
    const failed = await api.end((await spawn("fails", ["a"])).job_id);
    const retried: JobJson = await api.json("POST", `/v1/jobs/${failed.job_id}/retry`, undefined, 202);
    assert.deepEqual([retried.retry_of, retried.priority, retried.status], [failed.job_id, 3, "queued"]);
    assert.match(String((await api.end(retried.job_id)).error?.message), /no: a/);
    const done = await api.end((await spawn("echo", ["b"])).job_id);
    const refused: Problem = await api.json("POST", `/v1/jobs/${done.job_id}/retry`, undefined, 409);
    assert.equal(refused.code, "job_succeeded");
    const replayed: JobJson = await api.json("POST", `/v1/jobs/${done.job_id}/replay`, undefined, 202);
    assert.equal((await api.end(replayed.job_id)).result, "b");
    const delayed = await spawn("echo", ["c"], { delay_s: 3600 });
    const early: Problem = await api.json("POST", `/v1/jobs/${delayed.job_id}/replay`, undefined, 409);
    assert.equal(early.code, "job_not_ended");
    const due: JobJson = await api.json("POST", `/v1/jobs/${delayed.job_id}/retry`, undefined, 200);
    assert.equal(due.job_id, delayed.job_id);
    assert.equal((await api.end(delayed.job_id)).result, "c");
  });
});

describe("cancelling by filter", () => {
  it("asks which, and refuses what it does not know", async () => {
    const wrong: [object, string][] = [
      [{}, ""],
      [{ all: false }, ""],
      [{ all: "yes" }, "/all"],
      [{ status: ["succeeded"] }, "/status"],
      [{ parent_id: "deployments:1" }, "/parent_id"],
      [{ app: 1 }, "/app"],
      [{ name: "hold" }, "/name"],
    ];
    for (const [filter, at] of wrong) {
      const problem: Problem = await api.json("POST", "/v1/jobs/cancel", filter, 422);
      assert.equal(problem.errors?.[0]?.path, at, JSON.stringify(filter));
    }
    await cancel({ all: true });
    for (let i = 0; i < 3; i++) await spawn("hold", [String(i)], { delay_s: 3600 });
    assert.deepEqual(await cancel({ all: true, status: ["queued"] }), { cancelled: 3, stopping: 0 });
    const response = await fetch(new URL("/v1/jobs/cancel", api.url), { method: "POST", body: '{"all":true}' });
    assert.equal(response.status, 401);
    await response.body?.cancel();
  });

  it("lets code in a replica act on its own app alone", async () => {
    const { result } = await api.run("queues", "token");
    const own = new Api(api.url, String(result));
    const job = await spawn("hold", ["x"], { delay_s: 3600 });
    const others: Problem = await own.json("POST", "/v1/jobs/cancel", { app: "other" }, 401);
    assert.equal(others.code, "unauthorized");
    assert.equal((await own.json<CancelManyResult>("POST", "/v1/jobs/cancel", { all: true })).cancelled, 1);
    assert.equal((await own.job(job.job_id)).status, "cancelled");
    assert.equal((await own.json<JobJson>("POST", `/v1/jobs/${job.job_id}/retry`, undefined, 202)).app, "queues");
    await own.json("POST", "/v1/queues/queues/hold/pause", undefined, 401);
    await cancel({ function: "hold" });
  });
});
