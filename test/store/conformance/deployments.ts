import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  assertSound,
  claimOne,
  eventsOf,
  finish,
  givenDeployment,
  insertJobs,
  insertOne,
  newJob,
  type Open,
  rejectsWith,
  spec,
  T0,
} from "./given.ts";

export function deploymentConformance(open: Open): void {
  describe("deployments", () => {
    it("begins as building and is read back whole", async () => {
      await using store = await open();
      const made = await store.deploymentInsert({
        app: "demo",
        digest: "abc",
        spec: spec("demo"),
        uploadBlob: null,
        now: T0,
      });
      const expected = {
        deployment: 1,
        app: "demo",
        digest: "abc",
        spec: spec("demo"),
        status: "building",
        error: null,
      };
      assert.deepEqual(made, { ...expected, uploadBlob: null, createdAt: T0 });
      assert.deepEqual(await store.deploymentGet({ deployment: 1 }), made);
      assert.deepEqual(await store.deploymentListLive(), []);
      assert.equal(await store.deploymentGet({ deployment: 2 }), null);
    });

    it("supersedes the live one, and goes back to it", async () => {
      await using store = await open();
      const [first, second] = [await givenDeployment(store), await givenDeployment(store)];
      assert.equal((await store.deploymentGet({ deployment: first }))?.status, "superseded");
      assert.deepEqual(
        (await store.deploymentListLive()).map((d) => d.deployment),
        [second],
      );
      assert.equal((await store.deploymentActivate({ deployment: first, schedules: [], now: T0 })).status, "live");
      assert.equal((await store.deploymentActivate({ deployment: first, schedules: [], now: T0 })).status, "live");
      assert.equal((await store.deploymentGet({ deployment: second }))?.status, "superseded");
    });

    it("keeps the live one when the next fails", async () => {
      await using store = await open();
      const live = await givenDeployment(store);
      const { deployment } = await store.deploymentInsert({
        app: "demo",
        digest: "x",
        spec: spec("demo"),
        uploadBlob: null,
        now: T0,
      });
      const error = { code: "import_failed", message: "app.ts:3 threw", lastStderr: ["at app.ts:3"] };
      await store.deploymentFail({ deployment, error, now: T0 });
      const failed = await store.deploymentGet({ deployment });
      assert.deepEqual([failed?.status, failed?.error], ["failed", error]);
      assert.deepEqual(
        (await store.deploymentListLive()).map((d) => d.deployment),
        [live],
      );
      await rejectsWith(store.deploymentActivate({ deployment, schedules: [], now: T0 }), "internal");
      await rejectsWith(store.deploymentFail({ deployment: live, error, now: T0 }), "internal");
      await rejectsWith(store.deploymentActivate({ deployment: 99, schedules: [], now: T0 }), "deployment_not_found");
    });

    it("lists newest first, by app and before a number", async () => {
      await using store = await open();
      for (const app of ["one", "two", "one"]) await givenDeployment(store, app);
      const numbers = async (p: { app?: string; before?: number; limit: number }) =>
        (await store.deploymentList(p)).map((d) => d.deployment);
      assert.deepEqual(await numbers({ limit: 10 }), [3, 2, 1]);
      assert.deepEqual(await numbers({ app: "one", limit: 10 }), [3, 1]);
      assert.deepEqual(await numbers({ before: 3, limit: 1 }), [2]);
      assert.deepEqual(
        (await store.deploymentListLive()).map((d) => d.deployment),
        [3, 2],
      );
    });

    it("finds the live ones of some apps", async () => {
      await using store = await open();
      for (const app of ["one", "two", "one", "three"]) await givenDeployment(store, app);
      const live = async (apps: string[]) => (await store.deploymentListLive({ apps })).map((d) => d.deployment);
      assert.deepEqual(await live(["two", "one", "none"]), [3, 2]);
      assert.deepEqual(await live([]), []);
    });

    it("lets go of uploads that nobody can ask for again", async () => {
      await using store = await open();
      const uploads: string[] = [];
      const made = async (app: string): Promise<number> => {
        const uploadBlob = String(uploads.length).padStart(64, "0");
        uploads.push(uploadBlob);
        const digest = uploadBlob;
        return (await store.deploymentInsert({ app, digest, spec: spec(app), uploadBlob, now: T0 })).deployment;
      };
      const deployed = async (app = "demo"): Promise<number> => {
        const deployment = await made(app);
        await store.deploymentActivate({ deployment, schedules: [], now: T0 });
        return deployment;
      };
      const withJob = await deployed();
      await insertJobs(store, withJob, 1);
      const old = await deployed();
      const failed = await made("demo");
      await store.deploymentFail({ deployment: failed, error: { code: "x", message: "", lastStderr: [] }, now: T0 });
      const kept = [await deployed(), await deployed(), await deployed()];
      const building = await made("demo");
      const others = [await deployed("other"), await deployed("other")];
      const withUpload = async () =>
        (await store.deploymentList({ limit: 99 })).filter((d) => d.uploadBlob !== null).map((d) => d.deployment);
      assert.equal(await store.deploymentPrune({ keep: 2 }), 2);
      assert.deepEqual(await withUpload(), [...others.toReversed(), building, ...kept.toReversed(), withJob]);
      assert.equal(await store.deploymentPrune({ keep: 2 }), 0);
      const gone = [uploads[old - 1], uploads[failed - 1]];
      assert.deepEqual((await store.blobUnreferenced({ hashes: uploads })).toSorted(), gone.toSorted());
      await finish(store, await claimOne(store, withJob), "succeed");
      assert.equal(await store.deploymentPrune({ keep: 2 }), 1);
      assert.equal((await store.deploymentGet({ deployment: withJob }))?.status, "superseded");
      // One that is live again is kept, however old it is.
      await store.deploymentActivate({ deployment: kept[0] as number, schedules: [], now: T0 });
      assert.equal(await store.deploymentPrune({ keep: 0 }), 3);
      assert.deepEqual(await withUpload(), [others[1], building, kept[0]]);
      await assertSound(store);
    });

    it("needs those that are live or still have jobs", async () => {
      await using store = await open();
      const first = await givenDeployment(store);
      await insertJobs(store, first, 1);
      const second = await givenDeployment(store);
      const third = await givenDeployment(store);
      const needed = async () => (await store.deploymentListNeeded()).map((d) => d.deployment);
      assert.deepEqual(await needed(), [first, third]);
      const job = await claimOne(store, first);
      assert.deepEqual(await needed(), [first, third]);
      await finish(store, job, "succeed");
      assert.deepEqual(await needed(), [third]);
      assert(!(await needed()).includes(second));
    });

    it("deletes an app with its jobs, queued, running and ended", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      const other = await givenDeployment(store, "other");
      const idempotency = { key: "k", inputHash: "h" };
      await insertOne(store, newJob(deployment, { idempotency, inputBlobs: ["a".repeat(64)] }));
      await insertJobs(store, deployment, 2);
      await finish(store, await claimOne(store, deployment), "succeed");
      const running = await claimOne(store, deployment);
      const { job: kept } = await insertOne(store, newJob(other, { app: "other" }));

      assert.equal(await store.appDelete({ app: "demo", now: T0 }), true);
      assert.equal(await store.appDelete({ app: "demo", now: T0 }), false);
      const end = {
        job: running.job,
        fence: running.fence,
        outcome: { type: "fail", error: { code: "x", message: "" } },
      } as const;
      assert.equal(await store.jobFinish({ ...end, now: T0 }), null);
      const events = [{ event: "job.log", data: { stream: "stdout", line: "late", at: "" } } as const];
      assert.deepEqual(await store.eventAppend({ batches: [{ job: running.job, fence: 1, events }], now: T0 }), [[]]);
      assert.equal(await store.eventRange({ job: running.job, after: 0, limit: 1 }), null);
      assert.deepEqual(
        (await store.jobList({ limit: 10 })).map((j) => j.job),
        [kept.job],
      );
      assert.equal((await store.jobCounts({ now: T0 })).length, 1);
      assert.deepEqual(await store.blobUnreferenced({ hashes: ["a".repeat(64)] }), ["a".repeat(64)]);
      await rejectsWith(insertOne(store, newJob(deployment)), "deployment_not_found");

      const again = await givenDeployment(store);
      const { job, existing } = await insertOne(store, newJob(again, { idempotency }));
      assert(!existing && job.job > kept.job && again > other, "numbers are not used twice");
      assert.equal((await eventsOf(store, job.job)).length, 1);
      await assertSound(store);
    });
  });
}
