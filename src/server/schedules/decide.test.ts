import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ScheduleSpec } from "../../protocol/spec.ts";
import { decideTick, newSchedules } from "./decide.ts";

const MINUTE_MS = 60_000;
const NOON = Date.parse("2026-11-24T12:00:00Z");
const LATE_MS = 30_000;
const hourly = (missed: ScheduleSpec["missed"]): ScheduleSpec => ({
  type: "cron",
  cron: "0 * * * *",
  timeZone: "UTC",
  missed,
});
const every = (everyS: number, missed: ScheduleSpec["missed"]): ScheduleSpec => ({ type: "every", everyS, missed });

/** In minutes from noon, when the first tick was. */
function decide(spec: ScheduleSpec, lateMs: number): { run: boolean; next: number } {
  const { run, nextAt } = decideTick(spec, { from: NOON, now: NOON + lateMs, lateMs: LATE_MS });
  return { run, next: (nextAt - NOON) / MINUTE_MS };
}

describe("a tick", () => {
  for (const missed of ["run_once", "skip"] as const) {
    it(`that is on time, or a little late, runs (${missed})`, () => {
      for (const late of [0, 1, LATE_MS]) {
        assert.deepEqual(decide(hourly(missed), late), { run: true, next: 60 });
        assert.deepEqual(decide(every(3600, missed), late), { run: true, next: 60 });
      }
    });

    it(`that comes again before it is looked at runs once (${missed})`, () => {
      assert.deepEqual(decide(every(1, missed), 3500), { run: true, next: 4 / 60 });
    });
  }

  it("that was missed runs once for all that were, where that is asked", () => {
    assert.deepEqual(decide(hourly("run_once"), LATE_MS + 1), { run: true, next: 60 });
    assert.deepEqual(decide(hourly("run_once"), 5 * 60 * MINUTE_MS + 1), { run: true, next: 360 });
    assert.deepEqual(decide(every(3600, "run_once"), 1000 * 60 * MINUTE_MS), { run: true, next: 60_060 });
  });

  it("that was missed does not run, where that is asked, but for one that has just come", () => {
    assert.deepEqual(decide(hourly("skip"), LATE_MS + 1), { run: false, next: 60 });
    assert.deepEqual(decide(hourly("skip"), 60 * MINUTE_MS - 1), { run: false, next: 60 });
    assert.deepEqual(decide(hourly("skip"), 60 * MINUTE_MS), { run: true, next: 120 });
    assert.deepEqual(decide(hourly("skip"), 60 * MINUTE_MS + LATE_MS), { run: true, next: 120 });
    assert.deepEqual(decide(hourly("skip"), 60 * MINUTE_MS + LATE_MS + 1), { run: false, next: 120 });
    assert.deepEqual(decide(every(600, "skip"), 25 * MINUTE_MS), { run: false, next: 30 });
    assert.deepEqual(decide(every(600, "skip"), 20 * MINUTE_MS), { run: true, next: 30 });
  });
});

describe("newSchedules", () => {
  it("gives each scheduled function its first tick: a whole period from now, or when the cron expression says", () => {
    const now = NOON + 12_345;
    const functions = [
      { name: "hourly", schedule: hourly("skip") },
      { name: "called", schedule: null },
      { name: "often", schedule: every(90, "run_once") },
    ];
    assert.deepEqual(newSchedules(functions, now), [
      { function: "hourly", spec: hourly("skip"), nextAt: NOON + 60 * MINUTE_MS },
      { function: "often", spec: every(90, "run_once"), nextAt: now + 90_000 },
    ]);
  });
});
