import type { JobCount, JobFilter, JobRecord } from "../store.ts";
import type { Connection } from "./connection.ts";
import { type JobRow, toJob } from "./rows.ts";

export function jobGet(db: Connection, p: { job: number }): JobRecord | null {
  const row = db.get<JobRow>("jobHead", { job: p.job });
  return row === undefined ? null : toJob(db, row);
}

type Page = JobFilter & { before?: number; limit: number };

export function jobList(db: Connection, p: Page): JobRecord[] {
  const numbers = jobNumbers(db, p).sort((a, b) => b - a);
  return numbers.slice(0, p.limit).map((job) => jobGet(db, { job }) as JobRecord);
}

/** The newest `limit` of each queue that the filter takes, or of all. */
function jobNumbers(db: Connection, p: Page): number[] {
  const queues = queuesOf(db, p);
  const within = queues === null ? null : JSON.stringify(queues);
  const key = p.concurrencyKey ?? null;
  const page = { before: p.before ?? Number.MAX_SAFE_INTEGER, limit: p.limit };
  const status = p.status === undefined ? null : JSON.stringify(p.status);
  const list = (name: string, params: Record<string, string | number | null>) =>
    db.all<{ job: number }>(name, { ...page, ...params }).map(({ job }) => job);
  if (p.parent !== undefined) return list("jobListOfParent", { parent: p.parent, key, status, queues: within });
  if (key !== null) {
    return (queues ?? allQueues(db)).flatMap((queue) => list("jobListOfKey", { queue, key, status }));
  }
  const only = p.status?.length === 1 ? p.status[0] : undefined;
  if (only === "running") return list("jobListRunning", { queues: within });
  if (only !== undefined && only !== "queued" && only !== "succeeded")
    return list("jobListUnsuccessful", { status: only, queues: within });
  if (queues === null) return list("jobListAll", { status });
  return queues.flatMap((queue) => list("jobListOfQueue", { queue, status }));
}

/** The queues that the filter takes; null: all. */
export function queuesOf(db: Connection, { app, function: name }: JobFilter): number[] | null {
  if (app === undefined && name === undefined) return null;
  return db
    .all<{ queue: number }>("queueOfList", { app: app ?? null, function: name ?? null })
    .map(({ queue }) => queue);
}

function allQueues(db: Connection): number[] {
  return db.all<{ queue: number }>("queueOfList", { app: null, function: null }).map(({ queue }) => queue);
}

export function jobPosition(db: Connection, p: { job: number }): number | null {
  const row = db.get<JobRow>("jobHead", { job: p.job });
  if (row === undefined || row.status !== "queued") return null;
  return positionOf(db, row);
}

/**
 * The place that the job has, or would have, among those that are ready. One that waits for its time counts where it would be, one that waits for
 * its key behind all of its priority that are ready.
 */
export function positionOf(db: Connection, row: Pick<JobRow, "queue" | "priority" | "place" | "job" | "hold">): number {
  const { queue, priority, place, job } = row;
  if (row.hold === "key") return (db.get("jobsReady", { queue, priority }) as { ready: number }).ready + 1;
  return (db.get("jobsAhead", { queue, priority, place, job }) as { ahead: number }).ahead + 1;
}

export function jobCounts(db: Connection, p: { now: number }): JobCount[] {
  return db.all<JobCount>("jobCounts", p).map(({ app, deployment, function: name, due, queued, running }) => {
    return { app, deployment, function: name, due, queued, running };
  });
}

export function jobNextDue(db: Connection, p: { now: number }): number | null {
  return (db.get("jobNextDue", { now: p.now }) as { due: number | null }).due;
}
