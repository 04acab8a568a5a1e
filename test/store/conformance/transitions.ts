import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isFinal, JOB_STATUSES, JOB_TRANSITIONS, type JobTransition, transition } from "../../../src/protocol/job.ts";
import type { JobRecord, Store } from "../../../src/server/store/store.ts";
import {
  assertSound,
  claim,
  claimOne,
  ERROR,
  eventsOf,
  finish,
  givenDeployment,
  givenJobIn,
  insertJobs,
  insertOne,
  newJob,
  type Open,
  outcome,
  T0,
} from "./given.ts";

const TRANSITIONS = [
  ...new Set(Object.values(JOB_TRANSITIONS).flatMap((arrows) => Object.keys(arrows))),
] as JobTransition[];

/** Asks for the transition by the verb that makes it. */
async function attempt(
  store: Store,
  deployment: number,
  job: JobRecord,
  by: Exclude<JobTransition, "expire">,
): Promise<void> {
  if (by === "start") await claim(store, deployment, { limit: 9 });
  else if (by === "cancel" && job.status !== "running") await store.jobCancel({ job: job.job, now: T0 });
  else await store.jobFinish({ job: job.job, fence: job.fence, outcome: outcome(by), now: T0 });
}

export function transitionConformance(open: Open): void {
  describe("every transition of the table, and no other", () => {
    for (const from of JOB_STATUSES) {
      for (const by of TRANSITIONS) {
        const to = transition(from, by);
        // No verb makes a job expire; the table as a whole is held against each implementation's constraints.
        if (by === "expire" || from === "expired") continue;
        it(`${from} --${by}--> ${to ?? "nothing"}`, async () => {
          await using store = await open();
          const deployment = await givenDeployment(store);
          const before = await givenJobIn(store, deployment, from);
          assert(before);
          const logged = await eventsOf(store, before.job);
          await attempt(store, deployment, before, by);
          const after = await store.jobGet({ job: before.job });
          if (to === null) {
            assert.deepEqual(after, before);
            assert.deepEqual(await eventsOf(store, before.job), logged);
          } else assert.equal(after?.status, to);
          await assertSound(store);
        });
      }
    }
  });

  describe("ends", () => {
    it("succeeds with one result, and its events", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      await insertOne(store, newJob(deployment));
      const running = await claimOne(store, deployment);
      const { job, events } = await finish(store, running, "succeed", T0 + 9);
      const { status, result, error, progress, finishedAt, replica, lastEvent } = job;
      assert.deepEqual({ status, result, error }, { status: "succeeded", result: '{"ok":true}', error: null });
      assert.deepEqual(
        { progress, finishedAt, replica, lastEvent },
        { ...{ progress: 1, finishedAt: T0 + 9 }, replica: null, lastEvent: 4 },
      );
      assert.deepEqual(events, [
        { id: 3, event: "job.result", data: { value: { ok: true } } },
        { id: 4, event: "job.end", data: { status: "succeeded" } },
      ]);
      assert.deepEqual(await eventsOf(store, job.job, 2), events);
      assert.deepEqual(await store.jobGet({ job: job.job }), job);
    });

    it("keeps any JSON as a result, null and large ones too", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      for (const value of [null, false, '\u0000\ud83d\ude00"', { a: [1.5e300] }, "x".repeat(3_000_000)]) {
        await insertOne(store, newJob(deployment));
        const { job, fence } = await claimOne(store, deployment);
        const result = JSON.stringify(value);
        await store.jobFinish({ job, fence, outcome: { type: "succeed", result, resultBlobs: [] }, now: T0 });
        assert.equal((await store.jobGet({ job }))?.result, result);
        assert.deepEqual((await eventsOf(store, job, 2))[0]?.data, { value });
      }
    });

    for (const type of ["fail", "timeOut", "cancel"] as const) {
      it(`ends with its error by ${type}`, async () => {
        await using store = await open();
        const deployment = await givenDeployment(store);
        await insertOne(store, newJob(deployment));
        const { job, events } = await finish(store, await claimOne(store, deployment), type);
        assert.deepEqual([job.error, job.result], [ERROR, null]);
        assert.deepEqual(events, [{ id: 3, event: "job.end", data: { status: job.status, error: ERROR } }]);
      });
    }

    it("takes nothing from an attempt that no longer holds the job", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      await insertOne(store, newJob(deployment));
      const first = await claimOne(store, deployment);
      await finish(store, first, "lose");
      const stale = { job: first.job, fence: first.fence, outcome: outcome("succeed"), now: T0 };
      assert.equal(await store.jobFinish(stale), null, "queued again");
      const second = await claimOne(store, deployment);
      assert.equal(await store.jobFinish(stale), null, "held by another");
      const both = await Promise.all([1, 2].map(() => store.jobFinish({ ...stale, fence: second.fence })));
      assert.deepEqual(
        both.map((change) => change?.job.status),
        ["succeeded", undefined],
        "one result only",
      );
      assert.equal(await store.jobFinish({ ...stale, job: 99 }), null);
      assert.equal((await eventsOf(store, first.job)).filter((e) => e.event === "job.result").length, 1);
    });
  });

  describe("cancel", () => {
    it("ends a queued job at once", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      const [first] = await insertJobs(store, deployment, 2);
      const [change] = (await store.jobCancel({ job: first as number, now: T0 + 1 })) ?? [];
      assert.deepEqual(
        [change?.job.status, change?.job.finishedAt, change?.job.startedAt],
        ["cancelled", T0 + 1, null],
      );
      assert.deepEqual(
        change?.events.map((e) => e.event),
        ["job.end"],
      );
      assert.equal(change?.job.error?.code, "cancelled");
      assert.equal(await store.jobPosition({ job: 2 }), 1);
      assert.deepEqual(
        (await claim(store, deployment, { limit: 9 })).map((j) => j.job),
        [2],
      );
    });

    it("is noted on a running job, which then is not repeated", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      for (const type of ["retry", "lose", "cancel"] as const) {
        await insertOne(store, newJob(deployment));
        const running = await claimOne(store, deployment);
        const [change] = (await store.jobCancel({ job: running.job, now: T0 + 1 })) ?? [];
        assert.deepEqual([change?.job.status, change?.job.cancelRequestedAt, change?.events], ["running", T0 + 1, []]);
        const again = await store.jobCancel({ job: running.job, now: T0 + 2 });
        assert.equal(again?.[0]?.job.cancelRequestedAt, T0 + 1);
        assert.equal((await finish(store, running, type)).job.status, "cancelled");
      }
      await insertOne(store, newJob(deployment));
      const running = await claimOne(store, deployment);
      await store.jobCancel({ job: running.job, now: T0 });
      assert.equal(
        (await finish(store, running, "succeed")).job.status,
        "succeeded",
        "it was done before it could be stopped",
      );
    });

    it("leaves an ended job as it is", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      const ended = await givenJobIn(store, deployment, "failed");
      assert.deepEqual(await store.jobCancel({ job: 1, now: T0 }), [{ job: ended, events: [] }]);
      assert.equal(await store.jobCancel({ job: 99, now: T0 }), null);
    });
  });

  describe("rescue", () => {
    it("requeues what other servers ran, at its old place, and cancels what was to be cancelled", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      await insertJobs(store, deployment, 4);
      await claim(store, deployment, { limit: 2 });
      await store.jobCancel({ job: 2, now: T0 });
      await claim(store, deployment, { owner: "server-2" });
      const changes = await store.jobRescue({ server: "server-2", owners: "all", now: T0 + 7, limit: 9 });
      assert.deepEqual(
        changes.map(({ job }) => [job.job, job.status, job.lostCount]),
        [
          [1, "queued", 1],
          [2, "cancelled", 0],
        ],
      );
      assert.deepEqual(
        changes.map(({ events }) => events.map((e) => e.event)),
        [["job.retrying", "job.queued"], ["job.end"]],
      );
      assert.deepEqual(await store.jobRescue({ server: "server-2", owners: "all", now: T0, limit: 9 }), []);
      assert.equal((await store.jobGet({ job: 3 }))?.status, "running");
      assert.deepEqual(
        (await claim(store, deployment, { limit: 9 })).map((j) => [j.job, j.attempt, j.fence]),
        [
          [1, 2, 2],
          [4, 1, 1],
        ],
      );
      assert(changes.every(({ job }) => isFinal(job.status) === (job.finishedAt !== null)));
      await assertSound(store);
    });
  });
}
