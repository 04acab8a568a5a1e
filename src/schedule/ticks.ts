import { Cron } from "croner";
import { SCHEDULE_LIMITS } from "../protocol/defaults.ts";
import type { ScheduleSpec } from "../protocol/spec.ts";

/** When the ticks of a schedule are. Pure: the build refuses with it what the server could not run, and the server computes with it. */

/** What is wrong with a schedule, as the end of a sentence that begins with whose it is; null where it is right. */
export function scheduleFault(spec: ScheduleSpec): string | null {
  return spec.type === "every" ? everyFault(spec.everyS) : (zoneFault(spec.timeZone) ?? cronFault(spec.cron));
}

/**
 * The first tick after `after`. `phase` is any tick of an `everyS` schedule, before or after: its ticks are whole periods away from it, so
 * that they never drift. Times are milliseconds since 1970. The schedule is one that scheduleFault finds right.
 */
export function nextTick(spec: ScheduleSpec, p: { after: number; phase: number }): number {
  if (spec.type === "every") {
    const periodMs = Math.round(spec.everyS * 1000);
    return p.phase + (Math.floor((p.after - p.phase) / periodMs) + 1) * periodMs;
  }
  const next = cronOf(spec.cron, spec.timeZone).nextRun(new Date(p.after));
  if (next === null)
    throw new Error(`the schedule "${spec.cron}" has no tick after ${new Date(p.after).toISOString()}`);
  return next.getTime();
}

/**
 * A fixed time of day (no `*` and no step in seconds, minutes and hours) that daylight saving skips comes at the end of the gap, one that it
 * repeats comes the first time. All others go by the clock on the wall: skipped times are left out, repeated ones come twice.
 */
function cronOf(cron: string, timeZone: string): Cron {
  return new Cron(cron, { timezone: timeZone, mode: "5-or-6-parts", fixedTimeRule: "no-wildcard", paused: true });
}

function everyFault(everyS: number): string | null {
  const { minEveryS, maxEveryS } = SCHEDULE_LIMITS;
  if (everyS >= minEveryS && everyS <= maxEveryS) return null;
  return `everyS is ${everyS}; a number from ${minEveryS} to ${maxEveryS} is needed`;
}

function zoneFault(timeZone: string): string | null {
  const fault = `the time zone ${JSON.stringify(timeZone)} is not known; an IANA name such as "Europe/Berlin" is needed`;
  // An offset is no zone: it knows no daylight saving.
  if (!/^[A-Za-z]/.test(timeZone)) return fault;
  try {
    new Intl.DateTimeFormat("en", { timeZone });
    return null;
  } catch {
    return fault;
  }
}

function cronFault(cron: string): string | null {
  const what = `the cron expression ${JSON.stringify(cron.slice(0, SCHEDULE_LIMITS.maxCronChars))}`;
  if (cron.length > SCHEDULE_LIMITS.maxCronChars)
    return `${what} is ${cron.length} characters long; at most ${SCHEDULE_LIMITS.maxCronChars} are allowed`;
  // The library takes a date as well, which would come once.
  const fields = cron.trim().split(/\s+/).length;
  if (!cron.startsWith("@") && fields !== 5 && fields !== 6)
    return `${what} has ${fields} fields; 5 (minute, hour, day, month, weekday), 6 (a second before them), or a name such as @hourly is needed`;
  try {
    return cronOf(cron, "UTC").nextRun(new Date(0)) === null ? `${what} names a day that never comes` : null;
  } catch (error) {
    return `${what} is not valid: ${(error as Error).message.replace(/^CronPattern: /, "")}`;
  }
}
