import type { JobEvent, NewJobEvent } from "../../protocol/event.ts";
import type { JobError, JobStatus } from "../../protocol/job.ts";
import type { AppSpec } from "../../protocol/spec.ts";

/**
 * Where state lives. One contract, one conformance suite (test/store), any number of implementations.
 *
 * Every verb takes one params object and the time (`now`, milliseconds since 1970), runs as one atomic step, and resolves
 * only after that step is committed: durably (on disk, surviving power loss) for the verbs marked D, visibly for the others,
 * which a crash may undo as if they had never been called. A store that has no room rejects with `storage_full` and
 * changes nothing.
 */
export interface Store extends AsyncDisposable {
  // Deployments and apps
  /** D. Makes a deployment with status `building`; it is not live yet. */
  deploymentInsert(p: { app: string; digest: string; spec: AppSpec; now: number }): Promise<DeploymentRecord>;
  /** D. Makes it the app's live one, and the one before it `superseded`. */
  deploymentActivate(p: { deployment: number; now: number }): Promise<DeploymentRecord>;
  /** D. */
  deploymentFail(p: { deployment: number; error: { code: string; message: string }; now: number }): Promise<void>;
  deploymentGet(p: { deployment: number }): Promise<DeploymentRecord | null>;
  /** Newest first; `before` is a deployment number, exclusive. */
  deploymentList(p: { app?: string; before?: number; limit: number }): Promise<DeploymentRecord[]>;
  /** The live deployment of every app, by name of the app. */
  deploymentListLive(): Promise<DeploymentRecord[]>;
  /** Deployments that are live, or that queued or running jobs still need. What restarts must be able to run. */
  deploymentListNeeded(): Promise<DeploymentRecord[]>;
  /** D. Takes the app out: deployments, jobs, events. False where there was none. */
  appDelete(p: { app: string; now: number }): Promise<boolean>;

  // Jobs
  /**
   * D. All or none, in order. Each new job gets its number, its `job.queued` event, and its place at the end of its function's queue.
   * A job whose idempotency key was used for the same function less than 24 h ago is not made: the earlier one is returned with
   * `existing: true`, or the call rejects with `idempotency_conflict` where `inputHash` differs. Rejects with `queue_full`
   * where a queue would exceed its size.
   */
  jobInsertMany(p: { jobs: NewJob[]; now: number }): Promise<InsertedJob[]>;
  /**
   * Takes up to `limit` due jobs of these functions of the deployment, oldest number first, to `running`: attempt and fence go up by
   * one, `job.running` is logged. Two concurrent claims never take one job.
   */
  jobClaim(p: {
    deployment: number;
    functions: string[];
    limit: number;
    replica: string;
    owner: string;
    now: number;
  }): Promise<JobRecord[]>;
  /**
   * D. Ends or requeues the attempt that holds the fence, with the events that go with it (`job.result`, `job.end`,
   * `job.retrying`, `job.queued`). Null where the fence is not the job's current one, or the job is not running: nothing is changed.
   * `retry` and `lose` of a job whose cancellation was requested make it `cancelled`.
   */
  jobFinish(p: { job: number; fence: number; outcome: JobOutcome; now: number }): Promise<JobChange | null>;
  /**
   * D. A queued job becomes `cancelled` at once. A running one gets `cancelRequestedAt` (kept over a restart), and stays running until the
   * caller has stopped its code and calls jobFinish. Null where there is no such job; an ended one is returned as it is.
   */
  jobCancel(p: { job: number; now: number }): Promise<JobChange | null>;
  /**
   * D. Called at start: running jobs whose owner is not `owner` have lost their server. They go back to `queued` at their old place,
   * or, where cancel was requested, to `cancelled`.
   */
  jobRescue(p: { owner: string; now: number }): Promise<JobChange[]>;
  jobGet(p: { job: number }): Promise<JobRecord | null>;
  /** Newest first; `before` is a job number, exclusive. */
  jobList(p: {
    app?: string;
    function?: string;
    status?: JobStatus[];
    before?: number;
    limit: number;
  }): Promise<JobRecord[]>;
  /** Jobs ahead of this one in its function's queue, plus one; null where it is not queued. */
  jobPosition(p: { job: number }): Promise<number | null>;
  /** Every function that has a queued or running job. `now` decides what is due. */
  jobCounts(p: { now: number }): Promise<JobCount[]>;
  /** When the next queued job that is not due yet becomes due, or null. */
  jobNextDue(p: { now: number }): Promise<number | null>;
  /** Deletes up to `limit` jobs that ended more than their `ttlS` ago, with events. Returns how many. */
  jobPrune(p: { now: number; limit: number }): Promise<number>;

  // Events
  /**
   * Appends to the logs of running jobs, and keeps `progress` and `message` of the job in step with `job.progress`. A batch whose fence is
   * not the job's current one, or whose job is not running, is dropped and comes back empty. Prunes to the window.
   */
  eventAppend(p: { batches: EventBatch[]; now: number }): Promise<JobEvent[][]>;
  /** Retained events with id > `after`, ascending, at most `limit`; null where there is no such job. */
  eventRange(p: { job: number; after: number; limit: number }): Promise<EventRange | null>;

  // Blobs: the store keeps which jobs need which; the bytes are files
  /** Of these hashes, the ones that no job needs any more. */
  blobUnreferenced(p: { hashes: string[] }): Promise<string[]>;

  /** What holds up or is wrong with the stored data; empty where all is well. For `doctor`. */
  check(): Promise<string[]>;
}

export interface DeploymentRecord {
  deployment: number;
  app: string;
  digest: string;
  spec: AppSpec;
  status: "building" | "live" | "superseded" | "failed";
  error: { code: string; message: string } | null;
  createdAt: number;
}

export interface NewJob {
  app: string;
  function: string;
  deployment: number;
  /** JSON text of the wire body. */
  input: string;
  /** SHA-256 hex of blobs that the input names. */
  inputBlobs: string[];
  /** Jobs of this function that may be queued at once; see QueueSpec.size. */
  queueSize: number;
  ttlS: number;
  eventsWindow: number;
  maxAttempts: number;
  idempotency: { key: string; inputHash: string } | null;
}

export interface InsertedJob {
  job: JobRecord;
  existing: boolean;
  position: number;
}

export interface JobRecord {
  job: number;
  app: string;
  function: string;
  deployment: number;
  status: JobStatus;
  input: string;
  /** JSON text; null until it succeeded. */
  result: string | null;
  error: JobError | null;
  progress: number;
  message: string | null;
  /** Attempts started so far, lost ones too: `attempt - lostCount` is what counts against `maxAttempts`. */
  attempt: number;
  maxAttempts: number;
  /** Times that the attempt was lost with its replica or server. */
  lostCount: number;
  /** Grows with each claim; a write under an older fence is refused. */
  fence: number;
  replica: string | null;
  /** Not claimed before this time; null: at once. */
  runAfter: number | null;
  cancelRequestedAt: number | null;
  createdAt: number;
  startedAt: number | null;
  finishedAt: number | null;
  /** Since when it has been in its present status. */
  statusSince: number;
  ttlS: number;
  eventsWindow: number;
  /** The newest event's id. */
  lastEvent: number;
}

export type JobOutcome =
  /** `result` is JSON text. */
  | { type: "succeed"; result: string; resultBlobs: string[] }
  | { type: "fail"; error: JobError }
  | { type: "timeOut"; error: JobError }
  | { type: "cancel"; error: JobError }
  /** Back to the queue at its old place, due at `runAfter`. */
  | { type: "retry"; error: JobError; runAfter: number }
  /** Back to the queue at its old place; the attempt does not count against `maxAttempts`, `lostCount` goes up. */
  | { type: "lose"; error: JobError };

export interface JobChange {
  job: JobRecord;
  /** What the step added to the log; for the watchers. */
  events: JobEvent[];
}

export interface JobCount {
  app: string;
  deployment: number;
  function: string;
  /** Queued and due. */
  due: number;
  /** Queued, due or not. */
  queued: number;
  running: number;
}

export interface EventBatch {
  job: number;
  fence: number;
  events: NewJobEvent[];
}

export interface EventRange {
  events: JobEvent[];
  /** The oldest retained event's id outside the always-kept terminal ones; 1 while nothing was dropped. */
  earliest: number;
  latest: number;
  /** The job has ended: no event follows `latest`. */
  ended: boolean;
}
