import type { ScheduleSpec } from "../../protocol/spec.ts";
import { nextTick } from "../../schedule/ticks.ts";
import type { NewSchedule } from "../store/store.ts";

/**
 * What becomes of a schedule whose next tick, at `from`, has come: whether there is a run now, and when the next tick is. Ticks are not made
 * up for one by one: of all that have passed there is one run, or none where `missed` is "skip" and none of them came within `lateMs`.
 */
export function decideTick(
  spec: ScheduleSpec,
  p: { from: number; now: number; lateMs: number },
): { run: boolean; nextAt: number } {
  const { from, now, lateMs } = p;
  const nextAt = nextTick(spec, { after: now, phase: from });
  const run =
    spec.missed === "run_once" ||
    now - from <= lateMs ||
    nextTick(spec, { after: now - lateMs - 1, phase: from }) <= now;
  return { run, nextAt };
}

/** The schedules of an app's functions, as a deployment that goes live now has them. */
export function newSchedules(
  functions: readonly { name: string; schedule: ScheduleSpec | null }[],
  now: number,
): NewSchedule[] {
  return functions.flatMap(({ name, schedule }) =>
    schedule === null
      ? []
      : [{ function: name, spec: schedule, nextAt: nextTick(schedule, { after: now, phase: now }) }],
  );
}
