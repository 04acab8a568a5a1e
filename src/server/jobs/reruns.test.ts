import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Disk, result, Setup, thrown } from "../../../test/harness/job-setup.ts";
import { SERVER_DEFAULTS } from "../../protocol/defaults.ts";
import { AthanorError, type ErrorCode } from "../../protocol/errors.ts";
import type { FunctionSpec } from "../../protocol/spec.ts";

const code = (expected: ErrorCode) => (error: unknown) => error instanceof AthanorError && error.code === expected;
const WEBHOOK = { url: "https://example.com/hook", secret: "0123456789abcdef" };
const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

describe("a retry", () => {
  it("of a delayed job makes it due now, and of one that waits otherwise changes nothing", async () => {
    await using disk = await Disk.make();
    await using setup = await Setup.started(disk, { drainMs: 0 });
    const job = await setup.call({ delayMs: 60_000 });
    const { record, inserted } = await setup.jobs.retry(job, null);
    assert.deepEqual([record.job, record.runAfter, inserted], [job, null, null]);
    (await setup.starter.call(1)).answer(result(1));
    assert.equal((await setup.end(job)).status, "succeeded");
    await assert.rejects(setup.jobs.retry(job, null), code("job_succeeded"));
    const running = await setup.spawn();
    await setup.starter.call(2);
    await assert.rejects(setup.jobs.retry(running, null), code("job_not_ended"));
    const queued = await setup.spawn();
    assert.equal((await setup.jobs.retry(queued, null)).record.job, queued);
    await assert.rejects(setup.jobs.retry(99, null), code("job_not_found"));
  });

  it("of a failed job is a new one with its input, options and deployment", async () => {
    await using disk = await Disk.make();
    await using setup = await Setup.started(disk);
    const options = { priority: 7, ttlS: 99, expireS: 50, concurrencyKey: "k", webhook: WEBHOOK };
    const job = await setup.call(options, { n: 1 });
    (await setup.starter.call(1)).answer(thrown);
    assert.equal((await setup.end(job)).status, "failed");
    await setup.redeploy();
    const { record } = await setup.jobs.retry(job, "once");
    assert.deepEqual(
      [record.retryOf, record.deployment, record.priority, record.ttlS, record.concurrencyKey?.key, record.input],
      [job, setup.deployment.number, 7, 99, "k", '{"n":1}'],
    );
    assert.equal(Number(record.expiresAt) - record.createdAt, 50_000);
    assert.equal((await disk.store.webhookGet({ job: record.job }))?.secret, WEBHOOK.secret);
    assert.equal((await setup.jobs.retry(job, "once")).record.job, record.job);
    (await setup.starter.call(2)).answer(result("now"));
    assert.equal((await setup.end(record.job)).status, "succeeded");
    assert.equal((await setup.record(job)).status, "failed");
  });

  it("waits for nothing that the earlier job waited for", async () => {
    await using disk = await Disk.make();
    await using setup = await Setup.started(disk, { drainMs: 0 });
    const job = await setup.call({ delayMs: 60_000 });
    await setup.jobs.cancel(job);
    const { record } = await setup.jobs.retry(job, null);
    assert.equal(record.runAfter, null);
    await setup.starter.call(1);
  });
});

describe("a replay", () => {
  it("runs an ended job's input on the version that is named, where that takes it", async () => {
    await using disk = await Disk.make();
    await using setup = await Setup.started(disk);
    setup.starter.onCall = (call) => call.answer(result(call.open.input));
    const job = await setup.spawn({ n: 1 });
    await setup.end(job);
    const deployment = await setup.redeploy();
    const fn = deployment.spec.functions[0] as FunctionSpec;
    const checked: unknown[] = [];
    const target = { deployment, fn, idempotencyKey: null, check: (body: unknown) => void checked.push(body) };
    const { job: made } = await setup.jobs.replay(job, () => target);
    assert.deepEqual([made.retryOf, made.deployment, checked], [job, deployment.number, [{ n: 1 }]]);
    assert.deepEqual(JSON.parse(String((await setup.end(made.job)).result)), { n: 1 });
    const check = () => {
      throw new AthanorError("input_invalid", "no more");
    };
    await assert.rejects(
      setup.jobs.replay(job, () => ({ ...target, check })),
      code("input_invalid"),
    );
    const queued = await setup.call({ delayMs: 60_000 });
    await assert.rejects(
      setup.jobs.replay(queued, () => target),
      code("job_not_ended"),
    );
  });
});

describe("large inputs and results", () => {
  it("are kept as files that live as long as a job needs them", async () => {
    await using disk = await Disk.make();
    await using setup = await Setup.started(disk);
    const text = "ä".repeat(SERVER_DEFAULTS.payloadInlineMaxBytes / 2);
    const picture = Buffer.from("picture");
    const media = { $media: 0, file_name: "a.png", content_type: "image/png" };
    const job = await setup.spawn({ text, media }, null, [picture]);
    const stored = JSON.stringify({ text, media: { ...media, $media: sha256("picture") } });
    assert.equal((await setup.record(job)).input, `@${sha256(stored)}`);
    const call = await setup.starter.call(1);
    assert.deepEqual([call.open.input, call.media.map(String)], [{ text, media }, ["picture"]]);
    call.answer(thrown);
    await setup.end(job);
    const { record } = await setup.jobs.retry(job, null);
    await disk.store.jobPrune({ now: Date.now() + 1e9, limit: 10 });
    assert.equal(await disk.store.jobGet({ job }), null);
    assert.deepEqual(await disk.store.blobUnreferenced({ hashes: [sha256(stored), sha256("picture")] }), []);
    (await setup.starter.call(2)).answer(result({ text }));
    const ended = await setup.end(record.job);
    assert.equal(ended.result, `@${sha256(JSON.stringify({ text }))}`);
    assert.deepEqual((await setup.jobs.toJson(ended)).result, { text });
    const event = (await setup.log(record.job)).find((each) => each.event === "job.result");
    assert.ok(event?.event === "job.result");
    assert.deepEqual([event.data.value, event.data.blob], [null, ended.result?.slice(1)]);
    assert.deepEqual(await setup.jobs.view.expandResult(record.job, event.data), { text });
  });

  it("are refused where no replica could be given them", async () => {
    await using disk = await Disk.make();
    await using setup = await Setup.started(disk);
    await assert.rejects(setup.spawn("x".repeat(16 * 1024 * 1024)), code("body_too_large"));
  });

  it("stay in the row up to the limit, byte for byte", async () => {
    await using disk = await Disk.make();
    await using setup = await Setup.started(disk, { drainMs: 0 });
    const inline = "x".repeat(SERVER_DEFAULTS.payloadInlineMaxBytes - 2);
    assert.equal((await setup.record(await setup.spawn(inline))).input, JSON.stringify(inline));
    assert.match((await setup.record(await setup.spawn(`${inline}x`))).input, /^@[0-9a-f]{64}$/);
  });
});

describe("cancelling", () => {
  it("takes a job's children and theirs with it, queued and running", async () => {
    await using disk = await Disk.make();
    await using setup = await Setup.started(disk, { fn: { concurrency: 2 } });
    const parent = await setup.spawn("parent");
    const child = await setup.call({ parent }, "child");
    const [first, second] = [await setup.starter.call(1), await setup.starter.call(2)];
    const grandchild = await setup.call({ parent: child }, "grandchild");
    const other = await setup.spawn("other");
    assert.equal(setup.jobs.runningOn(parent, String((await setup.record(parent)).replica))?.job, parent);
    assert.equal(setup.jobs.runningOn(parent, "replicas:0"), undefined);
    const ended = setup.end(grandchild);
    await setup.jobs.cancel(parent);
    assert.equal((await ended).status, "cancelled");
    assert.deepEqual([first.cancelled, second.cancelled], [["cancelled"], ["cancelled"]]);
    // Its code goes on to make jobs.
    const late = await setup.call({ parent });
    assert.equal((await setup.record(late)).status, "cancelled");
    first.answer(result(null));
    second.answer(thrown);
    assert.equal((await setup.end(parent)).status, "cancelled");
    assert.equal((await setup.end(child)).status, "cancelled");
    (await setup.starter.call(3)).answer(result(null));
    assert.equal((await setup.end(other)).status, "succeeded");
  });

  it("by a filter takes all that fit, in steps, and says how many", async () => {
    await using disk = await Disk.make();
    await using setup = await Setup.started(disk, { fn: { queue: { size: 5000, maxWorkers: 1, ttlS: 60 } } });
    await setup.call({ concurrencyKey: "a" });
    const running = await setup.starter.call(1);
    const kept = await setup.call({ concurrencyKey: "b" });
    const { deployment, fn } = setup;
    const calls = Array.from({ length: 700 }, () => ({ body: null, attachments: [] }));
    await setup.jobs.spawnMany({ deployment, fn, calls, idempotencyKey: null });
    await setup.jobs.cancel(kept);
    assert.deepEqual(await setup.jobs.cancelMany({ concurrencyKey: "a" }), { cancelled: 0, stopping: 1 });
    assert.deepEqual(running.cancelled, ["cancelled"]);
    assert.deepEqual(await setup.jobs.cancelMany({ app: "other" }), { cancelled: 0, stopping: 0 });
    assert.deepEqual(await setup.jobs.cancelMany({ app: "demo" }), { cancelled: 700, stopping: 1 });
    running.answer(result(null));
    assert.deepEqual(await setup.jobs.cancelMany({ status: ["queued"] }), { cancelled: 0, stopping: 0 });
  });
});

describe("many calls at once", () => {
  it("are one commit, and with a key one batch", async () => {
    await using disk = await Disk.make();
    await using setup = await Setup.started(disk, { fn: { queue: { size: 3, maxWorkers: 1, ttlS: 60 } } });
    setup.starter.autoReady = false;
    const { deployment, fn } = setup;
    const spawn = (bodies: number[], idempotencyKey: string | null = null) =>
      setup.jobs.spawnMany({
        deployment,
        fn,
        calls: bodies.map((body) => ({ body, attachments: [] })),
        idempotencyKey,
      });
    await assert.rejects(spawn([1, 2, 3, 4]), code("queue_full"));
    assert.deepEqual(await disk.store.jobList({ limit: 10 }), []);
    const numbers = (made: Awaited<ReturnType<typeof spawn>>) => made.map(({ job }) => job.job);
    const first = numbers(await spawn([1, 2, 3], "batch"));
    assert.deepEqual(numbers(await spawn([1, 2, 3], "batch")), first);
    await assert.rejects(spawn([1, 2], "batch"), code("idempotency_conflict"));
    await assert.rejects(spawn([1, 2, 4], "batch"), code("idempotency_conflict"));
    setup.starter.onCall = (call) => call.answer(result(null));
    (await setup.starter.replica(1)).becomeReady();
    for (const job of first) assert.equal((await setup.end(job)).status, "succeeded");
    assert.deepEqual(
      setup.starter.calls.map(({ open }) => open.input),
      [1, 2, 3],
    );
    await turn();
  });
});
