import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import { setTimeout as setTimeoutPromise, setImmediate as turn } from "node:timers/promises";
import { exitOf, type FakeCall, type FakeReplica } from "../../../test/harness/fake-replicas.ts";
import { Disk, result, Setup, thrown } from "../../../test/harness/job-setup.ts";
import { watching } from "../../../test/harness/watching.ts";
import { AthanorError } from "../../protocol/errors.ts";
import type { WatchEvent } from "../../protocol/event.ts";
import type { JobRecord } from "../store/store.ts";

describe("Jobs", () => {
  it("runs a job to its result, with its log", async () => {
    await using disk = await Disk.make();
    await using setup = await Setup.started(disk);
    const job = await setup.spawn({ text: "hi" });
    const call = await setup.starter.call(1);
    assert.deepEqual([call.open.input, call.open.attempt, call.open.jobId], [{ text: "hi" }, 1, `jobs:${job}`]);
    call.on.progress({ progress: 0.5, message: "half" });
    call.on.chunk({ index: 0, value: "a" });
    call.on.log({ stream: 1, fd: "stdout", line: "out", at: 5 });
    call.answer(result({ text: "HI" }));
    const record = await setup.end(job);
    assert.equal(record.status, "succeeded");
    assert.deepEqual(await setup.names(job), [
      "job.queued",
      "job.running",
      "job.progress",
      "job.chunk",
      "job.log",
      "job.result",
      "job.end",
    ]);
    const json = await setup.jobs.toJson(record);
    assert.deepEqual([json.result, json.progress, json.message, json.waiting], [{ text: "HI" }, 1, "half", null]);
  });

  it("tells watchers each event as it comes", async () => {
    await using disk = await Disk.make();
    await using setup = await Setup.started(disk, {
      fn: { retries: { max: 1, delayS: 0, backoff: 1, maxDelayS: 1, jitter: 0 } },
    });
    setup.starter.onCall = (call) => call.answer(call.open.attempt === 1 ? thrown : result(1));
    setup.starter.autoReady = false;
    const job = await setup.spawn();
    const seen: WatchEvent[] = [];
    const watched = (async () => {
      const toJson = (record: JobRecord) => setup.jobs.toJson(record);
      const params = { job, after: null, snapshot: false, toJson };
      for await (const event of watching(setup.events, params, AbortSignal.timeout(20_000))) seen.push(event);
    })();
    (await setup.starter.replica(1)).becomeReady();
    await watched;
    assert.deepEqual(
      seen.map(({ event }) => event),
      ["job.queued", "job.running", "job.retrying", "job.queued", "job.running", "job.result", "job.end"],
    );
    assert.deepEqual(
      seen.map(({ id }) => id),
      [1, 2, 3, 4, 5, 6, 7],
    );
  });

  it("claims a job in the transaction that inserts it, where a replica has room", async () => {
    await using disk = await Disk.make();
    await using setup = await Setup.started(disk);
    setup.starter.onCall = (call) => call.answer(result(null));
    await setup.end(await setup.spawn());
    await turn();
    const spawned = setup.spawn();
    // The claim is queued in the same turn: the next commit has both.
    await turn();
    assert.equal((await setup.record(await spawned)).status, "running");
  });

  it("runs one after the other, oldest first, and says why the others wait", async () => {
    await using disk = await Disk.make();
    await using setup = await Setup.started(disk);
    setup.starter.autoReady = false;
    const jobs = [await setup.spawn(1), await setup.spawn(2), await setup.spawn(3)];
    const waiting = async (): Promise<unknown[]> =>
      Promise.all(
        jobs.map(async (job) => {
          const found = (await setup.jobs.toJson(await setup.record(job))).waiting;
          return found === null ? null : [found.reason, found.position];
        }),
      );
    assert.deepEqual(await waiting(), [
      ["cold_start", 1],
      ["position", 2],
      ["position", 3],
    ]);
    (await setup.starter.replica(1)).becomeReady();
    const first = await setup.starter.call(1);
    assert.deepEqual(await waiting(), [null, ["concurrency", 1], ["position", 2]]);
    first.answer(result(null));
    const second = await setup.starter.call(2);
    assert.equal((await setup.record(jobs[0] as number)).status, "succeeded");
    second.answer(result(null));
    (await setup.starter.call(3)).answer(result(null));
    await setup.end(jobs[2] as number);
    assert.deepEqual(
      setup.starter.calls.map(({ open }) => open.input),
      [1, 2, 3],
    );
  });

  it("fills replicas up to their concurrency, and starts as many as the maximum allows", async () => {
    await using disk = await Disk.make();
    await using setup = await Setup.started(disk, { fn: { concurrency: 2, maxReplicas: 2 } });
    const jobs = await Promise.all(Array.from({ length: 6 }, (_, i) => setup.spawn(i)));
    await setup.starter.call(4);
    for (let i = 0; i < 5; i++) await turn();
    assert.deepEqual(
      setup.starter.replicas.map(({ jobs: open }) => open),
      [2, 2],
    );
    setup.starter.onCall = (call) => call.answer(result(null));
    for (const call of setup.starter.calls.slice()) call.answer(result(null));
    for (const job of jobs) assert.equal((await setup.end(job)).status, "succeeded");
    assert.equal(setup.starter.calls.length, 6);
  });

  it("retries with the delay, and counts only attempts that ran to their end", async () => {
    await using disk = await Disk.make();
    await using setup = await Setup.started(disk, {
      fn: { retries: { max: 2, delayS: 0.05, backoff: 1, maxDelayS: 1, jitter: 0 } },
    });
    const job = await setup.spawn();
    (await setup.starter.call(1)).answer(thrown);
    const reasons: string[] = [];
    while (setup.starter.calls.length < 2) {
      const { waiting } = await setup.jobs.toJson(await setup.record(job));
      if (waiting !== null) reasons.push(waiting.reason);
      await turn();
    }
    assert.equal(reasons[0], "retry_delay");
    // The server's own doing: not counted.
    (setup.starter.replicas[0] as FakeReplica).end(exitOf({ reason: "stopped" }));
    (await setup.starter.call(3)).answer(thrown);
    (await setup.starter.call(4)).answer(thrown);
    const record = await setup.end(job);
    assert.deepEqual(
      [record.status, record.attempt, record.lostCount, record.error?.code],
      ["failed", 4, 1, "handler_error"],
    );
  });

  it("gives jobs whose replica died another chance, and fails those under which three have died", async () => {
    await using disk = await Disk.make();
    await using setup = await Setup.started(disk, { fn: { concurrency: 2 } });
    const [a, b] = await Promise.all([setup.spawn("a"), setup.spawn("b")]);
    await setup.starter.call(2);
    for (let crash = 1; crash <= 2; crash++) {
      (setup.starter.replicas[crash - 1] as FakeReplica).end(exitOf());
      await setup.starter.call(2 * crash + 2);
    }
    (setup.starter.replicas[2] as FakeReplica).end(exitOf());
    for (const job of [a, b]) {
      const record = await setup.end(job);
      assert.deepEqual([record.status, record.error?.code], ["failed", "replica_crashed"]);
      assert.match(String(record.error?.message), /^3 replicas died/);
    }
    const alone = await setup.spawn("c");
    await setup.starter.call(7);
    (setup.starter.replicas[3] as FakeReplica).end(
      exitOf({ code: null, signal: "SIGSEGV", lastStderr: ["segfault at 0"] }),
    );
    (await setup.starter.call(8)).answer(result("survived"));
    const record = await setup.end(alone);
    assert.deepEqual([record.status, record.attempt, record.lostCount], ["succeeded", 2, 1]);
    const retrying = (await setup.log(alone)).find(({ event }) => event === "job.retrying");
    assert.match(JSON.stringify(retrying?.data), /signal SIGSEGV.*segfault at 0/);
  });

  it("runs a job again whose replica's connection broke before it got there, at no cost of an attempt", async () => {
    await using disk = await Disk.make();
    await using setup = await Setup.started(disk);
    const first = await setup.spawn({});
    (await setup.starter.call(1)).answer(result(0));
    await setup.end(first);
    const replica = setup.starter.replicas[0] as FakeReplica;
    replica.broken = true;
    const job = await setup.spawn({});
    replica.end(exitOf({ code: null, signal: "SIGKILL" }));
    (await setup.starter.call(2)).answer(result(1));
    const ended = await setup.end(job);
    assert.equal(ended.status, "succeeded");
    assert.equal(ended.attempt - ended.lostCount, 1);
  });

  it("cancels a queued job at once, and one that has ended not at all", async () => {
    await using disk = await Disk.make();
    await using setup = await Setup.started(disk);
    setup.starter.autoReady = false;
    const job = await setup.spawn();
    const waiting = setup.end(job);
    assert.equal((await setup.jobs.cancel(job)).status, "cancelled");
    assert.equal((await waiting).status, "cancelled");
    await assert.rejects(
      setup.jobs.cancel(job),
      (error) => error instanceof AthanorError && error.code === "job_ended",
    );
    await assert.rejects(
      setup.jobs.cancel(99),
      (error) => error instanceof AthanorError && error.code === "job_not_found",
    );
    assert.deepEqual(await setup.names(job), ["job.queued", "job.end"]);
  });

  it("cancels a running job, whatever its code answers", async () => {
    await using disk = await Disk.make();
    await using setup = await Setup.started(disk);
    const job = await setup.spawn();
    const call = await setup.starter.call(1);
    assert.equal((await setup.jobs.cancel(job)).status, "running");
    assert.deepEqual(call.cancelled, ["cancelled"]);
    call.answer(result("too late"));
    const record = await setup.end(job);
    assert.deepEqual([record.status, record.error?.code, record.result], ["cancelled", "cancelled", null]);
  });

  it("kills the replica of code that does not heed its signal; its neighbours run again", async () => {
    await using disk = await Disk.make();
    await using setup = await Setup.started(disk, { fn: { concurrency: 2 }, cancelGraceMs: 10 });
    const [job, neighbour] = await Promise.all([setup.spawn("a"), setup.spawn("b")]);
    await setup.starter.call(2);
    await setup.jobs.cancel(job);
    assert.equal((await setup.end(job)).status, "cancelled");
    assert.ok((setup.starter.replicas[0] as FakeReplica).killed);
    (await setup.starter.call(3)).answer(result(null));
    const record = await setup.end(neighbour);
    assert.deepEqual([record.status, record.attempt, record.lostCount], ["succeeded", 2, 1]);
  });

  it("cancels a job whose claim is just under way", async () => {
    await using disk = await Disk.make();
    await using setup = await Setup.started(disk);
    setup.starter.onCall = (call) => call.answer(result(null));
    const warm = await setup.spawn();
    await setup.end(warm);
    setup.starter.onCall = () => {};
    const spawned = setup.spawn();
    // Insertion, claim and cancellation share one commit, which comes at the end of this turn.
    for (let i = 0; i < 5; i++) await null;
    const cancelled = disk.store.jobCancel({ job: warm + 1, now: 2 });
    const direct = setup.jobs.cancel(warm + 1);
    assert.equal((await cancelled)?.[0]?.job.status, "running");
    await direct;
    const call: FakeCall = await setup.starter.call(2);
    if (call.cancelled.length === 0) await turn();
    assert.deepEqual(call.cancelled, ["cancelled"]);
    call.answer(thrown);
    assert.equal((await setup.end(await spawned)).status, "cancelled");
  });

  it("stops code that runs over its timeoutS", async () => {
    await using disk = await Disk.make();
    await using setup = await Setup.started(disk, {
      fn: { timeoutS: 0.02, retries: { max: 5, delayS: 0, backoff: 1, maxDelayS: 1, jitter: 0 } },
      cancelGraceMs: 10,
    });
    const job = await setup.spawn();
    const call = await setup.starter.call(1);
    const record = await setup.end(job);
    assert.deepEqual([record.status, record.error?.code, record.attempt], ["timed_out", "timeout", 1]);
    assert.deepEqual(call.cancelled, ["timeout"]);
    assert.ok((setup.starter.replicas[0] as FakeReplica).killed);
  });

  it("answers the same key with the same job, and a full queue with queue_full", async () => {
    await using disk = await Disk.make();
    await using setup = await Setup.started(disk, { fn: { queue: { size: 2, maxWorkers: 1, ttlS: 60 } } });
    setup.starter.autoReady = false;
    const first = await setup.spawn("a", "key");
    assert.equal(await setup.spawn("a", "key"), first);
    await assert.rejects(
      setup.spawn("b", "key"),
      (error) => error instanceof AthanorError && error.code === "idempotency_conflict",
    );
    await setup.spawn("b");
    await assert.rejects(setup.spawn("c"), (error) => error instanceof AthanorError && error.code === "queue_full");
    setup.starter.onCall = (call) => call.answer(result(null));
    (await setup.starter.replica(1)).becomeReady();
    assert.equal((await setup.end(first)).status, "succeeded");
  });

  it("keeps media as files, hands them to the code, and shows them in the job", async () => {
    await using disk = await Disk.make();
    await using setup = await Setup.started(disk);
    const bytes = Buffer.from("picture");
    const hash = createHash("sha256").update(bytes).digest("hex");
    const ref = { $media: 0, file_name: "a.png", content_type: "image/png" };
    const job = await setup.spawn({ page: ref }, null, [bytes]);
    const call = await setup.starter.call(1);
    assert.deepEqual(
      [call.open.input, call.open.media, call.media.map(String)],
      [{ page: ref }, [{ size: 7 }], ["picture"]],
    );
    call.answer(result([ref, { n: 1 }], [Buffer.from("out")]));
    const record = await setup.end(job);
    const out = createHash("sha256").update("out").digest("hex");
    assert.deepEqual(JSON.parse(String(record.result)), [{ ...ref, $media: out }, { n: 1 }]);
    const content = Buffer.from("out").toString("base64");
    const url = `/v1/jobs/jobs:${job}/files/${out}`;
    assert.deepEqual((await setup.jobs.toJson(record)).result, [
      { file_name: "a.png", content_type: "image/png", content, url },
      { n: 1 },
    ]);
    assert.deepEqual(await disk.store.blobUnreferenced({ hashes: [hash, out, "0".repeat(64)] }), ["0".repeat(64)]);
  });

  it("refuses a body that names another's file", async () => {
    await using disk = await Disk.make();
    await using setup = await Setup.started(disk);
    const foreign = { $media: "0".repeat(64), file_name: "a", content_type: "b" };
    await assert.rejects(
      setup.spawn({ x: foreign }),
      (error) => error instanceof AthanorError && error.code === "input_invalid",
    );
    const job = await setup.spawn();
    (await setup.starter.call(1)).answer(result(foreign));
    assert.equal((await setup.end(job)).error?.code, "output_invalid");
  });

  it("keeps jobs queued while no replica starts, with the reason, and runs them when one does", async () => {
    await using disk = await Disk.make();
    await using setup = await Setup.started(disk);
    setup.starter.autoReady = false;
    setup.starter.onCall = (call) => call.answer(result(null));
    const job = await setup.spawn();
    (await setup.starter.replica(1)).failToStart(new AthanorError("startup_failed", "no model"));
    await turn();
    const { waiting } = await setup.jobs.toJson(await setup.record(job));
    assert.deepEqual([waiting?.reason, waiting?.detail], ["no_capacity", "no model"]);
    (await setup.starter.replica(2)).becomeReady();
    assert.equal((await setup.end(job)).status, "succeeded");
  });

  it("starts no more replicas for a job that was cancelled while none would start", async () => {
    await using disk = await Disk.make();
    await using setup = await Setup.started(disk);
    setup.starter.autoReady = false;
    const job = await setup.spawn();
    (await setup.starter.replica(1)).failToStart(new AthanorError("startup_failed", "no model"));
    await setup.jobs.cancel(job);
    const group = setup.scheduler.groupFor(setup.deployment, setup.fn);
    for (let n = 2; group.dueJobs > 0; n++) {
      const again = await Promise.race([setup.starter.replica(n), setTimeoutPromise(2000, null)]);
      again?.failToStart(new AthanorError("startup_failed", "no model"));
    }
    assert.equal((await setup.record(job)).status, "cancelled");
  });

  it("kills what runs of an app that was deleted", async () => {
    await using disk = await Disk.make();
    await using setup = await Setup.started(disk);
    await setup.spawn();
    await setup.starter.call(1);
    await disk.store.appDelete({ app: "demo", now: 2 });
    setup.scheduler.retire(setup.deployment.number);
    setup.jobs.dropApp("demo");
    await (setup.starter.replicas[0] as FakeReplica).ended;
    while (setup.scheduler.replicas().length > 0) await turn();
    assert.ok((setup.starter.replicas[0] as FakeReplica).killed);
  });

  it("keeps how a job ended while the disk is full, takes no more jobs, and goes on when there is room", async () => {
    await using disk = await Disk.make();
    await using setup = await Setup.started(disk);
    const jobs = [await setup.spawn(1), await setup.spawn(2), await setup.spawn(3)];
    const call = await setup.starter.call(1);
    disk.store.limitPages(1);
    call.answer(result("x".repeat(200_000)));
    // The claim that shared the failed end's transaction may have had room; after that, none is made.
    (await setup.starter.call(2)).answer(result("y".repeat(200_000)));
    for (let i = 0; i < 20; i++) await turn();
    assert.deepEqual(await Promise.all(jobs.map(async (job) => (await setup.record(job)).status)), [
      "running",
      "running",
      "queued",
    ]);
    disk.store.limitPages(1_000_000);
    setup.starter.onCall = (third) => third.answer(result(null));
    for (const job of jobs) assert.equal((await setup.end(job)).status, "succeeded");
    assert.equal(setup.starter.calls.length, 3);
  });

  it("waits before it claims again where the store refused, and then runs what is due", async () => {
    await using disk = await Disk.make();
    await using setup = await Setup.started(disk);
    const { store } = disk;
    const claim = store.jobClaim.bind(store);
    let claims = 0;
    let full = true;
    store.jobClaim = async (p) => {
      claims++;
      if (!full) return await claim(p);
      await turn();
      throw new AthanorError("storage_full", "The disk is full.");
    };
    setup.starter.onCall = (call) => call.answer(result("ran"));
    const job = await setup.spawn();
    while (claims === 0) await turn();
    for (let i = 0; i < 50; i++) await turn();
    assert.ok(claims < 10, `${claims} claims in 50 turns`);
    full = false;
    assert.equal((await setup.end(job)).status, "succeeded");
  });

  it("lets running jobs end when it stops, and refuses new ones", async () => {
    await using disk = await Disk.make();
    await using setup = await Setup.started(disk);
    const job = await setup.spawn();
    const queued = await setup.spawn();
    const call = await setup.starter.call(1);
    const stopped = setup.jobs.stop();
    await assert.rejects(setup.spawn(), (error) => error instanceof AthanorError && error.code === "shutting_down");
    call.answer(result(null));
    await stopped;
    assert.deepEqual([(await setup.record(job)).status, (await setup.record(queued)).status], ["succeeded", "queued"]);
    await setup.jobs.stop();
    await setup.jobs.start();
    (await setup.starter.call(2)).answer(result(null));
    assert.equal((await setup.end(queued)).status, "succeeded");
  });

  it("puts jobs that do not end in time back in the queue; the next server runs them", async () => {
    await using disk = await Disk.make();
    const setup = await Setup.started(disk, { drainMs: 10 });
    const job = await setup.spawn();
    const call = await setup.starter.call(1);
    await setup[Symbol.asyncDispose]();
    assert.deepEqual(call.cancelled, ["shutdown"]);
    const lost = await setup.record(job);
    assert.deepEqual([lost.status, lost.lostCount], ["queued", 1]);

    await using next = setup.restarted();
    await next.jobs.start();
    (await next.starter.call(1)).answer(result(null));
    assert.equal((await next.end(job)).status, "succeeded");
  });

  it("takes up what a server left that was killed, and ends what was cancelled there", async () => {
    await using disk = await Disk.make();
    const killed = await Setup.started(disk, { drainMs: 0 });
    const job = await killed.spawn("a");
    const call = await killed.starter.call(1);
    // Nothing of the first server is stopped: to the second one, it is simply gone.
    await using next = killed.restarted({ drainMs: 0 });
    await next.jobs.start();
    const again = await next.starter.call(1);
    assert.equal(again.open.attempt, 2);
    call.answer(result("from the dead"));
    for (let i = 0; i < 5; i++) await turn();
    assert.equal((await next.record(job)).status, "running");
    again.answer(result("alive"));
    assert.equal((await next.end(job)).result, '"alive"');
    assert.deepEqual(await next.names(job), [
      "job.queued",
      "job.running",
      "job.retrying",
      "job.queued",
      "job.running",
      "job.result",
      "job.end",
    ]);

    const cancelled = await next.spawn("b");
    await next.starter.call(2);
    await disk.store.jobCancel({ job: cancelled, now: 3 });
    await using third = next.restarted();
    await third.jobs.start();
    assert.equal((await third.record(cancelled)).status, "cancelled");
    await killed[Symbol.asyncDispose]();
  });

  it("waits no longer than told, and notices its caller's leaving", async () => {
    await using disk = await Disk.make();
    await using setup = await Setup.started(disk);
    const job = await setup.spawn();
    const call = await setup.starter.call(1);
    const { signal } = new AbortController();
    assert.equal((await setup.jobs.wait({ job, timeoutMs: 1, signal })).status, "running");
    assert.equal((await setup.jobs.wait({ job, timeoutMs: 60_000, signal: AbortSignal.abort() })).status, "running");
    await assert.rejects(
      setup.jobs.wait({ job: 99, timeoutMs: 1, signal }),
      (error) => error instanceof AthanorError && error.code === "job_not_found",
    );
    call.answer(result(null));
    await setup.end(job);
  });
});
