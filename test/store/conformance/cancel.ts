import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { JobFilter, NewJob, Store } from "../../../src/server/store/store.ts";
import {
  assertSound,
  claim,
  claimOne,
  eventsOf,
  finish,
  givenDeployment,
  insertJobs,
  insertOne,
  newJob,
  type Open,
  T0,
} from "./given.ts";

async function insertChild(store: Store, deployment: number, parent: number, p: Partial<NewJob> = {}): Promise<number> {
  return (await insertOne(store, newJob(deployment, { parent, ...p }))).job.job;
}

const statusOf = async (store: Store, job: number) => (await store.jobGet({ job }))?.status;

export function cancelConformance(open: Open): void {
  describe("cancelling a job with children", () => {
    it("cancels those that are queued, asks those that run to stop, and leaves those that ended", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      await insertJobs(store, deployment, 1);
      const parent = await claimOne(store, deployment);
      for (let i = 0; i < 3; i++) await insertChild(store, deployment, parent.job);
      const [ended, running] = await claim(store, deployment, { limit: 2 });
      assert(ended && running);
      const ofEnded = await insertChild(store, deployment, ended.job);
      const ofRunning = await insertChild(store, deployment, running.job, { function: "other" });
      await finish(store, ended, "succeed");
      const [bystander] = await insertJobs(store, deployment, 1);
      assert.equal((await store.jobGet({ job: ofRunning }))?.parent, running.job);

      const changes = await store.jobCancel({ job: parent.job, now: T0 + 1 });
      assert.deepEqual(
        changes?.map(({ job, events }) => [job.job, job.status, job.cancelRequestedAt, events.map((e) => e.event)]),
        [
          [parent.job, "running", T0 + 1, []],
          [running.job, "running", T0 + 1, []],
          [4, "cancelled", null, ["job.end"]],
          [ofEnded, "cancelled", null, ["job.end"]],
          [ofRunning, "cancelled", null, ["job.end"]],
        ],
      );
      for (const { job } of changes ?? []) assert.deepEqual(await store.jobGet({ job: job.job }), job);
      assert.equal(await statusOf(store, ended.job), "succeeded");
      assert.equal(await statusOf(store, bystander as number), "queued");
      assert.equal((await finish(store, running, "retry")).job.status, "cancelled");
      await assertSound(store);
    });

    it("leaves the children of an ended job alone", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      await insertJobs(store, deployment, 1);
      const parent = await claimOne(store, deployment);
      const child = await insertChild(store, deployment, parent.job);
      const { job } = await finish(store, parent, "succeed");
      assert.deepEqual(await store.jobCancel({ job: parent.job, now: T0 }), [{ job, events: [] }]);
      assert.equal(await statusOf(store, child), "queued");
    });

    it("reaches children that are made after it, of a job that is to stop or was stopped", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      await insertJobs(store, deployment, 2);
      const parent = await claimOne(store, deployment);
      await store.jobCancel({ job: parent.job, now: T0 });
      await store.jobCancel({ job: 2, now: T0 });
      for (const cancelled of [parent.job, 2]) {
        const { job, existing, position } = await insertOne(store, newJob(deployment, { parent: cancelled }), T0 + 5);
        assert.deepEqual([job.status, job.finishedAt, existing, position], ["cancelled", T0 + 5, false, 0]);
        assert.equal(job.error?.code, "cancelled");
        assert.deepEqual(await store.jobGet({ job: job.job }), job);
        assert.deepEqual(
          (await eventsOf(store, job.job)).map((e) => e.event),
          ["job.queued", "job.end"],
        );
      }
      await finish(store, parent, "cancel");
      assert.equal(await statusOf(store, await insertChild(store, deployment, parent.job)), "cancelled");
      const [free] = await insertJobs(store, deployment, 1);
      await finish(store, await claimOne(store, deployment), "succeed");
      assert.equal(await statusOf(store, await insertChild(store, deployment, free as number)), "queued");
      assert.equal(await statusOf(store, await insertChild(store, deployment, 9999)), "queued", "a job that is gone");
      await assertSound(store);
    });

    it("takes room of a concurrency key from those it cancels at once", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      await insertJobs(store, deployment, 1);
      const parent = await claimOne(store, deployment);
      const concurrencyKey = { key: "k", limit: 1 };
      for (let i = 0; i < 3; i++) await insertChild(store, deployment, parent.job, { concurrencyKey });
      const [outside] = await insertJobs(store, deployment, 1, { concurrencyKey });
      await store.jobCancel({ job: parent.job, now: T0 });
      assert.deepEqual(
        (await claim(store, deployment, { limit: 9 })).map(({ job }) => job),
        [outside],
      );
      assert.equal(
        await statusOf(store, await insertChild(store, deployment, parent.job, { concurrencyKey })),
        "cancelled",
      );
      await assertSound(store);
    });

    it("leaves no child behind that is made at the same time on another server", async () => {
      await using store = await open();
      await using other = await store.another();
      const deployment = await givenDeployment(store);
      await insertJobs(store, deployment, 1);
      const parent = await claimOne(store, deployment);
      const inserts = Array.from({ length: 10 }, (_, i) =>
        insertOne(i % 2 === 0 ? store : other, newJob(deployment, { parent: parent.job, function: `f${i % 3}` })),
      );
      const cancel = other.jobCancel({ job: parent.job, now: T0 });
      const more = Array.from({ length: 10 }, (_, i) =>
        insertOne(i % 2 === 0 ? store : other, newJob(deployment, { parent: parent.job, function: `f${i % 3}` })),
      );
      await Promise.all([...inserts, cancel, ...more]);
      const children = await store.jobList({ parent: parent.job, limit: 99 });
      assert.equal(children.length, 20);
      assert(children.every(({ status }) => status === "cancelled"));
      await assertSound(store);
    });
  });

  describe("cancelling by a filter", () => {
    async function cancelled(store: Store, filter: JobFilter, limit = 9): Promise<number[]> {
      const jobs: number[] = [];
      for (let after: number | null = 0; after !== null; ) {
        const { changes, next } = await store.jobCancelMany({ filter, after, limit, now: T0 + 1 });
        assert(next === null || next > after, "it goes on");
        jobs.push(...changes.map(({ job }) => job.job));
        after = next;
      }
      return jobs;
    }

    async function given(store: Store) {
      const deployment = await givenDeployment(store);
      const other = await givenDeployment(store, "other");
      await insertJobs(store, deployment, 4);
      await insertJobs(store, deployment, 1, { function: "b", concurrencyKey: { key: "k", limit: 1 } });
      await insertJobs(store, other, 1, { app: "other" });
      await finish(store, await claimOne(store, deployment), "succeed");
      await claimOne(store, deployment);
      return deployment;
    }

    const FILTERS: [JobFilter, number[]][] = [
      [{}, [2, 3, 4, 5, 6]],
      [{ app: "demo" }, [2, 3, 4, 5]],
      [{ app: "demo", function: "infer" }, [2, 3, 4]],
      [{ function: "infer" }, [2, 3, 4, 6]],
      [{ status: ["queued"] }, [3, 4, 5, 6]],
      [{ status: ["running", "succeeded"] }, [2]],
      [{ status: [] }, []],
      [{ app: "demo", function: "b", concurrencyKey: "k" }, [5]],
      [{ app: "none" }, []],
    ];
    for (const [filter, expected] of FILTERS) {
      it(`takes ${JSON.stringify(filter)}`, async () => {
        await using store = await open();
        await given(store);
        assert.deepEqual(await cancelled(store, filter), expected);
        const { cancelRequestedAt, status } = (await store.jobGet({ job: 2 })) ?? {};
        assert.deepEqual([status, cancelRequestedAt], ["running", expected.includes(2) ? T0 + 1 : null]);
        assert.equal(await statusOf(store, 1), "succeeded");
        for (const job of [3, 4, 5, 6])
          assert.equal(await statusOf(store, job), expected.includes(job) ? "cancelled" : "queued");
        await assertSound(store);
      });
    }

    it("goes page by page, with children, each job once", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      await insertJobs(store, deployment, 1);
      const parent = await claimOne(store, deployment);
      for (let i = 0; i < 5; i++) await insertChild(store, deployment, parent.job);
      const child = await insertChild(store, deployment, parent.job, { function: "other" });
      const { changes, next } = await store.jobCancelMany({
        filter: { function: "infer" },
        ...{ after: 0, limit: 2, now: T0 + 1 },
      });
      assert.deepEqual(
        changes.map(({ job }) => job.job),
        [1, 2, 3, 4, 5, 6, child],
      );
      assert(next !== null && next < 6);
      const rest = await store.jobCancelMany({ filter: { function: "infer" }, after: next, limit: 9, now: T0 + 1 });
      assert.deepEqual(rest, { changes: [], next: null });
      const children = await store.jobList({ parent: parent.job, status: ["cancelled"], limit: 9 });
      assert.equal(children.length, 6);
      await assertSound(store);
    });
  });
}
