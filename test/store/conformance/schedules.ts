import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ScheduleSpec } from "../../../src/protocol/spec.ts";
import type { NewSchedule, Store } from "../../../src/server/store/store.ts";
import { assertSound, insertJobs, newJob, type Open, rejectsWith, spec, T0 } from "./given.ts";

const every = (everyS: number): ScheduleSpec => ({ type: "every", everyS, missed: "run_once" });
const CRON: ScheduleSpec = { type: "cron", cron: "0 9 * * 1", timeZone: "Europe/Berlin", missed: "skip" };

async function activate(store: Store, schedules: NewSchedule[], app = "demo"): Promise<number> {
  const made = { app, digest: "d".repeat(64), spec: spec(app), uploadBlob: null, now: T0 };
  const { deployment } = await store.deploymentInsert(made);
  await store.deploymentActivate({ deployment, schedules, now: T0 });
  return deployment;
}

export function scheduleConformance(open: Open): void {
  describe("schedules", () => {
    const of = (p: Partial<NewSchedule> = {}): NewSchedule => ({ function: "tick", spec: every(60), nextAt: T0, ...p });

    it("come and go with deployments; an equal one keeps its time, a changed one does not, and a pause stays", async () => {
      await using store = await open();
      const first = await activate(store, [of(), of({ function: "tock", spec: CRON, nextAt: T0 + 5 })]);
      const kept = { app: "demo", paused: false, lastAt: null, lastJob: null };
      assert.deepEqual(await store.scheduleList({}), [
        { ...of(), ...kept },
        { ...of({ function: "tock", spec: CRON, nextAt: T0 + 5 }), ...kept },
      ]);
      const pause = { app: "demo", function: "tick", paused: true, now: T0 };
      assert.deepEqual(await store.schedulePause(pause), { ...of(), ...kept, paused: true });

      // The same spec, its parts in another order.
      const { timeZone, ...rest } = CRON as Extract<ScheduleSpec, { type: "cron" }>;
      const same = { timeZone, ...rest } as ScheduleSpec;
      await activate(store, [of({ spec: every(30), nextAt: T0 + 9 }), of({ function: "tock", spec: same, nextAt: 1 })]);
      assert.deepEqual(
        (await store.scheduleList({ app: "demo" })).map((s) => [s.function, s.nextAt, s.paused, s.spec.type]),
        [
          ["tick", T0 + 9, true, "every"],
          ["tock", T0 + 5, false, "cron"],
        ],
      );
      await activate(store, [], "other");
      assert.equal((await store.scheduleList({})).length, 2);
      await store.deploymentActivate({ deployment: first, schedules: [of({ nextAt: 7 })], now: T0 });
      assert.deepEqual(
        (await store.scheduleList({})).map((s) => [s.function, s.nextAt]),
        [["tick", 7]],
      );
      await store.appDelete({ app: "demo", now: T0 });
      assert.deepEqual(await store.scheduleList({}), []);
    });

    it("are due by their time, the longest first, unless they are paused", async () => {
      await using store = await open();
      assert.equal(await store.scheduleNext(), null);
      await activate(store, [of({ nextAt: T0 + 2 }), of({ function: "b", nextAt: T0 + 1 }), of({ function: "c" })]);
      await activate(store, [of({ nextAt: T0 + 1 })], "other");
      const due = async (now: number, limit = 9) =>
        (await store.scheduleDue({ now, limit })).map((s) => `${s.app}/${s.function}`);
      assert.equal(await store.scheduleNext(), T0);
      assert.deepEqual(await due(T0 - 1), []);
      assert.deepEqual(await due(T0), ["demo/c"]);
      assert.deepEqual(await due(T0 + 2), ["demo/c", "demo/b", "other/tick", "demo/tick"]);
      assert.deepEqual(await due(T0 + 2, 1), ["demo/c"]);
      await store.schedulePause({ app: "demo", function: "c", paused: true, now: T0 });
      assert.deepEqual(await due(T0), []);
      assert.equal(await store.scheduleNext(), T0 + 1);
      const on = await store.schedulePause({ app: "demo", function: "c", paused: false, nextAt: T0 + 50, now: T0 });
      assert.deepEqual([on?.paused, on?.nextAt], [false, T0 + 50]);
      assert.equal(await store.schedulePause({ app: "demo", function: "none", paused: true, now: T0 }), null);
    });

    it("fire once a tick: the job and the next time, both or neither", async () => {
      await using store = await open();
      const deployment = await activate(store, [of()]);
      const job = newJob(deployment, { function: "tick", queueSize: 2 });
      const fire = (p: object = {}) =>
        store.scheduleFire({ app: "demo", function: "tick", from: T0, nextAt: T0 + 60, job, now: T0 + 1, ...p });
      const { fired, inserted } = await fire();
      assert.deepEqual([fired, inserted?.job.job, inserted?.job.status], [true, 1, "queued"]);
      assert.deepEqual(await store.jobGet({ job: 1 }), inserted?.job);
      const [schedule] = await store.scheduleList({});
      assert.deepEqual([schedule?.nextAt, schedule?.lastAt, schedule?.lastJob], [T0 + 60, T0, 1]);

      assert.deepEqual(await fire(), { fired: false, inserted: null }, "that tick has fired");
      assert.deepEqual(await fire({ function: "none" }), { fired: false, inserted: null });
      const skipped = { fired: true, inserted: null };
      assert.deepEqual(await fire({ from: T0 + 60, nextAt: T0 + 120, job: null }), skipped);
      await insertJobs(store, deployment, 1, { function: "tick" });
      assert.deepEqual(await fire({ from: T0 + 120, nextAt: T0 + 180 }), skipped, "its queue is full");
      const [now] = await store.scheduleList({});
      assert.deepEqual([now?.nextAt, now?.lastAt, now?.lastJob], [T0 + 180, T0, 1], "what made no job is no last tick");

      const gone = { ...job, deployment: 99 };
      await rejectsWith(fire({ from: T0 + 180, nextAt: T0 + 240, job: gone }), "deployment_not_found");
      assert.equal(await store.scheduleNext(), T0 + 180, "nothing is changed");
      await store.schedulePause({ app: "demo", function: "tick", paused: true, now: T0 });
      assert.equal((await fire({ from: T0 + 180, nextAt: T0 + 240 })).fired, false);
      assert.equal((await store.jobList({ limit: 9 })).length, 2);
      await assertSound(store);
    });

    it("fire once where several servers try", async () => {
      await using store = await open();
      await using other = await store.another();
      const deployment = await activate(store, [of()]);
      const job = newJob(deployment, { function: "tick" });
      for (let tick = 0; tick < 5; tick++) {
        const from = T0 + tick * 60;
        const tries = [store, other, store, other].map((by) =>
          by.scheduleFire({ app: "demo", function: "tick", from, nextAt: from + 60, job, now: from }),
        );
        const fired = (await Promise.all(tries)).filter((tried) => tried.fired);
        assert.deepEqual(
          fired.map(({ inserted }) => inserted?.existing),
          [false],
        );
      }
      assert.equal((await store.jobList({ limit: 99 })).length, 5);
    });
  });
}
