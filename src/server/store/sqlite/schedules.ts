import { isDeepStrictEqual } from "node:util";
import { AthanorError } from "../../../protocol/errors.ts";
import type { InsertedJob, NewJob, NewSchedule, ScheduleRecord, VerbParams } from "../store.ts";
import type { Connection } from "./connection.ts";
import { jobInsertMany } from "./insert.ts";
import { toSchedule } from "./rows.ts";

/** The app's schedules are these from now on. One whose spec is what it was keeps its next time. */
export function replaceSchedules(db: Connection, app: string, schedules: NewSchedule[]): void {
  const before = new Map(scheduleList(db, { app }).map((schedule) => [schedule.function, schedule]));
  for (const { function: name, spec, nextAt } of schedules) {
    const known = before.get(name);
    before.delete(name);
    if (known !== undefined && isDeepStrictEqual(known.spec, spec)) continue;
    db.run("scheduleSet", { app, function: name, spec: JSON.stringify(spec), nextAt });
  }
  for (const name of before.keys()) db.run("scheduleDelete", { app, function: name });
}

export function scheduleList(db: Connection, p: VerbParams<"scheduleList">): ScheduleRecord[] {
  return db.all("scheduleList", { app: p.app ?? null }).map(toSchedule);
}

export function schedulePause(db: Connection, p: VerbParams<"schedulePause">): ScheduleRecord | null {
  const { app, function: name, paused, nextAt = null } = p;
  const row = db.get("schedulePause", { app, function: name, paused: paused ? 1 : 0, nextAt });
  return row === undefined ? null : toSchedule(row);
}

export function scheduleDue(db: Connection, p: VerbParams<"scheduleDue">): ScheduleRecord[] {
  return db.all("scheduleDue", { now: p.now, limit: p.limit }).map(toSchedule);
}

export function scheduleNext(db: Connection): number | null {
  return (db.get("scheduleNext") as { next: number | null }).next;
}

export function scheduleFire(
  db: Connection,
  p: VerbParams<"scheduleFire">,
): { fired: boolean; inserted: InsertedJob | null } {
  const { app, function: name, from, nextAt, job, now } = p;
  // Before anything is written, so that what fails here leaves nothing to undo.
  if (!isAt(db, p)) return { fired: false, inserted: null };
  const inserted = job === null ? null : insertUnlessFull(db, job, now);
  db.run("scheduleMove", { app, function: name, nextAt });
  if (inserted !== null) db.run("scheduleMade", { app, function: name, from, job: inserted.job.job });
  return { fired: true, inserted };
}

function isAt(db: Connection, { app, function: name, from }: VerbParams<"scheduleFire">): boolean {
  const row = db.get<{ next_at: number; paused: 0 | 1 }>("scheduleGet", { app, function: name });
  return row !== undefined && row.paused === 0 && row.next_at === from;
}

function insertUnlessFull(db: Connection, job: NewJob, now: number): InsertedJob | null {
  try {
    return jobInsertMany(db, { jobs: [job], now })[0] ?? null;
  } catch (error) {
    if (error instanceof AthanorError && error.code === "queue_full") return null;
    throw error;
  }
}
