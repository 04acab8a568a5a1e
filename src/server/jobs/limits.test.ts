import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { exitOf } from "../../../test/harness/fake-replicas.ts";
import { Disk, result, Setup } from "../../../test/harness/job-setup.ts";

const WIDE = { queue: { size: 2000, maxWorkers: 10, ttlS: 60 }, concurrency: 10, maxReplicas: 5 };
const limits = (
  changes: Partial<{
    concurrency: number | null;
    keyConcurrency: number;
    rate: { limit: number; perS: number } | null;
  }>,
) => ({
  limits: { concurrency: null, keyConcurrency: 1, rate: null, ...changes },
});

async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await turn();
}

describe("the limit of a function", () => {
  it("holds over all its replicas, and starts none that it would leave idle", async () => {
    await using disk = await Disk.make();
    await using setup = await Setup.started(disk, { fn: { ...WIDE, ...limits({ concurrency: 1 }) }, drainMs: 0 });
    const { deployment, fn } = setup;
    const calls = Array.from({ length: 1000 }, (_, body) => ({ body, attachments: [] }));
    await setup.jobs.spawnMany({ deployment, fn, calls, idempotencyKey: null });
    for (let n = 1; n <= 30; n++) {
      const call = await setup.starter.call(n);
      await settle();
      assert.equal(setup.starter.calls.length, n);
      assert.equal(call.open.input, n - 1);
      call.answer(result(null));
    }
    assert.equal(setup.starter.replicas.length, 1);
    const second = await setup.record(40);
    assert.equal((await setup.waiting(second.job))?.reason, "position");
  });

  it("says that it is what a job waits for", async () => {
    await using disk = await Disk.make();
    await using setup = await Setup.started(disk, { fn: { ...WIDE, ...limits({ concurrency: 1 }) }, drainMs: 0 });
    await setup.spawn();
    const next = await setup.spawn();
    await setup.starter.call(1);
    const waiting = await setup.waiting(next);
    assert.deepEqual([waiting?.reason, waiting?.position], ["concurrency", 1]);
    assert.match(String(waiting?.detail), /1 run, .* concurrency is 1/);
  });

  it("holds over deployments: the new one's jobs start as the old one's end", async () => {
    await using disk = await Disk.make();
    await using setup = await Setup.started(disk, { fn: { ...WIDE, ...limits({ concurrency: 1 }) }, drainMs: 0 });
    await setup.spawn("old");
    const old = await setup.starter.call(1);
    const deployment = await setup.redeploy({ ...WIDE, ...limits({ concurrency: 1 }) });
    const job = await setup.call({}, "new", deployment);
    await settle();
    assert.equal(setup.starter.calls.length, 1);
    old.answer(result(null));
    const call = await setup.starter.call(2);
    assert.equal(call.open.input, "new");
    call.answer(result(null));
    assert.equal((await setup.end(job)).status, "succeeded");
  });

  it("lets the older deployment's jobs go first", async () => {
    await using disk = await Disk.make();
    await using setup = await Setup.started(disk, { fn: { ...WIDE, ...limits({ concurrency: 1 }) }, drainMs: 0 });
    for (const body of ["old 1", "old 2", "old 3"]) await setup.spawn(body);
    await setup.starter.call(1);
    const deployment = await setup.redeploy({ ...WIDE, ...limits({ concurrency: 1 }) });
    await setup.call({}, "new 1", deployment);
    const started: unknown[] = [];
    for (let n = 1; n <= 4; n++) {
      const call = await setup.starter.call(n);
      started.push(call.open.input);
      call.answer(result(null));
    }
    assert.deepEqual(started, ["old 1", "old 2", "old 3", "new 1"]);
  });

  it("forgets no job of an older deployment whose replica has died while the new one's jobs run", {
    timeout: 30_000,
  }, async () => {
    await using disk = await Disk.make();
    await using setup = await Setup.started(disk, { fn: { ...WIDE, ...limits({ concurrency: 1 }) }, drainMs: 0 });
    await setup.spawn("old 1");
    const waiting = [await setup.spawn("old 2"), await setup.spawn("old 3")];
    await setup.starter.call(1);
    const deployment = await setup.redeploy({ ...WIDE, ...limits({ concurrency: 1 }) });
    for (const body of ["new 1", "new 2", "new 3"]) waiting.push(await setup.call({}, body, deployment));
    setup.starter.onCall = (call) => call.answer(result(null));
    setup.starter.replicas[0]?.end(exitOf());
    for (const job of waiting) assert.equal((await setup.end(job)).status, "succeeded");
  });

  it("asks the store for nothing more once the last job of many has ended", async () => {
    await using disk = await Disk.make();
    await using setup = await Setup.started(disk, { fn: { ...WIDE, ...limits({ concurrency: 2 }) } });
    setup.starter.onCall = (call) => call.answer(result(null));
    for (const job of await Promise.all(Array.from({ length: 20 }, () => setup.spawn()))) await setup.end(job);
    await settle();
    const claim = disk.store.jobClaim.bind(disk.store);
    let claims = 0;
    disk.store.jobClaim = (p) => {
      claims++;
      return claim(p);
    };
    await setup.end(await setup.spawn());
    await settle();
    assert.equal(claims, 0, "the job was started as it was inserted");
  });
});

describe("a rate limit", () => {
  it("lets the next job start when its time has come, and starts no replicas before", async () => {
    await using disk = await Disk.make();
    const fn = { ...WIDE, ...limits({ rate: { limit: 2, perS: 0.3 } }) };
    await using setup = await Setup.started(disk, { fn });
    setup.starter.onCall = (call) => call.answer(result(null));
    const started = Date.now();
    const jobs = await Promise.all(Array.from({ length: 5 }, () => setup.spawn()));
    await setup.starter.call(2);
    await settle();
    assert.equal(setup.starter.calls.length, 2);
    const waiting = await setup.waiting(jobs[2] as number);
    assert.deepEqual([waiting?.reason, waiting?.position], ["rate_limit", 1]);
    assert.ok(Number(waiting?.estimated_wait_s) <= 0.3);
    for (const job of jobs) await setup.end(job);
    const starts = await Promise.all(jobs.map(async (job) => Number((await setup.record(job)).startedAt)));
    const late = starts.map((at) => at - started).sort((a, b) => a - b);
    // Of any three starts the last comes a whole span after the first.
    for (let i = 2; i < late.length; i++) assert.ok(Number(late[i]) - Number(late[i - 2]) >= 300, late.join(" "));
    assert.equal(setup.starter.replicas.length, 1);
  });
});

describe("concurrency keys", () => {
  it("let one key's jobs run one at a time, and others pass", async () => {
    await using disk = await Disk.make();
    await using setup = await Setup.started(disk, { fn: WIDE, drainMs: 0 });
    const a = [await setup.call({ concurrencyKey: "a" }, "a1"), await setup.call({ concurrencyKey: "a" }, "a2")];
    await setup.call({ concurrencyKey: "a" }, "a3");
    await setup.call({ concurrencyKey: "b" }, "b1");
    const first = await setup.starter.call(1);
    await setup.starter.call(2);
    await settle();
    assert.deepEqual(
      setup.starter.calls.map(({ open }) => open.input),
      ["a1", "b1"],
    );
    const waiting = await setup.waiting(a[1] as number);
    assert.equal(waiting?.reason, "concurrency_key");
    assert.match(String(waiting?.detail), /1 at a time of the key "a"/);
    first.answer(result(null));
    const third = await setup.starter.call(3);
    assert.equal(third.open.input, "a2");
    third.answer(result(null));
    assert.equal((await setup.starter.call(4)).open.input, "a3");
  });

  it("start no replica for jobs that only wait for their key", async () => {
    await using disk = await Disk.make();
    await using setup = await Setup.started(disk, { fn: { ...WIDE, concurrency: 1 }, drainMs: 0 });
    for (let i = 0; i < 4; i++) await setup.call({ concurrencyKey: "a" }, i);
    await setup.starter.call(1);
    await settle();
    assert.equal(setup.starter.replicas.length, 1);
  });
});

describe("a queued job", () => {
  it("goes before others by its priority", async () => {
    await using disk = await Disk.make();
    await using setup = await Setup.started(disk);
    setup.starter.autoReady = false;
    for (const priority of [0, -5, 5, 5]) await setup.call({ priority }, priority);
    (await setup.starter.replica(1)).becomeReady();
    for (let n = 1; n <= 4; n++) (await setup.starter.call(n)).answer(result(null));
    assert.deepEqual(
      setup.starter.calls.map(({ open }) => open.input),
      [5, 5, 0, -5],
    );
  });

  it("waits for its delay, and not behind others", async () => {
    await using disk = await Disk.make();
    await using setup = await Setup.started(disk);
    setup.starter.onCall = (call) => call.answer(result(null));
    const delayed = await setup.call({ delayMs: 80 }, "later");
    assert.deepEqual((await setup.waiting(delayed))?.reason, "delayed");
    assert.equal(setup.starter.replicas.length, 0);
    await setup.end(await setup.spawn("now"));
    assert.equal((await setup.end(delayed)).status, "succeeded");
    const { createdAt, startedAt } = await setup.record(delayed);
    assert.ok(Number(startedAt) >= createdAt + 80);
    const past = await setup.call({ runAt: 1 });
    assert.equal((await setup.end(past)).status, "succeeded");
  });

  it("expires where it has not started in time, also while no server runs", async () => {
    await using disk = await Disk.make();
    const setup = await Setup.started(disk, { fn: { expireS: 0.05 } });
    const running = await setup.call({ expireS: 60 });
    const call = await setup.starter.call(1);
    const job = await setup.spawn();
    const ended = await setup.end(job);
    assert.deepEqual([ended.status, ended.error?.code], ["expired", "expired"]);
    assert.deepEqual(await setup.names(job), ["job.queued", "job.end"]);
    call.answer(result(null));
    assert.equal((await setup.end(running)).status, "succeeded");
    const kept = await setup.call({ expireS: 60, delayMs: 60_000 });
    assert.ok(Number((await setup.record(kept)).expiresAt) > Date.now() + 100_000);
    const left = await setup.call({ expireS: 0.05, delayMs: 20 });
    await setup[Symbol.asyncDispose]();
    while (Date.now() <= Number((await setup.record(left)).expiresAt)) await turn();
    await using next = setup.restarted();
    await next.jobs.start();
    assert.equal((await next.record(left)).status, "expired");
    assert.equal((await next.record(kept)).status, "queued");
  });

  it("of a paused queue starts when it is resumed, by this server or the next", async () => {
    await using disk = await Disk.make();
    const setup = await Setup.started(disk);
    const queue = { app: "demo", function: "f" };
    assert.equal((await setup.jobs.pause({ ...queue, paused: true })).paused, true);
    const job = await setup.spawn();
    await settle();
    assert.equal(setup.starter.replicas.length, 0);
    assert.equal((await setup.waiting(job))?.reason, "paused");
    await setup[Symbol.asyncDispose]();
    await using next = setup.restarted();
    await next.jobs.start();
    await settle();
    assert.equal(next.starter.replicas.length, 0);
    next.starter.onCall = (call) => call.answer(result(null));
    await next.jobs.pause({ ...queue, paused: false });
    assert.equal((await next.end(job)).status, "succeeded");
  });
});

describe("the estimate of a wait", () => {
  it("comes from how long jobs ran, and the Retry-After of a full queue with it", async () => {
    await using disk = await Disk.make();
    let now = Date.now();
    await using setup = await Setup.started(disk, {
      fn: { queue: { size: 2, maxWorkers: 1, ttlS: 60 } },
      now: () => now,
      drainMs: 0,
    });
    const first = await setup.spawn();
    const call = await setup.starter.call(1);
    now += 20_000;
    call.answer(result(null));
    await setup.end(first);
    await setup.spawn();
    await setup.starter.call(2);
    const [, third] = [await setup.spawn(), await setup.spawn()];
    assert.equal((await setup.waiting(third))?.estimated_wait_s, 40);
    await assert.rejects(setup.spawn(), (error: { headers: Record<string, string> }) => {
      assert.equal(error.headers["retry-after"], "20");
      return true;
    });
  });
});
