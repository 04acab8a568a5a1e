import type { JobRecord } from "../store.ts";
import type { Connection } from "./connection.ts";
import type { JobRow } from "./job-row.ts";
import { newestJob, PLACES_PER_JOB } from "./place.ts";
import { toJob } from "./rows.ts";

/**
 * Whom a queued job waits for (`hold`), and concurrency keys.
 *
 *   delay --its time has come--> ready, or key where the job has a concurrency key that has no room
 *   key   --the key has room---> ready, behind all that are there
 *   ready --claimed, ended-----> (not queued)        running --retry--> delay    running --lose--> ready
 *
 * A key's room is taken by its jobs that run or are ready: so a claim need not look at keys at all. Of those that are parked (`key`), the one
 * with the highest priority, then the lowest number, is the head: it gets the next room, and while the room is too little for its own limit the
 * others wait behind it. After every step either none is parked, or the head does not fit.
 */

/** Jobs that one step releases; the next step goes on. */
const RELEASE_LIMIT = 10_000;

interface KeyHead {
  job: number;
  deployment: number;
  priority: number;
  key_limit: number;
}

interface KeyState {
  active: number;
  parked: number;
}

/** The hold of a job that is not delayed (any more): null, or `key` where it must be parked. */
export function holdOf(
  db: Connection,
  p: { job: number; queue: number; key: string | null; limit: number; priority: number },
): "key" | null {
  if (p.key === null) return null;
  const state = db.get<KeyState>("keyGet", { queue: p.queue, key: p.key });
  if (state === undefined) return null;
  if (state.active >= p.limit) return "key";
  if (state.parked === 0) return null;
  const head = db.get("keyHead", { queue: p.queue, key: p.key }) as KeyHead;
  const first = p.priority > head.priority || (p.priority === head.priority && p.job < head.job);
  return first ? null : "key";
}

/** Gives the room of the key, which a job of it may have left, to those that are parked. */
function settleKey(db: Connection, queue: number, key: string): void {
  for (;;) {
    const state = db.get<KeyState>("keyGet", { queue, key });
    if (state === undefined || state.parked === 0) return;
    const head = db.get("keyHead", { queue, key }) as KeyHead;
    if (state.active >= head.key_limit) return;
    db.run("jobHold", { job: head.job, hold: null, place: placeBehind(db, queue, head) });
  }
}

/** Behind all that are ready, and before those that will be inserted. */
function placeBehind(db: Connection, queue: number, { deployment, priority }: KeyHead): number {
  const last = db.get<{ place: number }>("readyLast", { queue, deployment, priority })?.place ?? 0;
  return Math.max(newestJob(db) * PLACES_PER_JOB, last) + 1;
}

/** settleKey of each key that one of the jobs has; once for each, when all of a step have left. */
export function settleKeys(db: Connection, rows: Pick<JobRow, "queue" | "concurrency_key">[]): void {
  const seen = new Set<string>();
  for (const { queue, concurrency_key: key } of rows) {
    if (key === null || seen.has(`${queue} ${key}`)) continue;
    seen.add(`${queue} ${key}`);
    settleKey(db, queue, key);
  }
}

export function isAnyDue(db: Connection, now: number): boolean {
  return db.get("delayedAny", { now }) !== undefined;
}

/** Makes delayed jobs whose time has come ready, or parks them. */
export function releaseDue(db: Connection, now: number): void {
  if (!isAnyDue(db, now)) return;
  const limit = RELEASE_LIMIT;
  db.run("delayedRelease", { now, limit });
  const keyed = db.all<Pick<JobRow, "job" | "queue" | "priority" | "concurrency_key" | "key_limit">>("delayedDue", {
    now,
    limit,
  });
  for (const row of keyed) db.run("jobHold", { job: row.job, hold: holdOfRow(db, row), place: null });
}

/** A queued job's delay is over now. */
export function jobRunNow(db: Connection, p: { job: number; now: number }): JobRecord | null {
  const row = db.get<JobRow>("jobHead", { job: p.job });
  if (row === undefined) return null;
  if (row.hold !== "delay") return toJob(db, row);
  db.run("jobUndelay", { job: p.job, hold: holdOfRow(db, row) });
  return toJob(db, db.get("jobHead", { job: p.job }) as JobRow);
}

function holdOfRow(
  db: Connection,
  row: Pick<JobRow, "job" | "queue" | "priority" | "concurrency_key" | "key_limit">,
): "key" | null {
  const { job, queue, priority, concurrency_key: key, key_limit } = row;
  return holdOf(db, { job, queue, priority, key, limit: key_limit ?? 1 });
}
