import type { JobError, JobStatus, Waiting } from "./job.ts";
import type { Json } from "./json.ts";
import type { DependencySet, FunctionKind } from "./spec.ts";

/** A job as the API shows it. Times are ISO 8601; `progress` is 0 to 1. */
export interface JobJson {
  job_id: string;
  app: string;
  function: string;
  deployment_id: string;
  status: JobStatus;
  progress: number;
  message: string | null;
  attempt: number;
  created_at: string;
  started_at: string | null;
  finished_at: string | null;
  execution_time_s: number | null;
  result: Json;
  error: JobError | null;
  waiting: Waiting | null;
  priority: number;
  concurrency_key: string | null;
  /** The job whose code spawned this one. */
  parent_id: string | null;
  /** The job that this one was made from, by `retry` or `replay`. */
  retry_of: string | null;
  /** Not started before; null: at once. */
  run_at: string | null;
  /** Expires where it has not started by then. */
  expires_at: string | null;
  links: { self: string; events: string; result: string; cancel: string };
}

export interface DeploymentJson {
  deployment_id: string;
  app: string;
  digest: string;
  status: "live" | "superseded" | "failed";
  created_at: string;
  functions: FunctionJson[];
  /** Why it is `failed`, else null. */
  error: DeploymentErrorJson | null;
  /** What its deploy took, as far as the server that made it live still remembers. */
  phases: DeployPhaseJson[];
}

/** Of `GET /v1/deployments/:id/dependencies`. */
export interface DeploymentDependenciesJson {
  /** False: its upload is no longer kept. */
  known: boolean;
  dependencies: DependencySet | null;
}

/** Why a deployment is not live. */
export interface DeploymentErrorJson {
  code: string;
  message: string;
  /** What its replicas wrote last. */
  last_stderr: string[];
}

/**
 * `upload`: the server receives it; `install`: its files are written, its schemas compiled, its packages installed; `trial`: one replica is started and taken
 * away; `prepare`: the replicas that take over are started; `switch`: it is made live.
 */
export type DeployPhase = "upload" | "install" | "trial" | "prepare" | "switch";

export interface DeployPhaseJson {
  phase: DeployPhase;
  duration_s: number;
}

/** `GET /v1/deployments/:id`. */
export interface DeploymentDetailJson extends DeploymentJson {
  /** What runs of it on the server that answers, by groups of functions that share replicas. Empty where nothing of it runs, or should. */
  replica_groups: ReplicaGroupJson[];
}

/** How one server keeps the replicas of one group. */
export interface ReplicaGroupJson {
  /** The function's name, or `endpoints.1` of endpoints that share replicas. */
  name: string;
  functions: string[];
  scaling: {
    min_replicas: number;
    max_replicas: number;
    concurrency: number;
    keep_warm_s: number;
    scale_up_delay_s: number;
  };
  /** Replicas that there are to be now. */
  wanted: number;
  starting: number;
  ready: number;
  draining: number;
  /** Calls that its replicas hold. */
  running: number;
  /** Requests that are held, and jobs that could start. */
  waiting: number;
  /** Calls at a time, running and waiting, of late; null where one replica is the most, since nothing hangs on it. */
  demand: {
    stable_average: number;
    panic_average: number;
    peak: number;
    /** A burst: until then no replica is taken away. */
    panic_until: string | null;
  } | null;
  /** Why the last start failed; null once a replica has worked since. */
  last_failure: {
    code: string;
    message: string;
    /** In a row. */
    failures: number;
    at: string;
    next_try_at: string;
  } | null;
  /** Replicas that have ended, newest first. */
  last_exits: ReplicaEndJson[];
  replicas: GroupReplicaJson[];
}

export interface ReplicaEndJson {
  replica_id: string;
  at: string;
  /** `stopped`: on request, for idleness, a deploy or a call that did not end in time. `exited`: by itself, in whatever way. `frozen`: held by a signal. */
  reason: "start_failed" | "exited" | "out_of_memory" | "frozen" | "stopped";
  /** `exit code 3`, `signal SIGKILL`. */
  status: string;
  /** Seconds for which it was ready; null: it never was. */
  ready_s: number | null;
  /** Newest last. */
  last_stderr: string[];
}

export interface GroupReplicaJson {
  replica_id: string;
  status: "starting" | "ready" | "draining";
  pid: number | null;
  started_at: string;
  ready_at: string | null;
  /** Calls that it holds. */
  running: number;
  /** Since when it has had none. */
  idle_since: string | null;
  timings: StartTimingsJson;
}

/** Milliseconds of the phases of a start, in their order; null: it has not come so far. */
export interface StartTimingsJson {
  /** Waiting for its turn: so many replicas start at once and no more. */
  queued_ms: number;
  /** Until there was a process: one of the waiting ones, or a new one. */
  process_ms: number | null;
  /** The process was one of those that wait with the runtime loaded. */
  from_pool: boolean | null;
  /** Until the process had connected: of a new one, Node's start. */
  connect_ms: number | null;
  /** The bundle was imported. */
  load_ms: number | null;
  /** `@app.enter()`. */
  enter_ms: number | null;
  /** All else until it was ready: of a service, until it was made and listened. */
  listen_ms: number | null;
}

export interface FunctionJson {
  name: string;
  kind: FunctionKind;
  /** Null for a plain function, which has no HTTP face. */
  url: string | null;
  methods: string[];
  queued: boolean;
  description: string | null;
}

/** The answer to `POST /v1/deployments`. */
export interface DeployResult {
  deployment: DeploymentJson;
  /** True where the live deployment already had this digest, and nothing was made. */
  unchanged: boolean;
  links: { app: string; openapi: string; docs: string };
}

export interface AppJson {
  app: string;
  deployment_id: string;
  created_at: string;
  functions: FunctionJson[];
  jobs: { queued: number; running: number };
  links: { self: string; openapi: string; docs: string };
}

export interface ReplicaJson {
  replica_id: string;
  app: string;
  deployment_id: string;
  functions: string[];
  status: "starting" | "ready" | "draining";
  pid: number | null;
  started_at: string;
  jobs: number;
  requests: number;
}

/** Body of `POST /v1/apps/:app/functions/:fn/jobs`. `args` are the wire parameters in order, `kwargs` by name. */
export interface SpawnRequest {
  args?: Json[];
  kwargs?: { [name: string]: Json };
  options?: SpawnOptionsJson;
}

/** How one call is queued. Absent: as the function's own options say. */
export interface SpawnOptionsJson {
  /** A whole number from -1000 to 1000; higher starts sooner. */
  priority?: number;
  delay_s?: number;
  /** ISO 8601; in place of `delay_s`. */
  run_at?: string;
  ttl_s?: number;
  expire_s?: number;
  concurrency_key?: string;
  /** POSTed to at the job's end. The secret signs the body, and is never shown again. */
  webhook?: { url: string; secret: string };
}

/** Body of `POST /v1/apps/:app/functions/:fn/jobs/batch`: all are enqueued, or none. */
export interface SpawnManyRequest {
  calls: SpawnRequest[];
}

export interface SpawnManyResult {
  /** In the order of the calls. */
  job_ids: string[];
}

/** Body of `POST /v1/jobs/cancel`: all that fit every part that is given; at least one part, or `all`. */
export interface CancelManyRequest {
  app?: string;
  function?: string;
  status?: ("queued" | "running")[];
  concurrency_key?: string;
  parent_id?: string;
  all?: boolean;
}

export interface CancelManyResult {
  /** Jobs that were queued, and have ended. */
  cancelled: number;
  /** Jobs that run, and are being stopped. */
  stopping: number;
}

/** The jobs of one function that wait and run, over all deployments of the app. */
export interface QueueJson {
  app: string;
  function: string;
  paused: boolean;
  queued: number;
  running: number;
  /** As the live deployment has it; null: it has no such function. */
  limits: QueueLimitsJson | null;
}

export interface QueueLimitsJson {
  size: number;
  /** Jobs at a time over all replicas; null: as many as these have places. */
  concurrency: number | null;
  key_concurrency: number;
  rate: { limit: number; per_s: number } | null;
}

/** Jobs of one concurrency key of a function. */
export interface KeyJson {
  key: string;
  queued: number;
  running: number;
  limit: number;
}
/**
 * Body of `POST /v1/calls`: calls of any functions in one request. Each is accepted or refused for itself, in order; those that are accepted are
 * on disk together. The answer is a line of JSON (`application/x-ndjson`) for each call, as it comes, and begins once all are on disk.
 */
export interface CallsRequest {
  calls: CallRequest[];
}

export interface CallRequest extends SpawnRequest {
  app: string;
  function: string;
  /** As the header Idempotency-Key of a single call. */
  idempotency_key?: string;
  /** Answered once the job has ended, or as it is when the request's `Prefer: wait=N` is over; false: at once. */
  wait?: boolean;
  /** The caller will read the events with `?hold=true`: until it comes, chunks are held as if it were there. */
  stream?: boolean;
}

/** `call` is the index of the call in the request. */
export type CallAnswer = { call: number; job: JobJson } | { call: number; problem: Problem };

export type WebhookType = "job.succeeded" | "job.failed" | "job.cancelled" | "job.timed_out" | "job.expired";

/** What a webhook POSTs at a job's end. The same bytes in each attempt. */
export interface WebhookBody {
  type: WebhookType;
  /** When the job ended, ISO 8601. */
  timestamp: string;
  /** Its links are whole URLs, and open it without a token. */
  job: JobJson;
  /** The result is too large to come along: `job.result` is null, and `job.links.result` leads to it. */
  result_omitted: boolean;
}

/** The delivery of a job's webhook, of `GET /v1/jobs/:id/webhook`. */
export interface WebhookJson {
  /** Without its query, which may be secret. */
  url: string;
  /** `waiting`: the job has not ended. */
  state: "waiting" | "due" | "delivered" | "failed";
  /** Attempts so far. */
  attempts: number;
  /** After so many it is given up. */
  max_attempts: number;
  /** Why the last attempt failed. */
  last_error: string | null;
  next_at: string | null;
}

/** A function's schedule, of `GET /v1/schedules`. */
export interface ScheduleJson {
  app: string;
  function: string;
  /** The cron expression; null where it is `every_s`. */
  schedule: string | null;
  time_zone: string | null;
  every_s: number | null;
  /** Of ticks that passed while no server ran: one run for all of them, or none. */
  missed: "run_once" | "skip";
  paused: boolean;
  /** Null while it is paused. */
  next_at: string | null;
  /** The last tick that made a job, and the job. */
  last_at: string | null;
  last_job_id: string | null;
}

export interface Page<T> {
  items: T[];
  /** Pass as `?cursor=` for the next page; null on the last. */
  next_cursor: string | null;
}

/** One line of a replica's output, of `GET /v1/deployments/:id/logs`. */
export interface LogLine {
  at: string;
  replica_id: string;
  function: string | null;
  job_id: string | null;
  stream: "stdout" | "stderr";
  line: string;
}

export interface ServerJson {
  version: string;
  node: string;
  data_dir: string;
  pid: number;
  started_at: string;
}

export interface StoreJson {
  kind: "sqlite" | "postgres";
  /** The file, or role, host, database and schema. */
  place: string;
  version: string;
  schema: number;
  /** Of a read, there and back. */
  latency_ms: number;
  /** Servers that share it, this one included. */
  servers: number;
  leads: boolean;
}

/** RFC 9457, with a stable `code` and the next step in `hint`. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  code: string;
  detail: string;
  hint: string;
  errors?: InvalidPath[];
}

/** One thing wrong with a body: where (a JSON Pointer), and what was expected there. */
export interface InvalidPath {
  path: string;
  expected: string;
  actual?: string;
}

/** The file `server.json` in the data folder, by which a CLI on the same machine finds a running server. */
export interface ServerFile {
  url: string;
  pid: number;
  version: string;
}
