import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { JobStart, NewJob, Store } from "../../../src/server/store/store.ts";
import {
  assertSound,
  claim,
  claimOne,
  eventsOf,
  finish,
  givenDeployment,
  givenJobIn,
  insertOne,
  newJob,
  type Open,
  T0,
} from "./given.ts";

const START: JobStart = { limit: 1, concurrency: null, replica: "replicas:1", owner: "server-1" };

/** The numbers of the jobs, and whether each was started. */
async function insertAt(store: Store, start: Partial<JobStart>, ...jobs: NewJob[]): Promise<[number, boolean][]> {
  const inserted = await store.jobInsertMany({ jobs, start: { ...START, ...start }, now: T0 });
  for (const { job, started } of inserted)
    assert.deepEqual(await store.jobGet({ job: job.job }), started ?? job, "what was told is what is stored");
  return inserted.map(({ job, started }) => [job.job, started !== null]);
}

export function startConformance(open: Open): void {
  describe("insertion at a place", () => {
    it("starts a job in the step that inserts it", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      const [inserted] = await store.jobInsertMany({
        jobs: [newJob(deployment, { traceparent: "00-a-b-01" })],
        start: START,
        now: T0,
      });
      assert(inserted?.started);
      assert.equal(inserted.started.traceparent, "00-a-b-01");
      const { job, position, started } = inserted;
      assert.deepEqual([job.status, job.fence, job.startedAt, position], ["queued", 0, null, 1]);
      assert.deepEqual(
        [started.status, started.attempt, started.fence, started.replica, started.startedAt, started.lastEvent],
        ["running", 1, 1, "replicas:1", T0, 2],
      );
      assert.deepEqual(await store.jobGet({ job: job.job }), started);
      assert.deepEqual(await eventsOf(store, job.job), [
        { id: 1, event: "job.queued", data: { position: 1 } },
        { id: 2, event: "job.running", data: { attempt: 1, replica_id: "replicas:1" } },
      ]);
      const counts = { app: "demo", function: "infer", queued: 0, running: 1 };
      assert.deepEqual(await store.jobCounts({ now: T0 }), [{ ...counts, deployment, due: 0 }]);
      assert.deepEqual(await store.queueList({}), [{ ...counts, paused: false }]);
      assert.deepEqual(await claim(store, deployment), []);
      await assertSound(store);
      const change = await finish(store, started, "succeed");
      assert.deepEqual([change.job.status, change.events.map(({ id }) => id)], ["succeeded", [3, 4]]);
      await assertSound(store);
    });

    it("puts it back like any other that runs", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      await insertAt(store, {}, newJob(deployment, { expiresAt: T0 + 5 }));
      assert.deepEqual(await store.jobExpire({ now: T0 + 9, limit: 9 }), [], "it has started in time");
      const [lost] = await store.jobRescue({ server: "server-2", owners: "expired", now: T0, limit: 9 });
      assert.deepEqual([lost?.job.status, lost?.job.lostCount], ["queued", 1]);
      const again = await claimOne(store, deployment, T0 + 9);
      assert.deepEqual([again.attempt, again.fence], [2, 2]);
      const late = { job: again.job, fence: 1, outcome: { type: "fail", error: { code: "x", message: "" } } } as const;
      assert.equal(await store.jobFinish({ ...late, now: T0 + 9 }), null);
      await assertSound(store);
    });

    it("gives away as many places as there are, in order", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      const jobs = Array.from({ length: 4 }, () => newJob(deployment, { queueSize: 2 }));
      assert.deepEqual(await insertAt(store, { limit: 2 }, ...jobs), [
        [1, true],
        [2, true],
        [3, false],
        [4, false],
      ]);
      assert.deepEqual(
        (await claim(store, deployment, { limit: 9 })).map(({ job }) => job),
        [3, 4],
      );
      await assertSound(store);
    });

    it("holds the function's limit, over deployments and beside claims", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      const next = await givenDeployment(store);
      const start = { limit: 9, concurrency: 2 };
      assert.deepEqual(await insertAt(store, start, newJob(deployment)), [[1, true]]);
      assert.deepEqual(await insertAt(store, start, newJob(next), newJob(next)), [
        [2, true],
        [3, false],
      ]);
      await assertSound(store);
    });

    it("lets none pass one that is ready, unless its priority is higher", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      await insertOne(store, newJob(deployment));
      assert.deepEqual(await insertAt(store, {}, newJob(deployment)), [[2, false]]);
      assert.deepEqual(await insertAt(store, {}, newJob(deployment, { function: "other" })), [[3, true]]);
      assert.deepEqual(await insertAt(store, {}, newJob(deployment, { priority: 1 })), [[4, true]]);
      const next = await givenDeployment(store);
      assert.deepEqual(await insertAt(store, {}, newJob(next)), [[5, false]], "of an older deployment either");
      await assertSound(store);
    });

    it("starts none that may not be claimed", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      const concurrencyKey = { key: "ann", limit: 1 };
      assert.deepEqual(await insertAt(store, {}, newJob(deployment, { runAfter: T0 + 1 })), [[1, false]]);
      assert.deepEqual(await insertAt(store, {}, newJob(deployment, { concurrencyKey })), [[2, true]]);
      assert.deepEqual(await insertAt(store, {}, newJob(deployment, { concurrencyKey })), [[3, false]]);
      assert.deepEqual(await store.keyList({ app: "demo", function: "infer", limit: 9 }), [
        { key: "ann", queued: 1, running: 1, limit: 1 },
      ]);
      const ended = await givenJobIn(store, deployment, "cancelled");
      const parent = ended?.job ?? null;
      const [child] = await store.jobInsertMany({ jobs: [newJob(deployment, { parent })], start: START, now: T0 });
      assert.deepEqual([child?.job.status, child?.started, child?.position], ["cancelled", null, 0]);
      assert.deepEqual(await insertAt(store, {}, newJob(deployment, { function: "late", expiresAt: T0 })), [
        [6, false],
      ]);
      await store.queuePause({ app: "demo", function: "infer", paused: true, now: T0 });
      assert.deepEqual(await insertAt(store, {}, newJob(deployment)), [[7, false]]);
      await assertSound(store);
    });

    it("finds a job of the same idempotency key as it runs", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      const job = newJob(deployment, { idempotency: { key: "once", inputHash: "h" } });
      const insert = () => store.jobInsertMany({ jobs: [job], start: START, now: T0 });
      const both = (await Promise.all([insert(), insert()])).flat();
      assert.deepEqual(
        both.map(({ existing, started }) => [existing, started !== null]),
        [
          [false, true],
          [true, false],
        ],
      );
      assert.deepEqual(both[1]?.job, both[0]?.started);
      assert.deepEqual((await insert())[0]?.job, both[0]?.started);
    });

    it("keeps a window of one event, a webhook, blobs and a long input", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      const sha256 = "a".repeat(64);
      const job = newJob(deployment, {
        ...{ eventsWindow: 1, inputBlobs: [sha256], input: JSON.stringify("é".repeat(5000)) },
        webhook: { url: "http://example.com/", secret: "s" },
      });
      await insertAt(store, {}, job);
      assert.deepEqual(
        (await eventsOf(store, 1)).map(({ id, event }) => [id, event]),
        [[2, "job.running"]],
      );
      assert.deepEqual(await store.blobsNeeded({ limit: 9 }), [sha256]);
      assert.equal((await store.webhookGet({ job: 1 }))?.state, "waiting");
      await assertSound(store);
    });

    it("starts each job once, beside claims and pauses of another server", async () => {
      await using store = await open();
      await using other = await store.another();
      const deployment = await givenDeployment(store);
      const starts: number[] = [];
      const insert = async (of: Store, owner: string) => {
        for (let i = 0; i < 40; i++) {
          const start = { ...START, limit: i % 3, owner };
          const jobs = [newJob(deployment), newJob(deployment)];
          for (const { started } of await of.jobInsertMany({ jobs, start, now: T0 }))
            if (started !== null) starts.push(started.job);
        }
      };
      const take = async (of: Store, owner: string) => {
        for (let i = 0; i < 60; i++)
          for (const { job } of await claim(of, deployment, { limit: 3, owner })) starts.push(job);
      };
      const pause = async () => {
        for (let i = 0; i < 20; i++) {
          const before = await other.queuePause({ app: "demo", function: "infer", paused: true, now: T0 });
          const after = await other.queuePause({ app: "demo", function: "infer", paused: true, now: T0 });
          assert.equal(after.running, before.running, "nothing starts while it is paused");
          await other.queuePause({ app: "demo", function: "infer", paused: false, now: T0 });
        }
      };
      await Promise.all([insert(store, "s1"), insert(other, "s2"), take(store, "s1"), take(other, "s2"), pause()]);
      for (const { job } of await claim(store, deployment, { limit: 999 })) starts.push(job);
      assert.deepEqual(
        starts.toSorted((a, b) => a - b),
        Array.from({ length: 160 }, (_, i) => i + 1),
      );
      await assertSound(store);
    });
  });
}
