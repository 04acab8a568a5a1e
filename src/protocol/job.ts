/**
 * The one state machine of a job. Every change of a job's status, in any store, is one of these transitions; the stores
 * repeat the table as constraints.
 *
 *   queued  --start-->    running
 *   queued  --cancel-->   cancelled      queued  --expire-->   expired
 *   running --retry-->    queued         the attempt failed and another is left
 *   running --lose-->     queued         the replica or its server is gone; no attempt is used up
 *   running --succeed-->  succeeded      running --fail-->     failed
 *   running --cancel-->   cancelled      running --timeOut-->  timed_out
 */
export type JobStatus = "queued" | "running" | "succeeded" | "failed" | "cancelled" | "timed_out" | "expired";

export type JobTransition = "start" | "retry" | "lose" | "succeed" | "fail" | "cancel" | "timeOut" | "expire";

export const JOB_TRANSITIONS = {
  queued: { start: "running", cancel: "cancelled", expire: "expired" },
  running: {
    retry: "queued",
    lose: "queued",
    succeed: "succeeded",
    fail: "failed",
    cancel: "cancelled",
    timeOut: "timed_out",
  },
  succeeded: {},
  failed: {},
  cancelled: {},
  timed_out: {},
  expired: {},
} as const satisfies Record<JobStatus, Partial<Record<JobTransition, JobStatus>>>;

/** The status after the transition, or null where the table has no such arrow. */
export function transition(from: JobStatus, by: JobTransition): JobStatus | null {
  const arrows: Partial<Record<JobTransition, JobStatus>> = JOB_TRANSITIONS[from];
  return arrows[by] ?? null;
}

export const JOB_STATUSES = Object.keys(JOB_TRANSITIONS) as JobStatus[];

/** True for a status that no transition leaves. */
export function isFinal(status: JobStatus): boolean {
  return Object.keys(JOB_TRANSITIONS[status]).length === 0;
}

/** How an attempt ended badly, as stored and as seen on the wire. */
export interface JobError {
  code: string;
  message: string;
  /** Mapped to the user's own files. */
  stack?: string;
}

export type WaitingReason = "position" | "concurrency" | "cold_start" | "no_capacity" | "retry_delay" | "paused";

/** Why a queued job is not running yet. */
export interface Waiting {
  reason: WaitingReason;
  /** Jobs ahead of it in its function's queue, plus one. */
  position?: number;
  /** More on the reason, where there is more: why no replica starts, for `no_capacity`. */
  detail?: string;
  /** ISO 8601. */
  since: string;
}
