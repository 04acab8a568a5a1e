import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { HttpMethod } from "../protocol/spec.ts";

/**
 * Options of every function. The first default that is found holds: the function's own option, the app's, athanor.json's, the one named here.
 */
export interface ReplicaOptions {
  /** CPU cores for a replica. Default 1. Engines that can limit CPU hold it; the process engine only records it. */
  cpu?: number | undefined;
  /** Memory of a replica in MiB, child processes included. Default 1024. Over it the replica is killed and its jobs fail with `out_of_memory`. */
  memoryMb?: number | undefined;
  /** Seconds that one attempt may run. Default 600. Past it `JobContext.signal` aborts, and 5 s later the process is killed. */
  timeoutS?: number | undefined;
  /** Disk of a replica in GiB. Default: what the engine gives. Recorded; the process engine does not limit disk. */
  diskGb?: number | undefined;
  /** GPU model, or models in order of preference. Default: none. Recorded; the process engine does not place by it. */
  gpu?: string | readonly string[] | undefined;
  /** GPUs for a replica. Default 1 where `gpu` is given, else 0. Recorded; the process engine does not place by it. */
  gpuCount?: number | undefined;
  /** The least memory of each GPU in GiB. Recorded; the process engine does not place by it. */
  minVramGb?: number | undefined;
  /** Regions in which a replica may run. Default: any. Recorded; the process engine does not place by it. */
  geolocation?: readonly string[] | undefined;
  /** Filters on offers of machines: `{field: {op: value}}`. Recorded; the process engine does not place by it. */
  offerFilters?: Readonly<Record<string, Readonly<Record<string, string | number | boolean>>>> | undefined;
  /**
   * Environment variables of the replica. A replica sees these and nothing of the server's environment.
   * They are stored as plain text in the deployment: do not put secrets here.
   */
  env?: Readonly<Record<string, string>> | undefined;
  /**
   * Of a synchronous endpoint and a service: calls at a time in one replica, open WebSockets included; default 100. Of a function and a queued
   * endpoint: jobs at a time over all replicas and servers; default: as many as the replicas have places, see `queue.maxWorkers`.
   */
  concurrency?: number | undefined;
  /** Replicas kept running without any call. Default 0. */
  minReplicas?: number | undefined;
  /** The most replicas at a time. Default 1. */
  maxReplicas?: number | undefined;
  /** Seconds that an idle replica is kept. Default 600; with 0 it leaves with its last call. */
  keepWarmS?: number | undefined;
  /**
   * Seconds for which there must be more calls than the replicas have places, before one more is started. Default 0: at once. It never delays the
   * first replica, nor those of `minReplicas`.
   */
  scaleUpDelayS?: number | undefined;
}

/** Options of what runs as jobs. */
interface JobOptions {
  /** Jobs of one concurrency key at a time, over all replicas and servers. Default 1. Jobs without a key are not counted. */
  keyConcurrency?: number | undefined;
  /** How many attempts of jobs may start in a span of time, over all replicas and servers. Default: no limit. Not for synchronous endpoints. */
  rateLimit?: RateLimitOptions | undefined;
  /** Of jobs that are called without one: a whole number from -1000 to 1000, higher starts sooner. Default 0. */
  priority?: number | undefined;
  /** Seconds within which a job must start, else it ends as `expired`. Default: no limit. */
  expireS?: number | undefined;
  /** The queue of a function, which always has one, or of an endpoint, which is queued by it. */
  queue?: QueueOptions | undefined;
  /** Attempts of a job after the first, or the whole retry policy. Default 0. A cancelled job is not retried. */
  retries?: number | RetryOptions | undefined;
  /** What is kept of a job's event log: its newest events, to whichever limit is reached first, and the terminal ones always. */
  events?: EventsOptions | undefined;
}

export interface CommonOptions extends ReplicaOptions, JobOptions {}

/** Options of one function, which an app has no default for. */
interface DeclaredOptions {
  /**
   * Runs the function by the clock, as a job without arguments: a cron expression in UTC, or more exactly what. Default: none. Two servers on one
   * store do not run one tick twice.
   */
  schedule?: string | CronOptions | EveryOptions | undefined;
}

export interface RateLimitOptions {
  /** Starts of attempts, retries included. */
  limit: number;
  /** The span of time in seconds: in none of this length are there more. */
  perS: number;
}

/** The option that makes the handler one of arrays; apart from the others, since the handler's type hangs on it. */
export interface BatchedOptions {
  /**
   * Gathers jobs, so that one call of the handler gets several: each of its parameters is an array, one element a job, and it returns an array of as
   * many results. An element that is an `Error` fails that job alone. Callers pass and get single elements. Not for synchronous endpoints.
   */
  batch: BatchOptions;
}

/** The options of a handler that takes no arrays. Where `batch` is given and the handler does not fit it, the compiler shows this text. */
export interface UnbatchedOptions {
  batch?: "with `batch` the handler takes an array for each parameter, and returns an array of as many results";
}

export interface BatchOptions {
  /** Jobs in one call, at most. A replica then holds at least as many at a time: `queue.maxWorkers` is by default this. */
  maxSize: number;
  /** Milliseconds that the first job of a batch waits for others. Default 10; with 0 it takes those that came in the same turn. */
  waitMs?: number | undefined;
}

export interface CronOptions {
  /** Five fields: minute, hour, day of the month, month, day of the week; or six, with seconds before them. */
  cron: string;
  everyS?: undefined;
  /** An IANA name, `Europe/Berlin`. Default "UTC". */
  timeZone?: string | undefined;
  /** Of ticks that passed while no server ran: one run for all of them, or none. Default "run_once". */
  missed?: "run_once" | "skip" | undefined;
}

export interface EveryOptions {
  /** Seconds from tick to tick. */
  everyS: number;
  cron?: undefined;
  timeZone?: undefined;
  /** Of ticks that passed while no server ran: one run for all of them, or none. Default "run_once". */
  missed?: "run_once" | "skip" | undefined;
}

export interface EventsOptions {
  /** Newest events kept of a job. Default 1000. */
  window?: number | undefined;
  /** Bytes of the newest events kept of a job. Default 16 MiB. */
  windowBytes?: number | undefined;
}

export interface RetryOptions {
  /** Attempts after the first, at least 0. */
  max: number;
  /** Seconds before the first retry. Default 1. */
  delayS?: number | undefined;
  /** The factor by which the delay grows with each retry. Default 2; 1 keeps it even. */
  backoff?: number | undefined;
  /** The longest delay in seconds. Default 300. */
  maxDelayS?: number | undefined;
  /** The share of the delay, 0 to 1, that is random. Default 0.1. */
  jitter?: number | undefined;
  /**
   * Whether what was thrown is worth another attempt; it runs in the replica. Default: whatever was thrown is, but a `NonRetryableError`, and other
   * errors whose `retryable` is false: of these it is not asked. Where it throws itself, the job is retried. A timeout ends the job, and a dead
   * replica costs no attempt: it is asked of neither.
   */
  retryOn?: ((error: unknown) => boolean) | undefined;
}

export interface FunctionOptions extends CommonOptions, DeclaredOptions {}

/** Options of everything with an HTTP face. */
export interface HttpFaceOptions {
  /** Seconds that a request waits for a replica to start. Default 300; past it the answer is 503. */
  serviceStartupTimeoutS?: number | undefined;
  /** Seconds that a stopping replica is given to finish its calls. Default 30. */
  drainTimeoutS?: number | undefined;
  /** Who may call it: anyone, or holders of the server's token. Default "public". */
  access?: "public" | "token" | undefined;
  /** Which other origins' pages may call it. Default false: none. `true` is any origin, without credentials. */
  cors?: boolean | CorsOptions | undefined;
}

export interface CorsOptions {
  /** `https://app.example.com`; `["*"]` is any. Default any. */
  origins?: readonly string[] | undefined;
  /** Request headers that a page may set. Default: `content-type`, `authorization`, `prefer`, `idempotency-key`. */
  headers?: readonly string[] | undefined;
  /** Lets pages send cookies and HTTP authentication; needs `origins` that are named. Default false. */
  credentials?: boolean | undefined;
}

export interface EndpointOptions extends CommonOptions, HttpFaceOptions, DeclaredOptions {
  /** Default ["POST"]. GET, HEAD and DELETE take their parameters from the query. */
  methods?: readonly HttpMethod[] | undefined;
  /** One line for the API's documentation. */
  summary?: string | undefined;
  /** Groups in the API's documentation. */
  tags?: readonly string[] | undefined;
  /** The largest uploaded file in MiB, by whatever way it comes. Default 100. */
  maxUploadFileSizeMb?: number | undefined;
  /** Calls become jobs, answered with 202. Default: true where `queue` is given or the app is `serverless`, else false. */
  useQueue?: boolean | undefined;
}

export interface QueueOptions {
  /** Jobs that may wait; one more is refused with 429. Default 500. */
  size?: number | undefined;
  /** Jobs at a time in one replica. Default: `batch.maxSize`, or `concurrency` where it is given, else 1. */
  maxWorkers?: number | undefined;
  /** Seconds after its end for which a job is kept. Default 3600. */
  ttlS?: number | undefined;
}

/** Options of an app; all but `compute` are defaults for its functions. A `queue` here does not make endpoints queued: it says what the queues are like. */
export interface AppOptions extends CommonOptions, HttpFaceOptions {
  /** "serverless" makes every endpoint queued unless it says `useQueue: false`. Default "dedicated". */
  compute?: "dedicated" | "serverless" | undefined;
  /** The largest uploaded file in MiB. Default 100. */
  maxUploadFileSizeMb?: number | undefined;
}

/** `athanor.json` beside the entry file. */
export interface ProjectOptions {
  queue?: QueueOptions | undefined;
}

/** Schemas that take the place of the handler's types. Any library that follows Standard Schema: Zod, Valibot, ArkType. */
export interface SchemaOptions<I extends StandardSchemaV1 | undefined, O extends StandardSchemaV1 | undefined> {
  /** Parses the body; the handler then takes (parsed value, JobContext). */
  input?: I | undefined;
  /** Parses the result. */
  output?: O | undefined;
}
