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

export const WAITING_REASONS = [
  /** Others of its function are ahead. */
  "position",
  /** All places are taken: of the replicas, or of the function's own limit. */
  "concurrency",
  /** A replica is starting. */
  "cold_start",
  /** No replica can be started; `detail` says why. */
  "no_capacity",
  /** An attempt has failed, and the next is not due yet. */
  "retry_delay",
  /** It was spawned with `delayS` or `runAt`. */
  "delayed",
  /** As many jobs of its concurrency key as may run or are next. */
  "concurrency_key",
  /** The function's rate limit lets no more start just now. */
  "rate_limit",
  /** The function's queue was paused by the operator. */
  "paused",
] as const;
export type WaitingReason = (typeof WAITING_REASONS)[number];

/** Why a queued job is not running yet. */
export interface Waiting {
  reason: WaitingReason;
  /** Jobs ahead of it in its function's queue, plus one. */
  position?: number;
  /** More on the reason, where there is more: why no replica starts, for `no_capacity`. */
  detail?: string;
  /** ISO 8601. */
  since: string;
  /** Seconds until it starts, as far as the rate of the last minutes tells; absent where that tells nothing. */
  estimated_wait_s?: number;
}
