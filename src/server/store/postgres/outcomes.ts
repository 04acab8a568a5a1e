import type { NewJobEvent } from "../../../protocol/event.ts";
import { isFinal, type JobError, type JobStatus, type JobTransition, transition } from "../../../protocol/job.ts";
import type { JobChange, JobOutcome } from "../store.ts";
import type { Jobs } from "./jobs.ts";
import { resultData } from "./log.ts";
import type { JobRow } from "./rows.ts";

/** Every change of a job's status but its start (claim.ts). Each asks `transition` of protocol/job.ts. */

export const ENDS = {
  cancelledQueued: { code: "cancelled", message: "The job was cancelled before it started." },
  cancelledRunning: { code: "cancelled", message: "The job was cancelled." },
  expired: { code: "expired", message: "The job was not started in time." },
  serverLost: { code: "replica_crashed", message: "The server stopped while this attempt was running." },
} as const satisfies Record<string, JobError>;

export type Outcome = JobOutcome | { type: "expire"; error: JobError };

export async function applyOutcome(jobs: Jobs, row: JobRow, wanted: Outcome): Promise<JobChange> {
  const outcome = heedCancel(row, wanted);
  const status = statusAfter(row.status, outcome.type);
  const events = isFinal(status) ? await end(jobs, row, outcome, status) : await requeue(jobs, row, outcome);
  return { job: jobs.record(row.job), events };
}

function statusAfter(from: JobStatus, by: JobTransition): JobStatus {
  const to = transition(from, by);
  if (to === null) throw new Error(`a job that is ${from} has no transition ${by}`);
  return to;
}

/** An attempt whose cancellation was requested is not repeated. */
function heedCancel(row: JobRow, outcome: Outcome): Outcome {
  const again = outcome.type === "retry" || outcome.type === "lose";
  return again && row.cancel_requested_at !== null ? { type: "cancel", error: ENDS.cancelledRunning } : outcome;
}

async function end(jobs: Jobs, row: JobRow, outcome: Outcome, status: JobStatus) {
  if (outcome.type === "succeed") {
    const { change, added } = success(outcome.result, jobs.now);
    return await jobs.change(row.job, change, added, outcome.resultBlobs);
  }
  const { error } = outcome;
  const change = { ...ended(status, jobs.now), error };
  return await jobs.change(row.job, change, [{ event: "job.end", data: { status, error } }]);
}

/** What the end of an attempt with a result changes, and adds to the log. */
export function success(result: string, now: number): { change: Partial<JobRow>; added: NewJobEvent[] } {
  const status = "succeeded";
  return {
    change: { ...ended(status, now), result, progress: 1 },
    added: [
      { event: "job.result", data: resultData(result) },
      { event: "job.end", data: { status } },
    ],
  };
}

function ended(status: JobStatus, now: number) {
  const nobody = { replica: null, owner: null, hold: null, run_after: null };
  return { status, ...nobody, finished_at: now, status_since: now };
}

async function requeue(jobs: Jobs, row: JobRow, outcome: Outcome) {
  if (outcome.type !== "retry" && outcome.type !== "lose") throw new Error(`${outcome.type} queues no job`);
  const { now } = jobs;
  const runAfter = outcome.type === "retry" ? Math.ceil(outcome.runAfter) : null;
  const crashed = outcome.type === "lose" && outcome.crashed;
  const change = {
    status: "queued",
    hold: runAfter !== null && runAfter > now ? "delay" : null,
    lost_count: row.lost_count + Number(outcome.type === "lose"),
    crash_count: row.crash_count + Number(crashed),
    run_after: runAfter,
    ...{ replica: null, owner: null, started_at: null, status_since: now, progress: 0, message: null },
  } satisfies Partial<JobRow>;
  const position = await jobs.position({ ...row, ...change });
  const delayS = Math.max(0, ((runAfter ?? now) - now) / 1000);
  return await jobs.change(row.job, change, [
    { event: "job.retrying", data: { attempt: row.attempt, delay_s: delayS, error: outcome.error } },
    { event: "job.queued", data: { position } },
  ]);
}
