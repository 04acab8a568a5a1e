import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { JobRecord, NewJob, Store } from "../../../src/server/store/store.ts";
import {
  assertSound,
  claim,
  claimOne,
  ERROR,
  finish,
  givenDeployment,
  insertJobs,
  newJob,
  type Open,
  T0,
} from "./given.ts";

/** Inserts one job for each key, in this order. */
async function insertKeys(
  store: Store,
  deployment: number,
  keys: string[],
  p: Partial<NewJob> & { limit?: number } = {},
) {
  const { limit = 1, ...rest } = p;
  const jobs = keys.map((key) => newJob(deployment, { concurrencyKey: { key, limit }, ...rest }));
  return await store.jobInsertMany({ jobs, now: T0 });
}

async function taken(store: Store, deployment: number, p: { limit?: number; now?: number } = {}) {
  return (await claim(store, deployment, { limit: 99, ...p })).map(({ job }) => job);
}

const running = async (store: Store, job: number) => (await store.jobGet({ job })) as JobRecord;

export function keyConformance(open: Open): void {
  describe("a concurrency key", () => {
    it("lets as many of its jobs run as the limit says, and tells of those that wait", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      const inserted = await insertKeys(store, deployment, ["a", "a", "b", "a"], { limit: 2 });
      assert.deepEqual(
        inserted.map(({ job, position }) => [job.keyWaits, position]),
        [
          [false, 1],
          [false, 2],
          [false, 3],
          [true, 4],
        ],
      );
      for (const { job } of inserted) assert.deepEqual(await store.jobGet({ job: job.job }), job);
      assert.equal((await store.jobCounts({ now: T0 }))[0]?.due, 3);
      assert.deepEqual(await taken(store, deployment), [1, 2, 3]);
      assert.deepEqual((await store.jobGet({ job: 4 }))?.concurrencyKey, { key: "a", limit: 2 });
      assert.equal(await store.jobPosition({ job: 4 }), 1);
      await finish(store, await running(store, 2), "succeed");
      assert.equal((await store.jobGet({ job: 4 }))?.keyWaits, false);
      assert.deepEqual(await taken(store, deployment), [4]);
      await assertSound(store);
    });

    it("is of one function", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      await insertKeys(store, deployment, ["a"]);
      await insertKeys(store, deployment, ["a"], { function: "other" });
      assert.equal((await claim(store, deployment, { functions: ["infer", "other"], limit: 9 })).length, 2);
    });

    it("has no place beyond the queue's size", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      await insertKeys(store, deployment, ["a", "a"], { queueSize: 2 });
      await assert.rejects(insertKeys(store, deployment, ["b"], { queueSize: 2 }));
    });

    it("takes turns with others: one with many jobs does not hold up one with few", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      await insertKeys(store, deployment, ["a", "a", "a", "a", "b", "b", "c"]);
      const order: number[] = [];
      for (;;) {
        const [job] = await claim(store, deployment);
        if (job === undefined) break;
        order.push(job.job);
        await finish(store, job, "succeed");
      }
      assert.deepEqual(order, [1, 5, 7, 2, 6, 3, 4]);
    });

    it("gives its room to the highest priority, then to the oldest", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      await insertKeys(store, deployment, ["a", "a"]);
      await insertKeys(store, deployment, ["a"], { priority: 3 });
      for (const expected of [1, 3, 2]) {
        const job = await claimOne(store, deployment);
        assert.equal(job.job, expected);
        await finish(store, job, "fail");
      }
    });

    it("heeds the limit of the job that would start next, and keeps the order", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      await insertKeys(store, deployment, ["a", "a"], { limit: 1 });
      await insertKeys(store, deployment, ["a", "a"], { limit: 3 });
      assert.deepEqual(
        await taken(store, deployment),
        [1],
        "the second may not run beside it, and the third not before it",
      );
      await finish(store, await running(store, 1), "succeed");
      assert.deepEqual(await taken(store, deployment), [2, 3, 4]);
      await insertKeys(store, deployment, ["a"], { limit: 2 });
      await finish(store, await running(store, 2), "succeed");
      assert.deepEqual(await taken(store, deployment), [], "two of three still run");
      await finish(store, await running(store, 3), "succeed");
      assert.deepEqual(await taken(store, deployment), [5]);
    });

    it("keeps its room over a lost attempt, and gives it away over a delay", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      await insertKeys(store, deployment, ["a", "a"]);
      await finish(store, await claimOne(store, deployment), "lose");
      const first = await claimOne(store, deployment);
      assert.equal(first.job, 1);
      const retry = { type: "retry", error: ERROR, runAfter: T0 + 100 } as const;
      await store.jobFinish({ job: 1, fence: first.fence, outcome: retry, now: T0 });
      const second = await claimOne(store, deployment);
      assert.equal(second.job, 2);
      assert.deepEqual(await taken(store, deployment, { now: T0 + 100 }), [], "it is due, and the room is taken");
      assert.equal((await store.jobGet({ job: 1 }))?.keyWaits, true);
      await finish(store, second, "succeed", T0 + 100);
      assert.deepEqual(await taken(store, deployment, { now: T0 + 100 }), [1]);
      await assertSound(store);
    });

    it("takes a delayed job when it is due, not before", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      await insertKeys(store, deployment, ["a"], { runAfter: T0 + 100 });
      const [{ job } = assert.fail()] = await insertKeys(store, deployment, ["a"]);
      assert.equal(job.keyWaits, false, "who waits for its time takes no room");
      await insertJobs(store, deployment, 1);
      assert.deepEqual(await taken(store, deployment, { limit: 1 }), [2]);
      await finish(store, await running(store, 2), "succeed");
      assert.deepEqual(
        await taken(store, deployment, { now: T0 + 100 }),
        [1, 3],
        "at its own place, as the key had room",
      );
    });

    it("gives its room on when its job is cancelled or expires", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      await insertKeys(store, deployment, ["a", "a"], { expiresAt: T0 + 100 });
      await insertKeys(store, deployment, ["a", "a", "a"]);
      await store.jobExpire({ now: T0 + 100, limit: 1 });
      await store.jobExpire({ now: T0 + 100, limit: 1 });
      await store.jobCancel({ job: 3, now: T0 + 100 });
      assert.deepEqual(await taken(store, deployment), [4]);
      await store.jobCancel({ job: 5, now: T0 });
      assert.equal((await store.jobGet({ job: 5 }))?.status, "cancelled");
      await finish(store, await running(store, 4), "timeOut");
      assert.deepEqual(await store.keyList({ app: "demo", function: "infer", limit: 9 }), []);
      await assertSound(store);
    });

    it("gives its room on when a lost job is cancelled instead of repeated", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      await insertKeys(store, deployment, ["a", "a"]);
      await claimOne(store, deployment);
      await store.jobCancel({ job: 1, now: T0 });
      await store.jobRescue({ server: "server-2", owners: "all", now: T0, limit: 9 });
      assert.deepEqual(await taken(store, deployment), [2]);
    });

    it("does not let a delay that is ended by hand pass its limit", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      await insertKeys(store, deployment, ["a"], { runAfter: T0 + 100 });
      await insertKeys(store, deployment, ["a"]);
      const record = await store.jobRunNow({ job: 1, now: T0 });
      assert.deepEqual([record?.keyWaits, record?.runAfter], [true, null]);
      assert.deepEqual(await taken(store, deployment), [2]);
      await finish(store, await running(store, 2), "succeed");
      assert.deepEqual(await taken(store, deployment), [1]);
    });

    it("is listed with its jobs, by key and page", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      await insertKeys(store, deployment, ["b", "a", "c", "a", "a"], { limit: 2 });
      await insertKeys(store, deployment, ["a"], { limit: 5 });
      await insertJobs(store, deployment, 1);
      await taken(store, deployment, { limit: 2 });
      const list = (p: { after?: string; limit?: number } = {}) =>
        store.keyList({ app: "demo", function: "infer", limit: 9, ...p });
      const expected = [
        { key: "a", queued: 3, running: 1, limit: 5 },
        { key: "b", queued: 0, running: 1, limit: 2 },
        { key: "c", queued: 1, running: 0, limit: 2 },
      ];
      assert.deepEqual(await list(), expected);
      assert.deepEqual(await list({ limit: 1 }), expected.slice(0, 1));
      assert.deepEqual(await list({ after: "a" }), expected.slice(1));
      assert.deepEqual(await store.keyList({ app: "demo", function: "none", limit: 9 }), []);
      const jobs = await store.jobList({ app: "demo", function: "infer", concurrencyKey: "a", limit: 9 });
      assert.deepEqual(
        jobs.map(({ job }) => job),
        [6, 5, 4, 2],
      );
    });

    it("is never exceeded, whatever ends and starts at the same time on two servers", async () => {
      await using store = await open();
      await using other = await store.another();
      const deployment = await givenDeployment(store);
      const keys = Array.from({ length: 40 }, (_, i) => `key-${i % 4}`);
      await insertKeys(store, deployment, keys, { limit: 2 });
      let ended = 0;
      const work = async (by: Store) => {
        while (ended < keys.length) {
          const jobs = await claim(by, deployment, { limit: 3 });
          for (const key of await by.keyList({ app: "demo", function: "infer", limit: 9 })) assert(key.running <= 2);
          await Promise.all(jobs.map((job) => finish(by, job, "succeed")));
          ended += jobs.length;
        }
      };
      await Promise.all([work(store), work(other), work(store), work(other)]);
      assert.equal(ended, keys.length);
      await assertSound(store);
    });
  });
}
