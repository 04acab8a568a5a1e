import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  assertSound,
  claimOne,
  finish,
  givenDeployment,
  HOUR_MS,
  insertJobs,
  insertOne,
  newJob,
  type Open,
  outcome,
  rejectsWith,
  spec,
  T0,
} from "./given.ts";

const DAY_MS = 24 * HOUR_MS;
const hash = (digit: string) => digit.repeat(64);

export function upkeepConformance(open: Open): void {
  describe("idempotency", () => {
    const withKey = (deployment: number, p = {}) =>
      newJob(deployment, { idempotency: { key: "k", inputHash: "h" }, ...p });

    it("gives the same job for the same key, however far it has come", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      const jobs = [withKey(deployment), withKey(deployment), newJob(deployment)];
      const inserted = await store.jobInsertMany({ jobs, now: T0 });
      assert.deepEqual(
        inserted.map(({ job, existing, position }) => [job.job, existing, position]),
        [
          [1, false, 1],
          [1, true, 1],
          [2, false, 2],
        ],
      );
      await finish(store, await claimOne(store, deployment), "succeed");
      const again = await insertOne(store, withKey(deployment, { queueSize: 0 }), T0 + DAY_MS - 1);
      assert.deepEqual([again.existing, again.job.status, again.position], [true, "succeeded", 0]);
    });

    it("is of one function, and of one deployment no more than of another", async () => {
      await using store = await open();
      const first = await givenDeployment(store);
      await insertOne(store, withKey(first));
      assert.equal((await insertOne(store, withKey(first, { function: "other" }))).existing, false);
      assert.equal((await insertOne(store, withKey(await givenDeployment(store)))).existing, true);
    });

    it("conflicts where the input differs, and undoes the whole insert", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      await insertOne(store, withKey(deployment));
      const different = withKey(deployment, { idempotency: { key: "k", inputHash: "other" } });
      await rejectsWith(
        store.jobInsertMany({ jobs: [newJob(deployment), different], now: T0 }),
        "idempotency_conflict",
      );
      assert.equal((await store.jobList({ limit: 9 })).length, 1);
    });

    it("is over after 24 hours", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      await insertOne(store, withKey(deployment));
      const { job, existing } = await insertOne(store, withKey(deployment), T0 + DAY_MS);
      assert.deepEqual([job.job, existing], [2, false]);
      assert.equal((await insertOne(store, withKey(deployment), T0 + DAY_MS)).job.job, 2);
    });

    it("makes no second job within the window after the first has been deleted", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      await insertOne(store, withKey(deployment, { ttlS: 1 }));
      await finish(store, await claimOne(store, deployment), "succeed");
      assert.equal(await store.jobPrune({ now: T0 + HOUR_MS, limit: 9 }), 1);
      await rejectsWith(insertOne(store, withKey(deployment), T0 + HOUR_MS), "job_not_found");
      assert.equal(await store.jobPrune({ now: T0 + DAY_MS, limit: 9 }), 0);
      assert.equal((await insertOne(store, withKey(deployment), T0 + DAY_MS)).existing, false);
    });
  });

  describe("pruning", () => {
    it("deletes jobs that ended more than their ttlS ago, with all that is theirs", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      for (const ttlS of [10, 0, 20]) await insertOne(store, newJob(deployment, { ttlS, inputBlobs: [hash("a")] }));
      for (let i = 0; i < 3; i++) await finish(store, await claimOne(store, deployment), "succeed");
      await insertJobs(store, deployment, 2, { ttlS: 0 });
      await claimOne(store, deployment);
      const left = async () => (await store.jobList({ limit: 9 })).map((j) => j.job);
      assert.equal(await store.jobPrune({ now: T0, limit: 9 }), 0);
      assert.equal(await store.jobPrune({ now: T0 + 10_000, limit: 9 }), 1);
      assert.deepEqual(await left(), [5, 4, 3, 1]);
      assert.equal(await store.jobPrune({ now: T0 + 10_001, limit: 9 }), 1);
      assert.equal(await store.jobGet({ job: 1 }), null);
      assert.equal(await store.eventRange({ job: 1, after: 0, limit: 1 }), null);
      assert.deepEqual(await store.blobUnreferenced({ hashes: [hash("a")] }), []);
      assert.equal(await store.jobPrune({ now: T0 + HOUR_MS, limit: 9 }), 1);
      assert.deepEqual(await left(), [5, 4], "queued and running ones stay");
      assert.deepEqual(await store.blobUnreferenced({ hashes: [hash("a")] }), [hash("a")]);
      await assertSound(store);
    });

    it("stops at its limit", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      await insertJobs(store, deployment, 5, { ttlS: 0 });
      for (let i = 0; i < 5; i++) await finish(store, await claimOne(store, deployment), "fail");
      const pruned = [];
      for (let i = 0; i < 4; i++) pruned.push(await store.jobPrune({ now: T0 + 1, limit: 2 }));
      assert.deepEqual(pruned, [2, 2, 1, 0]);
    });
  });

  it("says what it is", async () => {
    await using store = await open();
    const about = await store.about();
    assert.equal(about.kind, store.shared ? "postgres" : "sqlite");
    assert.match(about.version, /^\d+\.\d+/);
    assert.ok(about.schema >= 1 && about.place !== "" && about.latencyMs >= 0, JSON.stringify(about));
  });

  describe("blobs", () => {
    it("that something needs are listed once each, in pages", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      await store.deploymentInsert({ app: "other", digest: "d", spec: spec("other"), uploadBlob: hash("a"), now: T0 });
      await insertOne(store, newJob(deployment, { inputBlobs: [hash("c"), hash("b")] }));
      await insertOne(store, newJob(deployment, { inputBlobs: [hash("b"), hash("d")] }));
      assert.deepEqual(await store.blobsNeeded({ limit: 3 }), [hash("a"), hash("b"), hash("c")]);
      assert.deepEqual(await store.blobsNeeded({ after: hash("c"), limit: 3 }), [hash("d")]);
    });

    it("are needed by the jobs whose input or result names them", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      await insertOne(store, newJob(deployment, { inputBlobs: [hash("a"), hash("a")], ttlS: 0 }));
      const { job, fence } = await claimOne(store, deployment);
      const hashes = ["a", "b", "c"].map(hash);
      assert.deepEqual(await store.blobUnreferenced({ hashes }), [hash("b"), hash("c")]);
      const succeed = { ...outcome("succeed"), resultBlobs: [hash("b"), hash("a")] } as const;
      await store.jobFinish({ job, fence, outcome: succeed as never, now: T0 });
      assert.deepEqual(await store.blobUnreferenced({ hashes }), [hash("c")]);
      await store.jobPrune({ now: T0 + 1, limit: 1 });
      assert.deepEqual(await store.blobUnreferenced({ hashes }), hashes);
    });

    it("are needed by the deployments whose upload they hold", async () => {
      await using store = await open();
      const made = { app: "demo", digest: "d", spec: spec("demo"), uploadBlob: hash("a"), now: T0 };
      const { deployment, uploadBlob } = await store.deploymentInsert(made);
      assert.equal(uploadBlob, hash("a"));
      assert.equal((await store.deploymentGet({ deployment }))?.uploadBlob, hash("a"));
      assert.deepEqual(await store.blobUnreferenced({ hashes: [hash("b"), hash("a")] }), [hash("b")]);
      await store.appDelete({ app: "demo", now: T0 });
      assert.deepEqual(await store.blobUnreferenced({ hashes: [hash("a")] }), [hash("a")]);
    });
  });
}
