/** Many calls of a function against a real server: map and its kin, batches, streams, retries, children. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Client, JobFailedError, type JobHandle } from "../../src/sdk/client/index.ts";
import { startTestServer, type TestServer } from "../harness/server.ts";
import * as local from "./many-app.ts";

let server: TestServer;
let client: Client;
let many: ReturnType<typeof connect>;

function connect(at: Client) {
  return at.app<typeof import("./many-app.ts")>("many");
}

before(async () => {
  server = await startTestServer();
  process.env.ATHANOR_URL = server.url;
  process.env.ATHANOR_TOKEN = server.token;
  client = new Client({ url: server.url, token: server.token });
  many = connect(client);
  await local.app.deploy();
});

after(async () => {
  delete process.env.ATHANOR_URL;
  delete process.env.ATHANOR_TOKEN;
  await server[Symbol.asyncDispose]();
});

const numbers = (count: number) => Array.from({ length: count }, (_, n) => n);

/** Waits for a line of the job's log. */
async function logged(job: JobHandle): Promise<string> {
  for await (const event of job.watch()) if (event.event === "job.log") return event.data.line;
  throw new Error(`${job.id} ended without a line`);
}

async function ended(id: string): Promise<string> {
  for await (const event of client.job(id).watch()) if (event.event === "job.end") return event.data.status;
  throw new Error(`${id} did not end`);
}

test("map, starmap and forEach, from another program and from the app's own module", async () => {
  const expected = numbers(500).map((n) => n * 2);
  assert.deepEqual(await Array.fromAsync(many.double.map(numbers(500))), expected);
  const unordered = await Array.fromAsync(local.double.map(numbers(500), { ordered: false, concurrency: 16 }));
  assert.deepEqual(
    unordered.toSorted((a, b) => a - b),
    expected,
  );
  assert.deepEqual(await Array.fromAsync(many.add.starmap([[1], [1, 2], [3, 4]])), [2, 3, 7]);
  assert.deepEqual(await many.double.forEach([1, -1, 2, -2], { errors: "collect" }), { succeeded: 2, failed: 2 });
  const collected = await Array.fromAsync(many.double.map([1, -1, 3], { errors: "collect" }));
  assert.deepEqual([collected[0], collected[2]], [2, 6]);
  assert.ok(collected[1] instanceof JobFailedError);
  await assert.rejects(Array.fromAsync(many.double.map([1, -1, 3])), { message: /-1 is negative/ });
});

test("leaving a map cancels the jobs under way, and makes no others", async () => {
  const before = await client.api.listJobs({ function: "hang" });
  assert.deepEqual(before.items, []);
  const controller = new AbortController();
  const stopped = Array.fromAsync(many.hang.map(numbers(20), { concurrency: 5, signal: controller.signal }));
  let running: { job_id: string }[] = [];
  while (running.length < 5) ({ items: running } = await client.api.listJobs({ function: "hang", status: "running" }));
  controller.abort(new Error("enough"));
  await assert.rejects(stopped, /enough/);
  const all = await client.api.listJobs({ function: "hang" });
  assert.equal(all.items.length, 5);
  for (const { job_id } of all.items) assert.equal(await ended(job_id), "cancelled");
});

test("spawnMany and spawnMap are on disk at once, and their results are had by their handles", async () => {
  const jobs = await many.add.spawnMany([[1, 2], [3]]);
  assert.deepEqual(await Promise.all(jobs.map((job) => job.result())), [3, 4]);
  const mapped = await many.add.with({ idempotencyKey: "nightly" }).spawnMap(numbers(2000));
  assert.equal(mapped.length, 2000);
  assert.equal(await mapped.at(-1)?.result(), 2000);
  const again = await many.add.with({ idempotencyKey: "nightly" }).spawnMap(numbers(2000));
  assert.deepEqual(
    again.map(({ id }) => id),
    mapped.map(({ id }) => id),
  );
});

test("jobs of a batch share one call of the handler, and each has its own end", async () => {
  const results = await Array.fromAsync(many.sizes.map([1, 2, -3, 4], { errors: "collect" }));
  assert.deepEqual([results[0], results[1], results[3]], [4, 4, 4]);
  const failed = results[2];
  assert.ok(failed instanceof JobFailedError);
  assert.match(failed.message, /NonRetryableError: -3 is negative/);
  assert.equal(await many.sizes.remote(1), 1);
});

test("calls of a queued endpoint share a batch, and each is checked by itself", async () => {
  const headers = { "content-type": "application/json", prefer: "wait=20" };
  const ask = (body: object) =>
    fetch(`${server.url}/many/ask`, { method: "POST", headers, body: JSON.stringify(body) });
  const wrong = await ask({ text: 1 });
  assert.equal(wrong.status, 422);
  const answers = await Promise.all([ask({ text: "one" }), ask({ text: "two" })]);
  const results = await Promise.all(answers.map((answer) => answer.json() as Promise<{ answer: string }>));
  assert.deepEqual(
    [answers.map(({ status }) => status), results],
    [
      [200, 200],
      [{ answer: "one of 2" }, { answer: "two of 2" }],
    ],
  );
  assert.deepEqual(await many.ask.remote({ text: "three" }), { answer: "three of 1" });
});

test("retryOn tells which errors are worth another attempt", async () => {
  assert.equal(await many.flaky.remote(2, "EAGAIN"), 3);
  const job = await many.flaky.spawn(1, "ENOENT");
  await assert.rejects(job.result(), { message: /attempt 1/ });
  assert.equal((await job.status()).attempt, 1);
});

test("a job's children are cancelled with it", async () => {
  const job = await many.parent.spawn();
  const child = await logged(job);
  assert.equal((await client.job(child).status()).parent_id, job.id);
  assert.equal(await logged(client.job(child)), "hanging");
  await job.cancel();
  assert.deepEqual([await ended(job.id), await ended(child)], ["cancelled", "cancelled"]);
});

test("a stream of chunks is whole through a retry, and ends as its job does", async () => {
  assert.deepEqual(await Array.fromAsync(many.letters.remoteStream("abc")), ["a", "b", "c"]);
  assert.deepEqual(await Array.fromAsync(many.letters.remoteStream("abcdef", 3)), [..."abcdef"]);
  assert.deepEqual(await Array.fromAsync(local.letters.remoteStream("xy")), ["x", "y"]);
});

test("a stream's reader that is slow holds the function back, and misses no chunk however small the window", async () => {
  const seen: number[] = [];
  for await (const { n } of many.burst.remoteStream(1000)) {
    seen.push(n);
    if (n > 0) continue;
    // In this time it would be over, were it not held.
    const { items } = await client.api.listJobs({ function: "burst" });
    await sleep(1000);
    assert.equal((await client.api.getJob(items[0]?.job_id ?? "")).status, "running");
  }
  assert.deepEqual(seen, numbers(1000));
  // The function is not far ahead of who reads nothing more for now, and ends when that leaves.
  const reading = many.endless.remoteStream();
  await reading.next();
  const id = (await client.api.listJobs({ function: "endless" })).items[0]?.job_id ?? "";
  await reading.return();
  assert.equal(await ended(id), "cancelled");
});

test("leaving a stream cancels its job", async () => {
  for await (const n of many.endless.remoteStream()) if (n === 3) break;
  const { items } = await client.api.listJobs({ function: "endless" });
  assert.equal(items.length, 2);
  assert.equal(await ended(items[0]?.job_id ?? ""), "cancelled");
});

test("options of single calls: not before its time, by its key one at a time, replayed, cancelled by filter", async () => {
  const runAt = new Date(Date.now() + 3_600_000);
  const later = await many.add.with({ runAt, priority: 7, concurrencyKey: "late" }).spawn(1);
  const status = await later.status();
  assert.deepEqual(
    [status.status, status.run_at, status.priority, status.concurrency_key, status.waiting?.reason],
    ["queued", runAt.toISOString(), 7, "late", "delayed"],
  );
  await later.retry();
  assert.equal(await later.result(), 2);
  assert.equal(await (await later.replay()).result(), 2);
  const spans = await Promise.all(["a", "a", "a"].map((key) => many.touch.with({ concurrencyKey: key }).remote(key)));
  spans.sort(([a = 0], [b = 0]) => a - b);
  for (const [i, [start = 0]] of spans.entries())
    assert.ok(i === 0 || start >= (spans[i - 1]?.[1] ?? 0), JSON.stringify(spans));
  await many.add.with({ delayS: 3600, concurrencyKey: "off" }).spawnMany([[1], [2]]);
  const counts = await client.cancelJobs({ app: "many", function: "add", concurrencyKey: "off" });
  assert.deepEqual(counts, { cancelled: 2, stopping: 0 });
});
