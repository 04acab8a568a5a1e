import type { JobEvent, NewJobEvent } from "../../protocol/event.ts";
import type { JobError, JobStatus } from "../../protocol/job.ts";
import type { AppSpec, ScheduleSpec } from "../../protocol/spec.ts";

/**
 * Where state lives. One contract, one conformance suite (test/store), any number of implementations.
 *
 * Every verb takes one params object and the time (`now`, milliseconds since 1970, of `clock()`), runs as one atomic step, and
 * resolves only after that step is committed: durably (on disk, surviving power loss) for the verbs marked D, visibly for the others,
 * which a crash may undo as if they had never been called. A store that has no room rejects with `storage_full` and
 * changes nothing.
 */
export interface Store extends AsyncDisposable {
  /** Several servers may use it at once. */
  readonly shared: boolean;
  /** Milliseconds since 1970 by the clock that all servers of the store agree on. */
  clock(): number;
  /** Tells of steps that other servers took, once they are committed; own steps are not told. Returns what ends it. */
  subscribe(listener: (signal: StoreSignal) => void): () => void;

  // Servers
  /**
   * D. Renews the server's lease on the jobs it runs, makes it known to the others, and takes or keeps the lead where no other server
   * holds it. Call it more often than `leaseMs`.
   */
  serverBeat(p: { server: string; leaseMs: number; now: number }): Promise<ServerBeat>;
  /** D. The server stops in order: its lease and its lead end. */
  serverLeave(p: { server: string; now: number }): Promise<void>;
  /** D. The value kept under the key; where there is none, `value` is kept. For what all servers must agree on. */
  metaClaim(p: { key: string; value: string }): Promise<string>;
  /** D. The first of `count` numbers that nobody else is given. Ascending, from 1. */
  numberTake(p: { name: string; count: number }): Promise<number>;

  // Deployments and apps
  /** D. Makes a deployment with status `building`; it is not live yet. */
  deploymentInsert(p: NewDeployment & { now: number }): Promise<DeploymentRecord>;
  /**
   * D. Makes it the app's live one, and the one before it `superseded`. The app's schedules are then these: one that its function had before
   * with an equal spec keeps its next time; `paused` is kept in any case.
   */
  deploymentActivate(p: { deployment: number; schedules: NewSchedule[]; now: number }): Promise<DeploymentRecord>;
  /** D. */
  deploymentFail(p: { deployment: number; error: DeploymentError; now: number }): Promise<void>;
  deploymentGet(p: { deployment: number }): Promise<DeploymentRecord | null>;
  /** Newest first; `before` is a deployment number, exclusive. */
  deploymentList(p: { app?: string; before?: number; limit: number }): Promise<DeploymentRecord[]>;
  /** The live deployment of every app, or of these apps, by name of the app. */
  deploymentListLive(p?: { apps: string[] }): Promise<DeploymentRecord[]>;
  /** Deployments that are live, or that queued or running jobs still need. What restarts must be able to run. */
  deploymentListNeeded(): Promise<DeploymentRecord[]>;
  /**
   * D. Lets go of the uploads that nobody can ask for again: of deployments that failed, and of superseded ones that have neither a queued nor a
   * running job and are not among the `keep` newest superseded ones of their app. Returns of how many.
   */
  deploymentPrune(p: { keep: number }): Promise<number>;
  /** D. Takes the app out: deployments, jobs, events, queues, schedules. False where there was none. */
  appDelete(p: { app: string; now: number }): Promise<boolean>;

  // Jobs
  /**
   * D. All or none, in order. Each new job gets its number, its `job.queued` event, and its place at the end of its function's queue.
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

  // Queues: one for each function of an app, over all its deployments
  /** Those with queued or running jobs, and those that are paused, by app and function. */
  queueList(p: { app?: string }): Promise<QueueRecord[]>;
  /** D. Of a paused queue nothing is claimed; what runs goes on. */
  queuePause(p: { app: string; function: string; paused: boolean; now: number }): Promise<QueueRecord>;
  /** Concurrency keys with queued or running jobs, by key; `after` is a key, exclusive. */
  keyList(p: { app: string; function: string; after?: string; limit: number }): Promise<KeyRecord[]>;

  // Schedules; deploymentActivate makes them
  scheduleList(p: { app?: string }): Promise<ScheduleRecord[]>;
  /** D. Null where there is none. `nextAt` is kept where it is left out. */
  schedulePause(p: {
    app: string;
    function: string;
    paused: boolean;
    nextAt?: number;
    now: number;
  }): Promise<ScheduleRecord | null>;
  /** Not paused and due by `now`, the longest due first. */
  scheduleDue(p: { now: number; limit: number }): Promise<ScheduleRecord[]>;
  /** The earliest `nextAt` of those not paused; null: none. */
  scheduleNext(): Promise<number | null>;
  /**
   * D. One tick: moves the schedule from `from` on to `nextAt` and inserts the job, both or neither. `fired: false` where the schedule is not
   * at `from` any more (another server was first), is paused, or gone: nothing is changed. `job` null: the tick is skipped. A full queue
   * skips the tick too.
   */
  scheduleFire(p: {
    app: string;
    function: string;
    from: number;
    nextAt: number;
    job: NewJob | null;
    now: number;
  }): Promise<{ fired: boolean; inserted: InsertedJob | null }>;

  // Webhooks: due once their job has ended; they live as long as their job, which is kept until its delivery is over
  /**
   * Takes due deliveries, the longest due first, but none to `exceptHosts` (as `new URL(url).host` has them), which have enough under way. With
   * the claim an attempt counts; the delivery is due again at `now + leaseMs` unless it is finished before.
   */
  webhookClaim(p: { now: number; limit: number; leaseMs: number; exceptHosts: string[] }): Promise<WebhookDelivery[]>;
  /** D. Of the attempt that webhookClaim gave. `retryAt` null: it is over: delivered, or given up where there is an `error`. */
  webhookFinish(p: {
    job: number;
    attempt: number;
    retryAt: number | null;
    error: string | null;
    now: number;
  }): Promise<void>;
  webhookGet(p: { job: number }): Promise<WebhookRecord | null>;
  /**
   * D. Once more, now: a webhook that is due, delivered or failed is due at `now`; its attempts go on being counted. One whose job has not ended
   * is returned as it is; null where there is none.
   */
  webhookAgain(p: { job: number; now: number }): Promise<WebhookRecord | null>;
  /** When the next delivery is due to a host that is none of these; null: none waits. */
  webhookNext(p: { exceptHosts: string[] }): Promise<number | null>;

  // Events
  /**
   * Appends to the logs of running jobs, and keeps `progress` and `message` of the job in step with `job.progress`. A batch whose fence is
   * not the job's current one, or whose job is not running, is dropped and comes back empty. Prunes to the window, in events and in bytes of
   * their data as JSON in UTF-8; the newest is kept whatever its size, and the events that end a log count for nothing.
   */
  eventAppend(p: { batches: EventBatch[]; now: number }): Promise<JobEvent[][]>;
  /** Retained events with id > `after`, ascending, at most `limit`; null where there is no such job. */
  eventRange(p: { job: number; after: number; limit: number }): Promise<EventRange | null>;

  // Blobs: the store keeps which jobs and deployments need which; the bytes are files
  /** Of these hashes, the ones that nothing needs any more. */
  blobUnreferenced(p: { hashes: string[] }): Promise<string[]>;
  /** Hashes that something needs, ascending; `after` is a hash, exclusive. */
  blobsNeeded(p: { after?: string; limit: number }): Promise<string[]>;

  /** What the store is, for `doctor`; asked of the database itself. Nothing in it is secret. */
  about(): Promise<StoreAbout>;

  /** What holds up or is wrong with the stored data; empty where all is well. For `doctor`. */
  check(): Promise<string[]>;
  /** Writes a whole and sound copy to a new file while the store is in use. Rejects with `backup_unsupported` where the store has its own tools. */
  backup(p: { path: string }): Promise<void>;
}

export interface StoreAbout {
  kind: "sqlite" | "postgres";
  /** The file, or `role@host:port/database, schema athanor`. */
  place: string;
  /** Of SQLite or of PostgreSQL. */
  version: string;
  /** Of its newest migration. */
  schema: number;
  /** A read took so long, there and back. */
  latencyMs: number;
}

/** What another server has done. It may be told twice, or late. */
export type StoreSignal =
  /** Jobs of the function may be claimed that could not be before. */
  | { type: "due"; deployment: number; function: string }
  /** The job was made, or has changed its status. */
  | { type: "job"; job: number; app: string; function: string; status: JobStatus }
  /** The job's log has grown. */
  | { type: "events"; job: number }
  /** The running job is asked to stop. */
  | { type: "cancel"; job: number }
  /** Which deployments are live has changed, or an app was deleted. */
  | { type: "deployments" }
  /** A schedule or a webhook may be due sooner than was known. */
  | { type: "schedules" }
  | { type: "webhooks" }
  /** Signals may have been missed: everything is to be looked at again. */
  | { type: "missed" };

export interface ServerBeat {
  /** False: there was no lease before this beat, or it had run out, and the server's jobs may be others' by now. It holds again from now on. */
  held: boolean;
  /** This server has the lead: it rescues and schedules. */
  leader: boolean;
  /** Servers with a lease, this one included. */
  servers: number;
}

export interface NewDeployment {
  app: string;
  digest: string;
  spec: AppSpec;
  /** SHA-256 of the blob that holds the whole upload, for servers that have not got its files; null: none does. */
  uploadBlob: string | null;
}

/** Why a deployment is not live. */
export interface DeploymentError {
  code: string;
  message: string;
  /** What its replicas wrote last. */
  lastStderr: string[];
}

export interface DeploymentRecord extends NewDeployment {
  deployment: number;
  status: "building" | "live" | "superseded" | "failed";
  error: DeploymentError | null;
  createdAt: number;
}

/**
 * Text of a job's input or result: JSON, or `@` and the SHA-256 (hex) of the blob that holds the JSON, which no JSON begins with. To the
 * store it is only text, but for `job.result` events, whose `blob` it then is.
 */
export type Payload = string;

export interface NewJob {
  app: string;
  function: string;
  deployment: number;
  /** The wire body. */
  input: Payload;
  /** SHA-256 hex of blobs that the input names. */
  inputBlobs: string[];
  /** Jobs of this function that may be queued at once; see QueueSpec.size. */
  queueSize: number;
  ttlS: number;
  eventsWindow: number;
  eventsWindowBytes: number;
  maxAttempts: number;
  idempotency: { key: string; inputHash: string } | null;
  /** Higher starts sooner. */
  priority: number;
  /** Not claimed before this time; null: at once. */
  runAfter: number | null;
  /** Expires where its first attempt has not started by then; null: never. */
  expiresAt: number | null;
  /** At most `limit` jobs of the function with this key run at a time. Where jobs of a key differ in it, that of the job that would start holds. */
  concurrencyKey: { key: string; limit: number } | null;
  /** The job whose code made this one; it is cancelled with it. */
  parent: number | null;
  retryOf: number | null;
  webhook: { url: string; secret: string } | null;
}

export interface InsertedJob {
  /** As it was queued. */
  job: JobRecord;
  existing: boolean;
  position: number;
  /** As it runs, where the same step has started it. */
  started: JobRecord | null;
}

/** Where a job that is inserted may run at once. */
export interface JobStart {
  limit: number;
  /** As in ClaimFunction. */
  concurrency: number | null;
  replica: string;
  /** The server that runs it: its lease holds for it. */
  owner: string;
}

export interface JobRecord {
  job: number;
  app: string;
  function: string;
  deployment: number;
  status: JobStatus;
  input: Payload;
  /** Null until it succeeded. */
  result: Payload | null;
  error: JobError | null;
  progress: number;
  message: string | null;
  /** Attempts started so far, lost ones too: `attempt - lostCount` is what counts against `maxAttempts`. */
  attempt: number;
  maxAttempts: number;
  /** Times that the attempt was lost with its replica or server. */
  lostCount: number;
  /** Of these, times that its replica died under it. */
  crashCount: number;
  /** Grows with each claim; a write under an older fence is refused. */
  fence: number;
  replica: string | null;
  /** Not claimed before this time; null: at once. */
  runAfter: number | null;
  expiresAt: number | null;
  cancelRequestedAt: number | null;
  createdAt: number;
  startedAt: number | null;
  finishedAt: number | null;
  /** Since when it has been in its present status. */
  statusSince: number;
  ttlS: number;
  eventsWindow: number;
  eventsWindowBytes: number;
  /** The newest event's id. */
  lastEvent: number;
  priority: number;
  concurrencyKey: { key: string; limit: number } | null;
  /** It is queued and waits for its concurrency key to have room. */
  keyWaits: boolean;
  parent: number | null;
  retryOf: number | null;
  /** There is a webhook for its end; see webhookGet. */
  hasWebhook: boolean;
}

/** Which jobs: all that fit every part that is given. */
export interface JobFilter {
  app?: string;
  function?: string;
  status?: JobStatus[];
  concurrencyKey?: string;
  parent?: number;
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

export interface QueueRecord {
  app: string;
  function: string;
  paused: boolean;
  queued: number;
  running: number;
}

export interface KeyRecord {
  key: string;
  queued: number;
  running: number;
  /** Of its newest job. */
  limit: number;
}

export interface NewSchedule {
  function: string;
  spec: ScheduleSpec;
  nextAt: number;
}

export interface ScheduleRecord extends NewSchedule {
  app: string;
  paused: boolean;
  /** The last tick that made a job, and the job; null: none yet. */
  lastAt: number | null;
  lastJob: number | null;
}

export interface WebhookDelivery {
  job: JobRecord;
  url: string;
  secret: string;
  /** 1 for the first. */
  attempt: number;
}

export interface WebhookRecord {
  url: string;
  /** For a job that is made from this one; shown to nobody. */
  secret: string;
  /** `waiting`: the job has not ended. */
  state: "waiting" | "due" | "delivered" | "failed";
  attempts: number;
  /** Why the last attempt failed. */
  error: string | null;
  nextAt: number | null;
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
