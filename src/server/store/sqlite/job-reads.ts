import type { JobStatus } from "../../../protocol/job.ts";
import type { JobCount, JobFilter, JobRecord } from "../store.ts";
import type { Connection } from "./connection.ts";
import type { JobRow } from "./job-row.ts";
import { newestJob, PLACES_PER_JOB } from "./place.ts";
import { toJob } from "./rows.ts";

export function jobGet(db: Connection, p: { job: number }): JobRecord | null {
  const row = db.get<JobRow>("jobHead", { job: p.job });
  return row === undefined ? null : toJob(db, row);
}

/** Queued jobs up to this many are collected from their indexes and sorted; of more, the newest are looked for from the end. */
const SORTED_MAX_JOBS = 10_000;

type Page = JobFilter & { before?: number; limit: number };

export function jobList(db: Connection, p: Page): JobRecord[] {
  const numbers = jobNumbers(db, p).sort((a, b) => b - a);
  return numbers.slice(0, p.limit).map((job) => jobGet(db, { job }) as JobRecord);
}

/** The newest `limit` that fit, of each part that is searched: they are sorted and cut by the caller. */
function jobNumbers(db: Connection, p: Page): number[] {
  const queues = queuesOf(db, p);
  const key = p.concurrencyKey ?? null;
  const params = {
    ...{ before: p.before ?? Number.MAX_SAFE_INTEGER, limit: p.limit, key, parent: p.parent ?? null },
    status: p.status === undefined ? null : JSON.stringify(p.status),
    queues: queues === null ? null : JSON.stringify(queues),
  };
  if (p.parent !== undefined) return numbers(db, "jobListOfParent", params);
  if (key !== null) {
    return (queues ?? allQueues(db)).flatMap((queue) => numbers(db, "jobListOfKey", { ...params, queue }));
  }
  if (p.status !== undefined) return [...new Set(p.status)].flatMap((status) => ofStatus(db, status, queues, params));
  return ofAll(db, queues, params);
}

type ListParams = Parameters<Connection["all"]>[1];

function numbers(db: Connection, name: string, params: ListParams): number[] {
  return db.all<{ job: number }>(name, params).map(({ job }) => job);
}

function ofAll(db: Connection, queues: number[] | null, params: ListParams): number[] {
  if (queues === null) return numbers(db, "jobListAll", params);
  return queues.flatMap((queue) => numbers(db, "jobListOfQueue", { ...params, queue }));
}

/**
 * By an index of the status, so that jobs of others are not read through, however many there are: but the queued ones of a long queue, which
 * are to be found among the newest of all.
 */
function ofStatus(db: Connection, status: JobStatus, queues: number[] | null, params: ListParams): number[] {
  if (status === "running") return numbers(db, "jobListRunning", params);
  if (status !== "queued") return numbers(db, "jobListEnded", { ...params, status });
  const { queued } = db.get("jobsQueued") as { queued: number };
  if (queued <= SORTED_MAX_JOBS) return numbers(db, "jobListQueued", params);
  return ofAll(db, queues, { ...params, status: JSON.stringify([status]) });
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
export function positionOf(db: Connection, row: PositionRow): number {
  const { queue, deployment, priority, place, job } = row;
  if (row.hold === "key") return (db.get("jobsReady", { queue, priority }) as { ready: number }).ready + 1;
  const all = db.get("jobsSame", { queue, deployment, priority }) as {
    higher: number;
    same: number;
    first: number | null;
  };
  // Counted from the end that is nearer, since both the next and the newest are asked for most.
  const fromStart = place - (all.first ?? place) <= PLACES_PER_JOB * newestJob(db) - place;
  const { jobs } = db.get(fromStart ? "jobsAhead" : "jobsBehind", { queue, priority, place, job }) as { jobs: number };
  const itself = row.status === "queued" && row.hold === null ? 1 : 0;
  return all.higher + (fromStart ? jobs : all.same - jobs - itself) + 1;
}

type PositionRow = Pick<JobRow, "status" | "hold" | "queue" | "deployment" | "priority" | "place" | "job">;

export function jobCounts(db: Connection, p: { now: number }): JobCount[] {
  return db.all<JobCount>("jobCounts", p).map(({ app, deployment, function: name, due, queued, running }) => {
    return { app, deployment, function: name, due, queued, running };
  });
}

export function jobNextDue(db: Connection, p: { now: number }): number | null {
  return (db.get("jobNextDue", { now: p.now }) as { due: number | null }).due;
}
