import type { NewJobEvent } from "../../../protocol/event.ts";
import { isFinal, type JobError, type JobStatus, transition } from "../../../protocol/job.ts";
import type { JobChange, JobOutcome, JobRecord } from "../store.ts";
import type { Connection } from "./connection.ts";
import { extendLog, storeEvents } from "./events.ts";
import { jobGet, jobInput, jobRow, placeInQueue } from "./job-reads.ts";
import { type JobRow, toJob } from "./rows.ts";

/**
 * Every change of a job's status but its start (queue.ts): the end of an attempt, cancellation, rescue. Each asks `transition` of
 * protocol/job.ts, and the triggers of the schema refuse what that table does not have.
 */

const CANCELLED_QUEUED: JobError = { code: "cancelled", message: "The job was cancelled before it started." };
const CANCELLED_RUNNING: JobError = { code: "cancelled", message: "The job was cancelled." };
const SERVER_LOST: JobError = {
  code: "replica_crashed",
  message: "The server stopped while this attempt was running.",
};

export function jobFinish(
  db: Connection,
  p: { job: number; fence: number; outcome: JobOutcome; now: number },
): JobChange | null {
  const row = jobRow(db, p.job);
  if (row === undefined || row.status !== "running" || row.fence !== p.fence) return null;
  return applyOutcome(db, row, p.outcome, p.now);
}

export function jobCancel(db: Connection, p: { job: number; now: number }): JobChange[] | null {
  const row = jobRow(db, p.job);
  if (row === undefined) return null;
  if (row.status === "queued") return [applyOutcome(db, row, { type: "cancel", error: CANCELLED_QUEUED }, p.now)];
  if (row.status === "running") db.run("jobRequestCancel", { job: p.job, now: p.now });
  return [{ job: jobGet(db, p) as JobRecord, events: [] }];
}

export function jobRescue(db: Connection, p: { server: string; now: number }): JobChange[] {
  const orphans = db.all<{ job: number }>("jobOrphans", { owner: p.server });
  return orphans.map(({ job }) =>
    applyOutcome(db, jobRow(db, job) as JobRow, { type: "lose", error: SERVER_LOST, crashed: false }, p.now),
  );
}

function applyOutcome(db: Connection, row: JobRow, wanted: JobOutcome, now: number): JobChange {
  const outcome = heedCancel(row, wanted);
  const target = transition(row.status, outcome.type);
  if (target === null) throw new Error(`a job that is ${row.status} has no transition ${outcome.type}`);
  const step = extendLog(row, isFinal(target) ? endEvents(outcome, target) : requeueEvents(db, row, outcome, now));
  const changed = writeRow(db, row, outcome, { status: target, first: step.first, last: step.last, now });
  storeEvents(db, row.job, row, step);
  if (outcome.type === "succeed") storeResult(db, row.job, outcome.result, outcome.resultBlobs);
  const result = outcome.type === "succeed" ? outcome.result : null;
  return { job: toJob({ ...changed, input: jobInput(db, row.job), result }), events: step.events };
}

function writeRow(
  db: Connection,
  { job }: JobRow,
  outcome: JobOutcome,
  p: { status: JobStatus; first: number; last: number; now: number },
): JobRow {
  const { status, ...rest } = p;
  if (outcome.type === "lose") return db.get("jobRequeue", { job, lost: 1, runAfter: null, ...rest }) as JobRow;
  if (outcome.type === "retry") {
    return db.get("jobRequeue", { job, lost: 0, runAfter: Math.ceil(outcome.runAfter), ...rest }) as JobRow;
  }
  const error = outcome.type === "succeed" ? null : JSON.stringify(outcome.error);
  return db.get("jobEnd", { job, status, error, ...rest }) as JobRow;
}

/** An attempt whose cancellation was requested is not repeated. */
function heedCancel(row: JobRow, outcome: JobOutcome): JobOutcome {
  const again = outcome.type === "retry" || outcome.type === "lose";
  return again && row.cancel_requested_at !== null ? { type: "cancel", error: CANCELLED_RUNNING } : outcome;
}

function storeResult(db: Connection, job: number, result: string, blobs: string[]): void {
  db.run("jobResultInsert", { job, result });
  for (const sha256 of blobs) db.run("jobBlobInsert", { job, sha256 });
}

function endEvents(outcome: JobOutcome, status: JobStatus): NewJobEvent[] {
  if (outcome.type !== "succeed") return [{ event: "job.end", data: { status, error: outcome.error } }];
  const value = JSON.parse(outcome.result);
  return [
    { event: "job.result", data: { value } },
    { event: "job.end", data: { status } },
  ];
}

function requeueEvents(db: Connection, row: JobRow, outcome: JobOutcome, now: number): NewJobEvent[] {
  if (outcome.type !== "retry" && outcome.type !== "lose") return [];
  const delayS = outcome.type === "retry" ? Math.max(0, (outcome.runAfter - now) / 1000) : 0;
  const position = placeInQueue(db, row);
  return [
    { event: "job.retrying", data: { attempt: row.attempt, delay_s: delayS, error: outcome.error } },
    { event: "job.queued", data: { position } },
  ];
}
