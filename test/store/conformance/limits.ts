import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ClaimFunction, NewJob, Store } from "../../../src/server/store/store.ts";
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
  T0,
  unlimited,
} from "./given.ts";

interface Claiming {
  limit?: number;
  now?: number;
  owner?: string;
}

function claimWith(store: Store, deployment: number, functions: ClaimFunction[], p: Claiming = {}) {
  const { limit = 9, now = T0, owner = "server-1" } = p;
  return store.jobClaim({ deployment, functions, limit, replica: "replicas:1", owner, now });
}

/** The numbers of the jobs that a claim takes. */
async function taken(store: Store, deployment: number, p: Claiming & { functions?: string[] } = {}) {
  return (await claim(store, deployment, { limit: 9, ...p })).map(({ job }) => job);
}

async function due(store: Store, now = T0): Promise<number[]> {
  return (await store.jobCounts({ now })).map((count) => count.due);
}

export function limitConformance(open: Open): void {
  describe("priority", () => {
    it("starts higher ones sooner, in order within one, over functions", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      const priorities = [0, 5, -1, 5, 1000, -1000, 0];
      for (const [i, priority] of priorities.entries())
        await insertOne(store, newJob(deployment, { priority, function: i % 2 === 0 ? "a" : "b" }));
      const functions = ["a", "b"];
      assert.deepEqual(await taken(store, deployment, { functions, limit: 3 }), [5, 2, 4]);
      assert.deepEqual(await taken(store, deployment, { functions }), [1, 7, 3, 6]);
    });

    it("decides the position", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      const jobs = [0, 5, -1, 5].map((priority) => newJob(deployment, { priority }));
      const inserted = await store.jobInsertMany({ jobs, now: T0 });
      assert.deepEqual(
        inserted.map(({ position }) => position),
        [1, 1, 3, 2],
      );
      const positions = () => Promise.all([1, 2, 3, 4].map((job) => store.jobPosition({ job })));
      assert.deepEqual(await positions(), [3, 1, 4, 2]);
      await claimOne(store, deployment);
      assert.deepEqual(await positions(), [2, null, 3, 1]);
      assert.deepEqual(await eventsOf(store, 3), [{ id: 1, event: "job.queued", data: { position: 3 } }]);
      assert.equal((await store.jobGet({ job: 2 }))?.priority, 5);
    });

    it("puts a requeued job before those that came after it", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      for (const priority of [1, 0, 1]) await insertOne(store, newJob(deployment, { priority }));
      await finish(store, await claimOne(store, deployment), "lose");
      assert.deepEqual(await taken(store, deployment), [1, 3, 2]);
    });
  });

  describe("delay", () => {
    it("keeps a job until its time, and then gives it its old place", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      const { job, position } = await insertOne(store, newJob(deployment, { runAfter: T0 + 100 }));
      assert.deepEqual([job.status, job.runAfter, position], ["queued", T0 + 100, 1]);
      assert.deepEqual(await store.jobGet({ job: 1 }), job);
      await insertJobs(store, deployment, 3);
      assert.equal(await store.jobPosition({ job: 2 }), 1, "who waits for its time is ahead of nobody");
      assert.deepEqual(await due(store), [3]);
      assert.equal(await store.jobNextDue({ now: T0 }), T0 + 100);
      assert.deepEqual(await taken(store, deployment, { limit: 1, now: T0 + 99 }), [2]);
      assert.deepEqual(await due(store, T0 + 100), [3]);
      assert.equal(await store.jobNextDue({ now: T0 + 100 }), null);
      assert.deepEqual(await taken(store, deployment, { now: T0 + 100 }), [1, 3, 4]);
      assert.equal((await store.jobGet({ job: 1 }))?.runAfter, null);
      await assertSound(store);
    });

    it("is none where its time has passed", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      await insertOne(store, newJob(deployment, { runAfter: T0 - 1 }));
      await insertOne(store, newJob(deployment, { runAfter: T0 }));
      assert.deepEqual(await taken(store, deployment), [1, 2]);
    });

    it("is over at once when asked", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      await insertJobs(store, deployment, 1, { runAfter: T0 + 1e9 });
      await insertJobs(store, deployment, 1);
      const record = await store.jobRunNow({ job: 1, now: T0 });
      assert.deepEqual([record?.status, record?.runAfter], ["queued", null]);
      assert.deepEqual(await store.jobGet({ job: 1 }), record);
      const ready = await store.jobGet({ job: 2 });
      assert.deepEqual(await store.jobRunNow({ job: 2, now: T0 }), ready, "there was no delay");
      assert.equal(await store.jobRunNow({ job: 99, now: T0 }), null);
      const [first] = await claim(store, deployment);
      assert.equal(first?.job, 1);
      assert.deepEqual(await store.jobRunNow({ job: 1, now: T0 }), first, "it runs already");
      await assertSound(store);
    });

    it("of a retry is over at once when asked, too", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      await insertJobs(store, deployment, 2);
      const { job, fence } = await claimOne(store, deployment);
      const outcome = { type: "retry", error: ERROR, runAfter: T0 + 1e9 } as const;
      await store.jobFinish({ job, fence, outcome, now: T0 });
      await store.jobRunNow({ job, now: T0 });
      assert.deepEqual(await taken(store, deployment), [1, 2]);
    });
  });

  describe("expiry", () => {
    const expiring = (p: Partial<NewJob> = {}) => ({ expiresAt: T0 + 100, ...p });

    it("ends a job that has not started by then, and claims do not take it", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      await insertJobs(store, deployment, 2, expiring());
      await insertJobs(store, deployment, 1);
      assert.equal(await store.jobNextDue({ now: T0 }), T0 + 100);
      assert.deepEqual(await store.jobExpire({ now: T0 + 99, limit: 9 }), []);
      assert.deepEqual(await due(store, T0 + 99), [3]);
      assert.deepEqual(await due(store, T0 + 100), [1], "an expired one is not due");
      assert.equal(await store.jobNextDue({ now: T0 + 100 }), null);
      assert.deepEqual(await taken(store, deployment, { now: T0 + 100 }), [3]);
      const changes = await store.jobExpire({ now: T0 + 100, limit: 9 });
      assert.deepEqual(
        changes.map(({ job }) => [job.job, job.status, job.finishedAt, job.startedAt, job.error?.code]),
        [1, 2].map((job) => [job, "expired", T0 + 100, null, "expired"]),
      );
      const error = changes[0]?.job.error;
      assert.deepEqual(changes[0]?.events, [{ id: 2, event: "job.end", data: { status: "expired", error } }]);
      assert.deepEqual(await store.jobGet({ job: 1 }), changes[0]?.job);
      assert.deepEqual(await eventsOf(store, 1, 1), changes[0]?.events);
      assert.deepEqual(await store.jobExpire({ now: T0 + 200, limit: 9 }), []);
      assert.equal(await store.jobPosition({ job: 1 }), null);
      await assertSound(store);
    });

    it("is over once the first attempt has started", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      await insertJobs(store, deployment, 1, expiring());
      const running = await claimOne(store, deployment, T0 + 99);
      assert.equal(running.expiresAt, T0 + 100);
      assert.deepEqual(await store.jobExpire({ now: T0 + 200, limit: 9 }), []);
      await finish(store, running, "lose", T0 + 200);
      assert.deepEqual(await store.jobExpire({ now: T0 + 300, limit: 9 }), []);
      assert.equal(await store.jobNextDue({ now: T0 }), null);
      assert.deepEqual(await taken(store, deployment, { now: T0 + 300 }), [1]);
    });

    it("reaches jobs that wait for their time, too, and stops at its limit", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      await insertJobs(store, deployment, 3, expiring({ runAfter: T0 + 1000 }));
      const expired = [];
      for (let i = 0; i < 3; i++) expired.push((await store.jobExpire({ now: T0 + 100, limit: 2 })).length);
      assert.deepEqual(expired, [2, 1, 0]);
      await assertSound(store);
    });
  });

  describe("a function's concurrency", () => {
    const two: ClaimFunction[] = [{ name: "infer", concurrency: 2, rate: null }];

    it("holds over all deployments of the app, and lets other functions through", async () => {
      await using store = await open();
      const first = await givenDeployment(store);
      const other = await givenDeployment(store, "other");
      await insertJobs(store, first, 3);
      await insertJobs(store, other, 1, { app: "other" });
      const { jobs, retryAt } = await claimWith(store, first, two, { limit: 1 });
      assert.deepEqual([jobs.length, retryAt], [1, null]);
      const second = await givenDeployment(store);
      await insertJobs(store, second, 3);
      await insertJobs(store, second, 1, { function: "free" });
      const both = [...two, ...unlimited("free")];
      assert.deepEqual(
        (await claimWith(store, second, both)).jobs.map(({ job }) => job),
        [5, 8],
      );
      assert.deepEqual(await claimWith(store, first, two), { jobs: [], retryAt: null });
      assert.equal((await claimWith(store, other, two)).jobs.length, 1, "another app's function of the same name");
      assert(jobs[0]);
      await finish(store, jobs[0], "lose");
      assert.deepEqual(
        (await claimWith(store, first, two)).jobs.map(({ job }) => job),
        [1],
      );
    });

    it("is never exceeded by claims at the same time, of one server or two", async () => {
      await using store = await open();
      await using other = await store.another();
      const deployment = await givenDeployment(store);
      await insertJobs(store, deployment, 20);
      const claims = Array.from({ length: 20 }, (_, i) =>
        claimWith(i % 2 === 0 ? store : other, deployment, two, { limit: 2, owner: `server-${i % 2}` }),
      );
      const jobs = (await Promise.all(claims)).flatMap((claimed) => claimed.jobs);
      assert.equal(jobs.length, 2);
      assert.equal((await store.jobCounts({ now: T0 }))[0]?.running, 2);
      await assertSound(store);
    });
  });

  describe("a rate", () => {
    const rated = (limit: number, perMs: number): ClaimFunction[] => [
      { name: "infer", concurrency: null, rate: { limit, perMs } },
    ];

    it("lets so many start in any such span, and says when the next may", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      await insertJobs(store, deployment, 9);
      const starts = async (at: number, limit = 9) => {
        const { jobs, retryAt } = await claimWith(store, deployment, rated(3, 1000), { now: T0 + at, limit });
        return [jobs.length, retryAt === null ? null : retryAt - T0];
      };
      assert.deepEqual(await starts(0, 1), [1, null]);
      assert.deepEqual(await starts(400, 1), [1, null]);
      assert.deepEqual(await starts(700), [1, 1000]);
      assert.deepEqual(await starts(999), [0, 1000]);
      assert.deepEqual(await starts(1000), [1, 1400], "the start at 0 has left the span");
      assert.deepEqual(await starts(1399), [0, 1400]);
      assert.deepEqual(await starts(1700), [2, 2000]);
      assert.deepEqual(await starts(5000), [3, null], "and no more are there");
      assert.deepEqual(await starts(5001), [0, null]);
    });

    it("holds for a claim that waited while others of a later time went before it", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      await insertJobs(store, deployment, 9);
      const starts = async (at: number, limit: number) =>
        (await claimWith(store, deployment, rated(2, 1000), { now: T0 + at, limit })).jobs.length;
      assert.deepEqual([await starts(0, 1), await starts(12, 1), await starts(1015, 1)], [1, 1, 1]);
      assert.equal(await starts(951, 1), 0, "0, 12 and 951 are in one span");
    });

    it("counts starts of attempts, over deployments, and holds up no other function", async () => {
      await using store = await open();
      const first = await givenDeployment(store);
      await insertJobs(store, first, 1);
      const [running] = (await claimWith(store, first, rated(2, 1000))).jobs;
      assert(running);
      await finish(store, running, "lose");
      assert.equal((await claimWith(store, first, rated(2, 1000))).jobs[0]?.job, 1);
      const second = await givenDeployment(store);
      await insertJobs(store, second, 1);
      await insertJobs(store, second, 1, { function: "free" });
      const { jobs, retryAt } = await claimWith(store, second, [...rated(2, 1000), ...unlimited("free")]);
      assert.deepEqual([jobs.map(({ job }) => job), retryAt], [[3], T0 + 1000]);
    });

    it("is kept where the deployments differ in its span", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      await insertJobs(store, deployment, 9);
      const long = rated(2, 10_000);
      assert.equal((await claimWith(store, deployment, long, { limit: 2 })).jobs.length, 2);
      assert.equal((await claimWith(store, deployment, rated(1, 100), { now: T0 + 100 })).jobs.length, 1);
      assert.equal((await claimWith(store, deployment, rated(1, 100), { now: T0 + 200 })).jobs.length, 1);
      assert.equal((await claimWith(store, deployment, long, { now: T0 + 9999 })).jobs.length, 0);
      assert.equal((await claimWith(store, deployment, long, { now: T0 + 10_100 })).jobs.length, 1);
    });

    it("is never exceeded by claims at the same time, of one server or two", async () => {
      await using store = await open();
      await using other = await store.another();
      const deployment = await givenDeployment(store);
      await insertJobs(store, deployment, 20);
      const claims = Array.from({ length: 20 }, (_, i) =>
        claimWith(i % 2 === 0 ? store : other, deployment, rated(3, 1000), { limit: 2 }),
      );
      const claimed = await Promise.all(claims);
      assert.equal(claimed.flatMap(({ jobs }) => jobs).length, 3);
      assert.equal(claimed.at(-1)?.retryAt, T0 + 1000);
      await assertSound(store);
    });
  });

  describe("a paused queue", () => {
    const queue = { app: "demo", function: "infer" };

    it("gives out nothing until it goes on; what runs goes on", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      await insertJobs(store, deployment, 3);
      const running = await claimOne(store, deployment);
      const record = await store.queuePause({ ...queue, paused: true, now: T0 });
      assert.deepEqual(record, { ...queue, paused: true, queued: 2, running: 1 });
      assert.deepEqual(await store.queueList({}), [record]);
      assert.deepEqual(await due(store), [0]);
      assert.deepEqual(await taken(store, deployment), []);
      await finish(store, running, "lose");
      assert.deepEqual(await taken(store, deployment), []);
      assert.equal((await insertOne(store, newJob(deployment))).position, 4);
      await store.queuePause({ ...queue, paused: false, now: T0 });
      assert.deepEqual(await due(store), [4]);
      assert.deepEqual(await taken(store, deployment), [1, 2, 3, 4]);
    });

    it("may be paused before it has a job, and is forgotten with its app", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      await givenDeployment(store, "other");
      await store.queuePause({ ...queue, paused: true, now: T0 });
      await store.queuePause({ app: "other", function: "a", paused: true, now: T0 });
      await insertJobs(store, deployment, 1);
      assert.deepEqual(await taken(store, deployment), []);
      await insertJobs(store, deployment, 1, { function: "b" });
      const empty = { paused: true, queued: 0, running: 0 };
      assert.deepEqual(await store.queueList({}), [
        { app: "demo", function: "b", paused: false, queued: 1, running: 0 },
        { ...queue, ...empty, queued: 1 },
        { app: "other", function: "a", ...empty },
      ]);
      assert.deepEqual(await store.queueList({ app: "other" }), [{ app: "other", function: "a", ...empty }]);
      await store.appDelete({ app: "demo", now: T0 });
      assert.equal((await store.queueList({})).length, 1);
      const again = await givenDeployment(store);
      await insertJobs(store, again, 1);
      assert.equal((await taken(store, again)).length, 1);
    });
  });
}
