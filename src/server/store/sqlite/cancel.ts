import type { NewJobEvent } from "../../../protocol/event.ts";
import type { JobError } from "../../../protocol/job.ts";
import type { CancelledJobs, JobChange, JobFilter } from "../store.ts";
import type { Connection } from "./connection.ts";
import { queuesOf } from "./job-reads.ts";
import type { JobRow } from "./job-row.ts";
import { settleKeys } from "./keys.ts";
import { toLines } from "./log.ts";
import { CANCELLED_QUEUED, EXPIRED } from "./reasons.ts";
import { toJob } from "./rows.ts";
import { ended, type Step, target } from "./transitions.ts";

/** What ends jobs that do not run, or asks those that do to stop. */

/** Jobs that one step of jobCancelMany looks at; where the filter takes few of them, the next step goes on from there. */
const SCAN_LIMIT = 10_000;

export function jobCancel(db: Connection, p: { job: number; now: number }): JobChange[] | null {
  const row = db.get<JobRow>("jobHead", { job: p.job });
  if (row === undefined) return null;
  if (row.status !== "queued" && row.status !== "running") return [{ job: toJob(db, row), events: [] }];
  const steps = cancelTree(db, p.job, p.now, new Set());
  settleKeys(db, left(steps));
  return steps.map(({ change }) => change);
}

export function jobCancelMany(
  db: Connection,
  p: { filter: JobFilter; after: number; limit: number; now: number },
): CancelledJobs {
  const page = wanted(db, p);
  const done = new Set<number>();
  const steps = page.jobs
    .flatMap((job) => (done.has(job) ? [] : cancelTree(db, job, p.now, done)))
    .sort((a, b) => a.row.job - b.row.job);
  settleKeys(db, left(steps));
  return { changes: steps.map(({ change }) => change), next: page.next };
}

/** The job, and of its descendants those that have not ended. */
function cancelTree(db: Connection, root: number, now: number, done: Set<number>): Step[] {
  const steps: Step[] = [];
  for (const { job } of db.all<{ job: number }>("jobTree", { job: root })) {
    if (done.has(job)) continue;
    done.add(job);
    const row = db.get("jobHead", { job }) as JobRow;
    if (row.status === "queued") steps.push(endQueued(db, job, { type: "cancel", error: CANCELLED_QUEUED }, now));
    else {
      const asked = db.get("jobRequestCancel", { job, now }) as JobRow;
      steps.push({ row: asked, change: { job: toJob(db, asked), events: [] } });
    }
  }
  return steps;
}

export function jobExpire(db: Connection, p: { now: number; limit: number }): JobChange[] {
  const expired = db.all<{ job: number }>("jobExpired", p);
  const steps = expired.map(({ job }) => endQueued(db, job, { type: "expire", error: EXPIRED }, p.now));
  settleKeys(db, left(steps));
  return steps.map(({ change }) => change);
}

/** Of a job that is queued. The caller settles its key. */
export function endQueued(
  db: Connection,
  job: number,
  outcome: { type: "cancel" | "expire"; error: JobError },
  now: number,
): Step {
  const status = target("queued", outcome);
  const { error } = outcome;
  const events: NewJobEvent[] = [{ event: "job.end", data: { status, error } }];
  const lines = toLines(events);
  const row = db.get("jobEndQueued", { job, status, error: JSON.stringify(error), lines, now }) as JobRow;
  return ended(db, row, events, now);
}

function left(steps: Step[]): JobRow[] {
  return steps.filter(({ row }) => row.status !== "running").map(({ row }) => row);
}

/** A page of the jobs that the filter takes. */
function wanted(
  db: Connection,
  { filter, after, limit }: { filter: JobFilter; after: number; limit: number },
): { jobs: number[]; next: number | null } {
  const queues = queuesOf(db, filter);
  const status = filter.status === undefined ? null : JSON.stringify(filter.status);
  const params = {
    status,
    key: filter.concurrencyKey ?? null,
    parent: filter.parent ?? null,
    after,
    limit: SCAN_LIMIT,
  };
  const [only] = queues ?? [];
  const rows: { job: number; wanted: 0 | 1 }[] =
    queues !== null && queues.length === 1 && only !== undefined
      ? db.all("jobActiveOfQueue", { ...params, queue: only })
      : db.all("jobActiveFrom", { ...params, queues: queues === null ? null : JSON.stringify(queues) });
  const jobs: number[] = [];
  for (const row of rows) {
    if (jobs.length === limit) return { jobs, next: jobs.at(-1) ?? after };
    if (row.wanted === 1) jobs.push(row.job);
  }
  return { jobs, next: rows.length === SCAN_LIMIT ? (rows.at(-1)?.job ?? null) : null };
}
