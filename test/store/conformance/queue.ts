import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  assertSound,
  claim,
  claimOne,
  ERROR,
  eventsOf,
  finish,
  givenDeployment,
  insertJobs,
  insertOne,
  newJob,
  type Open,
  rejectsWith,
  T0,
} from "./given.ts";

export function queueConformance(open: Open): void {
  describe("queue", () => {
    it("inserts in order, each with its number, place and event", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
      const jobs = [newJob(deployment), newJob(deployment, { function: "other", traceparent }), newJob(deployment)];
      const inserted = await store.jobInsertMany({ jobs, now: T0 });
      assert.deepEqual(
        inserted.map((i) => [i.job.job, i.job.function, i.position, i.existing]),
        [
          [1, "infer", 1, false],
          [2, "other", 1, false],
          [3, "infer", 2, false],
        ],
      );
      for (const { job } of inserted) assert.deepEqual(await store.jobGet({ job: job.job }), job);
      assert.deepEqual(
        inserted.map(({ job }) => job.traceparent),
        [null, traceparent, null],
      );
      assert.deepEqual(await eventsOf(store, 3), [{ id: 1, event: "job.queued", data: { position: 2 } }]);
      assert.deepEqual(await Promise.all([1, 2, 3, 4].map((job) => store.jobPosition({ job }))), [1, 1, 2, null]);
    });

    it("inserts thousands at once, long inputs among them", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      const jobs = Array.from({ length: 10_000 }, (_, i) =>
        newJob(deployment, { queueSize: 10_000, input: i % 100 === 0 ? JSON.stringify("é".repeat(i)) : "{}" }),
      );
      const inserted = await store.jobInsertMany({ jobs, now: T0 });
      assert.deepEqual(
        inserted.map(({ job, position }) => [job.job, position]),
        jobs.map((_, i) => [i + 1, i + 1]),
      );
      for (const number of [1, 2, 9901, 10_000]) {
        const job = await store.jobGet({ job: number });
        assert.deepEqual(job, inserted[number - 1]?.job);
        assert.equal(job?.input, jobs[number - 1]?.input);
      }
      assert.equal(await store.jobPosition({ job: 10_000 }), 10_000);
      await insertJobs(store, deployment, 1, { function: "other" });
      for (const filter of [{ status: ["queued" as const] }, { app: "demo" }]) {
        const newest = await store.jobList({ ...filter, limit: 2 });
        assert.deepEqual(
          newest.map(({ job }) => job),
          [10_001, 10_000],
        );
      }
      await assertSound(store);
    });

    it("inserts all or none", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      const jobs = [newJob(deployment), newJob(deployment, { queueSize: 1 })];
      await rejectsWith(store.jobInsertMany({ jobs, now: T0 }), "queue_full");
      assert.deepEqual(await store.jobList({ limit: 9 }), []);
      assert.deepEqual(await store.jobCounts({ now: T0 }), []);
      await assertSound(store);
    });

    it("refuses what a queue has no room for, and harms no other verb of the same turn", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      const insert = (p = {}) => insertOne(store, newJob(deployment, { queueSize: 2, ...p }));
      const all = await Promise.allSettled([insert(), insert(), insert(), insert({ function: "other" }), insert()]);
      assert.deepEqual(
        all.map(({ status }) => status),
        ["fulfilled", "fulfilled", "rejected", "fulfilled", "rejected"],
      );
      await rejectsWith(insert(), "queue_full");
      await claimOne(store, deployment);
      assert.equal((await insert()).position, 2, "a running job is not in the queue");
      await assertSound(store);
    });

    it("counts the whole function's queue, whichever deployment its jobs are of", async () => {
      await using store = await open();
      const first = await givenDeployment(store);
      await insertJobs(store, first, 2);
      const second = await givenDeployment(store);
      await rejectsWith(insertOne(store, newJob(second, { queueSize: 2 })), "queue_full");
      const { job, position } = await insertOne(store, newJob(second));
      assert.equal(position, 3);
      assert.equal(await store.jobPosition({ job: job.job }), 3);
      assert.deepEqual(
        (await claim(store, second, { limit: 9 })).map((j) => j.job),
        [job.job],
      );
    });

    it("claims the oldest first, over functions, up to the limit", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      for (const name of ["a", "b", "a", "c", "b", "a"]) await insertOne(store, newJob(deployment, { function: name }));
      const taken = await claim(store, deployment, { functions: ["b", "a"], limit: 4 });
      assert.deepEqual(
        taken.map((j) => j.job),
        [1, 2, 3, 5],
      );
      assert.deepEqual(
        (await claim(store, deployment, { functions: ["a", "b", "c"], limit: 9 })).map((j) => j.job),
        [4, 6],
      );
      assert.deepEqual(await claim(store, deployment, { functions: ["a", "b", "c"], limit: 9 }), []);
      assert.deepEqual(await claim(store, deployment, { limit: 0 }), []);
      assert.deepEqual(await claim(store, deployment, { functions: [], limit: 9 }), []);
    });

    it("starts what it claims", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      await insertOne(store, newJob(deployment));
      const job = await claimOne(store, deployment, T0 + 5);
      const { status, attempt, fence, replica, startedAt, statusSince, lastEvent, input } = job;
      assert.deepEqual(
        { status, attempt, fence, replica },
        { status: "running", attempt: 1, fence: 1, replica: "replicas:1" },
      );
      assert.deepEqual(
        { startedAt, statusSince, lastEvent, input },
        { ...{ startedAt: T0 + 5, statusSince: T0 + 5 }, lastEvent: 2, input: '{"text":"hello"}' },
      );
      assert.deepEqual(await store.jobGet({ job: job.job }), job);
      const running = { id: 2, event: "job.running", data: { attempt: 1, replica_id: "replicas:1" } };
      assert.deepEqual(await eventsOf(store, job.job, 1), [running]);
      assert.equal(await store.jobPosition({ job: job.job }), null);
    });

    it("never gives one job to two claims", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      await insertJobs(store, deployment, 40);
      const claims = await Promise.all(Array.from({ length: 30 }, () => claim(store, deployment, { limit: 3 })));
      const taken = claims.flat().map((j) => j.job);
      assert.deepEqual(
        taken,
        Array.from({ length: 40 }, (_, i) => i + 1),
      );
    });

    it("takes a requeued job at its old place, and a delayed one not before its time", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      await insertJobs(store, deployment, 3);
      const [first, second] = await claim(store, deployment, { limit: 2 });
      assert(first && second);
      const { job, events } = await finish(store, second, "lose");
      assert.deepEqual([job.status, job.attempt, job.lostCount, job.progress], ["queued", 1, 1, 0]);
      assert.deepEqual(
        events.map((e) => [e.event, e.data]),
        [
          ["job.retrying", { attempt: 1, delay_s: 0, error: { code: "handler_error", message: "it threw" } }],
          ["job.queued", { position: 1 }],
        ],
      );
      const retry = { type: "retry", error: ERROR, runAfter: T0 + 1500 } as const;
      const retried = await store.jobFinish({ job: first.job, fence: first.fence, outcome: retry, now: T0 });
      assert.equal(retried?.job.runAfter, T0 + 1500);
      assert.deepEqual(retried?.events[0]?.data, { attempt: 1, delay_s: 1.5, error: retry.error });
      assert.deepEqual(retried?.events[1]?.data, { position: 1 });

      const count = { app: "demo", deployment, function: "infer" };
      assert.deepEqual(await store.jobCounts({ now: T0 }), [{ ...count, due: 2, queued: 3, running: 0 }]);
      assert.equal(await store.jobNextDue({ now: T0 }), T0 + 1500);
      assert.deepEqual(
        (await claim(store, deployment, { limit: 9, now: T0 + 1499 })).map((j) => j.job),
        [2, 3],
      );
      assert.deepEqual(await store.jobCounts({ now: T0 + 1500 }), [{ ...count, due: 1, queued: 1, running: 2 }]);
      assert.equal(await store.jobNextDue({ now: T0 + 1500 }), null);
      const [again] = await claim(store, deployment, { limit: 9, now: T0 + 1500 });
      assert.deepEqual([again?.job, again?.attempt, again?.fence, again?.runAfter], [1, 2, 2, null]);
      await assertSound(store);
    });

    it("lists newest first, by app, function, status and number", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      const other = await givenDeployment(store, "other");
      await insertJobs(store, deployment, 2);
      await insertOne(store, newJob(deployment, { function: "b" }));
      await insertOne(store, newJob(other, { app: "other" }));
      await finish(store, await claimOne(store, deployment), "fail");
      const numbers = async (p: object) => (await store.jobList({ limit: 9, ...p })).map((j) => j.job);
      assert.deepEqual(await numbers({}), [4, 3, 2, 1]);
      assert.deepEqual(await numbers({ limit: 2, before: 4 }), [3, 2]);
      assert.deepEqual(await numbers({ app: "demo" }), [3, 2, 1]);
      assert.deepEqual(await numbers({ app: "demo", function: "infer" }), [2, 1]);
      assert.deepEqual(await numbers({ function: "infer" }), [4, 2, 1]);
      assert.deepEqual(await numbers({ status: ["failed"] }), [1]);
      assert.deepEqual(await numbers({ app: "demo", function: "infer", status: ["queued", "failed"] }), [2, 1]);
      assert.deepEqual(await numbers({ status: [] }), []);
    });
  });
}
