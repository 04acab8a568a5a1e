import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { HttpMethod } from "../protocol/spec.ts";

/**
 * Options of every function. The first default that is found holds: the function's own option, the app's, athanor.json's, the one named here.
 */
export interface FunctionOptions {
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
  /** Calls at a time in one replica. Default: 100 for an endpoint, 1 for a function. A queued endpoint has `queue.maxWorkers` instead. */
  concurrency?: number | undefined;
  /** Replicas kept running without any call. Default 0. */
  minReplicas?: number | undefined;
  /** The most replicas at a time. Default 1. */
  maxReplicas?: number | undefined;
  /** Seconds that an idle replica is kept. Default 600. */
  keepWarmS?: number | undefined;
  /** Attempts of a job after the first, or the whole retry policy. Default 0. A cancelled job is not retried. */
  retries?: number | RetryOptions | undefined;
  /** What is kept of a job's event log. */
  events?:
    | { /** Newest events kept of a job, the terminal ones always. Default 1000. */ window?: number | undefined }
    | undefined;
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
}

/** Options of functions with an HTTP face. */
export interface ServiceOptions extends FunctionOptions {
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

export interface EndpointOptions extends ServiceOptions {
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
  /** Makes the endpoint queued. */
  queue?: QueueOptions | undefined;
}

export interface QueueOptions {
  /** Jobs that may wait; one more is refused with 429. Default 500. */
  size?: number | undefined;
  /** Jobs at a time in one replica. Default 1. */
  maxWorkers?: number | undefined;
  /** Seconds after its end for which a job is kept. Default 3600. */
  ttlS?: number | undefined;
}

/** Options of an app; all but `compute` are defaults for its functions. */
export interface AppOptions extends ServiceOptions {
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
