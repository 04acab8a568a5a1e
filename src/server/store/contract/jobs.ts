import type { JobEvent } from "../../../protocol/event.ts";
import type { JobError, JobStatus } from "../../../protocol/job.ts";
import type { InsertedJob, JobRecord, JobStart, NewJob, Payload } from "./job.ts";

/** Jobs: their places in the queue, their attempts, their ends. */
export interface JobVerbs {
  /**
   * D. All or none, in order. Each new job gets its number, higher than all before it, its `job.queued` event, and its place at the end of
   * its function's queue.
   * A job whose idempotency key was used for the same function less than 24 h ago is not made: the earlier one is returned with
   * `existing: true`, or the call rejects with `idempotency_conflict` where `inputHash` differs. Rejects with `queue_full`
   * where a queue would exceed its size, and with `deployment_not_found`. A job whose parent was asked to stop, or ended as `cancelled`, is
   * `cancelled` at once.
   *
   * `start`: a place is at hand for up to `limit` of the jobs, all of one function, which has no rate limit. One that has position 1, and that a
   * claim could take, starts in the same step: it is `running` with attempt and fence 1, its `job.running` follows its `job.queued`, and
   * it never was among the queued ones. The others wait for a claim as ever.
   */
  jobInsertMany(p: { jobs: NewJob[]; start?: JobStart | null; now: number }): Promise<InsertedJob[]>;
  /**
   * Takes up to `limit` jobs of these functions of the deployment to `running`: attempt and fence go up by one, `job.running` is logged.
   * Order: higher priority first, then by place. The place is the job's number; a job that had to wait for its concurrency key gets its
   * place when the key has room, behind all that are there, so that keys take turns. A key's room is taken by its jobs that run or could; the
   * next is for the waiting one with the highest priority, then the lowest number, and the others wait behind it. Never takes a job that is delayed beyond `now`, past its
   * `expiresAt`, of a paused queue, over the `concurrency` or `rate` of its function (over all deployments of the app), or over its key's
   * limit. Two concurrent claims never take one job, nor exceed a limit together.
   */
  jobClaim(p: JobClaim): Promise<ClaimedJobs>;
  /**
   * D. Ends or requeues the attempt that holds the fence, with the events that go with it (`job.result`, `job.end`,
   * `job.retrying`, `job.queued`). Null where the fence is not the job's current one, or the job is not running: nothing is changed.
   * `retry` and `lose` of a job whose cancellation was requested make it `cancelled`. At a job's end its webhook is due.
   */
  jobFinish(p: { job: number; fence: number; outcome: JobOutcome; now: number }): Promise<JobChange | null>;
  /**
   * D. A queued job becomes `cancelled` at once. A running one gets `cancelRequestedAt` (kept over a restart), and stays running until the
   * caller has stopped its code and calls jobFinish. So with its children, and theirs, be those in between ended or not; ended ones stay as
   * they are and are left out. The job itself comes first, the others by number. Null where there is no such job; an ended one is returned as it is, with no events, and its children are left alone.
   */
  jobCancel(p: { job: number; now: number }): Promise<JobChange[] | null>;
  /** D. jobCancel of up to `limit` queued or running jobs that the filter takes, oldest first, with numbers over `after`. */
  jobCancelMany(p: { filter: JobFilter; after: number; limit: number; now: number }): Promise<CancelledJobs>;
  /** D. Queued jobs that have not started by their `expiresAt` become `expired`. At most `limit`. */
  jobExpire(p: { now: number; limit: number }): Promise<JobChange[]>;
  /** D. A queued job's delay, of a retry or of its own, is over now. Null where there is no such job; any other is returned as it is. */
  jobRunNow(p: { job: number; now: number }): Promise<JobRecord | null>;
  /**
   * D. Running jobs of other servers whose lease has run out by `now` (`owners: "expired"`), or of all others (`"all"`, where this server is
   * known to be alone). They go back to `queued` at their old place, or, where cancel was requested, to `cancelled`. At most `limit`.
   */
  jobRescue(p: { server: string; owners: "expired" | "all"; now: number; limit: number }): Promise<JobChange[]>;
  jobGet(p: { job: number }): Promise<JobRecord | null>;
  /** Newest first; `before` is a job number, exclusive. */
  jobList(p: JobFilter & { before?: number; limit: number }): Promise<JobRecord[]>;
  /**
   * Jobs of its function that would start before this one if it waited for nothing but its turn, plus one; those that wait for their time or
   * their concurrency key are not among them. Null where it is not queued.
   */
  jobPosition(p: { job: number }): Promise<number | null>;
  /** Every function that has a queued or running job. `now` decides what is due. */
  jobCounts(p: { now: number }): Promise<JobCount[]>;
  /** When next after `now` a delayed job becomes due or a queued one expires; or null. */
  jobNextDue(p: { now: number }): Promise<number | null>;
  /**
   * Deletes up to `limit` jobs that ended more than their `ttlS` ago, with events, but none whose webhook is still due. Returns how many.
   */
  jobPrune(p: { now: number; limit: number }): Promise<number>;
}

export interface JobClaim {
  deployment: number;
  functions: ClaimFunction[];
  limit: number;
  replica: string;
  /** The server that runs them: its lease holds for them. */
  owner: string;
  now: number;
}

export interface ClaimFunction {
  name: string;
  /** Jobs of the function at a time, over all replicas, deployments and servers; null: no limit. */
  concurrency: number | null;
  /** At most `limit` starts in any `perMs` milliseconds; null: no limit. */
  rate: { limit: number; perMs: number } | null;
}

export interface ClaimedJobs {
  /** In the order in which they were taken. */
  jobs: JobRecord[];
  /** When a rate limit lets the next one start; null where no rate limit held any back. */
  retryAt: number | null;
}

export type JobOutcome =
  | { type: "succeed"; result: Payload; resultBlobs: string[] }
  | { type: "fail"; error: JobError }
  | { type: "timeOut"; error: JobError }
  | { type: "cancel"; error: JobError }
  /** Back to the queue at its old place, due at `runAfter`. */
  | { type: "retry"; error: JobError; runAfter: number }
  /** Back to the queue at its old place; the attempt does not count against `maxAttempts`, `lostCount` goes up; `crashed`: `crashCount` too. */
  | { type: "lose"; error: JobError; crashed: boolean };

export interface JobChange {
  job: JobRecord;
  /** What the step added to the log; for the watchers. */
  events: JobEvent[];
}

export interface CancelledJobs {
  /** By number; children of those that the filter took included. */
  changes: JobChange[];
  /** The number to go on after; null: there are no more. */
  next: number | null;
}

/** Which jobs: all that fit every part that is given. */
export interface JobFilter {
  app?: string;
  function?: string;
  status?: JobStatus[];
  concurrencyKey?: string;
  parent?: number;
}

export interface JobCount {
  app: string;
  deployment: number;
  function: string;
  /** Queued, due, not expired, and not waiting for its concurrency key; 0 where the queue is paused. */
  due: number;
  /** Queued, due or not. */
  queued: number;
  running: number;
}
