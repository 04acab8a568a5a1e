import type { JobEventData, JobEventType } from "../protocol/event.ts";
import type { JobStatus } from "../protocol/job.ts";
import type { JobJson } from "../protocol/wire.ts";
import type { ChunkOf, ResultOf, WireArgs } from "./handler.ts";

/**
 * A function of an app, to be called where it is deployed. `A` are its arguments without the injected ones, `R` its
 * result, `C` one chunk where it is a generator.
 */
export interface Handle<A extends readonly unknown[], R, C = never> {
  /**
   * Enqueues a call and waits for its result.
   * @throws JobFailedError where the job ends in any other way than by success; AthanorError where the call is refused or the server is not reached.
   */
  remote(...args: A): Promise<R>;
  /** Enqueues a call and returns as soon as the server has it on disk. */
  spawn(...args: A): Promise<JobHandle<R, C>>;
  /** Enqueues a call and yields its events as they come, to its end. */
  remoteEvents(args: A, options?: WatchOptions): AsyncGenerator<JobWatchEvent<R, C>, void, undefined>;
  /**
   * Enqueues a call of a generator and yields its chunks as they come, each once and in order: through broken connections, and where the job is
   * retried, whose chunks that were yielded before are not yielded again. Leaving the loop cancels the job.
   * @throws JobFailedError where the job ends in any other way than by success; AthanorError `chunks_lost` where the reader fell so far behind that
   * chunks had left the job's event window.
   */
  remoteStream(...args: A): AsyncGenerator<C, void, undefined>;
  /**
   * Enqueues many calls at once: all of them, in one commit, or none. At most 10,000.
   * @returns their handles, in the order of the calls.
   */
  spawnMany(calls: Iterable<A>): Promise<JobHandle<R, C>[]>;
  /**
   * Calls the function with each input, a bounded number at a time, and yields the results: in the inputs' order, or with `ordered: false` as they
   * come. No input is asked for before there is room for it, and a full queue is waited for. Leaving the loop, an error and an abort cancel what is
   * under way.
   * @throws JobFailedError for the first call that fails, unless `errors` is "collect": then errors of calls are yielded in place of their results.
   */
  map(
    inputs: Inputs<SoleArg<A>>,
    options: MapOptions & { errors: "collect" },
  ): AsyncGenerator<R | Error, void, undefined>;
  map(inputs: Inputs<SoleArg<A>>, options?: MapOptions): AsyncGenerator<R, void, undefined>;
  /** `map` with lists of arguments. */
  starmap(inputs: Inputs<A>, options: MapOptions & { errors: "collect" }): AsyncGenerator<R | Error, void, undefined>;
  starmap(inputs: Inputs<A>, options?: MapOptions): AsyncGenerator<R, void, undefined>;
  /**
   * Calls the function with each input as `map` does, and waits for all.
   * @throws as `map` does; with `errors: "collect"` calls that failed are counted.
   */
  forEach(
    inputs: Inputs<SoleArg<A>>,
    options?: Omit<MapOptions, "ordered">,
  ): Promise<{ succeeded: number; failed: number }>;
  /**
   * `spawnMany` with each input as the one argument, in as many commits of 10,000 as it takes. Where a later one is refused, the jobs of the earlier
   * ones stay; with an `idempotencyKey` the same call takes them up again.
   */
  spawnMap(inputs: Inputs<SoleArg<A>>): Promise<JobHandle<R, C>[]>;
  /** The same handle with these options for its calls, over those that it had. */
  with(options: CallOptions): Handle<A, R, C>;
  /** The URL of an endpoint or a service; null for a plain function, and until a server and the function's name are known. */
  readonly serviceUrl: string | null;
  /**
   * The URL of an endpoint or a service, as soon as it is live.
   * @throws AthanorError `usage` for a plain function, `timeout` where it is not live in time.
   */
  getWebUrl(options?: { /** Default 60. */ timeoutS?: number; signal?: AbortSignal }): Promise<string>;
}

export type Inputs<T> = Iterable<T> | AsyncIterable<T>;

/** The argument of a function that can be called with one. */
type SoleArg<A extends readonly unknown[]> = [A[0]] extends A ? A[0] : never;

/** How calls are queued. What is left out is as the function's own options say. */
export interface CallOptions {
  /** A whole number from -1000 to 1000; higher starts sooner. */
  priority?: number | undefined;
  /** Seconds before which the job does not start. */
  delayS?: number | undefined;
  /** The time before which the job does not start, in place of `delayS`. */
  runAt?: Date | string | undefined;
  /** Seconds after its end for which the job is kept. */
  ttlS?: number | undefined;
  /** Seconds within which the job must start, else it ends as `expired`. */
  expireS?: number | undefined;
  /** Of jobs with one key, only `keyConcurrency` of the function run at a time, and keys take turns: `user-17`. 1 to 255 visible characters. */
  concurrencyKey?: string | undefined;
  /**
   * Calls with one key within 24 hours are one job, 1 to 255 visible ASCII characters. The same key with other arguments is refused with
   * `idempotency_conflict`. In `map` and its kin each input gets a key of its own, made of this and its place.
   */
  idempotencyKey?: string | undefined;
  /** POSTed to at the job's end, signed with the secret of 16 to 512 characters. */
  webhook?: { url: string | URL; secret: string } | undefined;
}

export interface MapOptions {
  /** Calls under way at a time: inputs that were taken, whose results were not handed over. Default 64. */
  concurrency?: number | undefined;
  /** Results in the inputs' order; false: as they come. Default true. */
  ordered?: boolean | undefined;
  /** "throw": the first error ends it all. "collect": a call's error stands in place of its result. Default "throw". */
  errors?: "throw" | "collect" | undefined;
  /** Ends it: no more inputs are taken, and what is under way is cancelled. */
  signal?: AbortSignal | undefined;
}

/** A job: one queued call. */
export interface JobHandle<R = unknown, C = unknown> {
  /** `jobs:123` */
  readonly id: string;
  /** The job as the API shows it; `result` in it is the wire's JSON. */
  status(): Promise<JobJson>;
  /** Waits for the end. @throws JobFailedError where it ends in any other way than by success. */
  result(options?: { signal?: AbortSignal }): Promise<R>;
  /** Asks for its end: at once where it is queued, else its code's signal aborts. @throws AthanorError `job_ended`. */
  cancel(): Promise<JobJson>;
  /**
   * One that waits for its next attempt, or for its time, starts now; one that ended without success runs again with the same input and the same
   * code. @returns the same job, or the new one. @throws AthanorError `job_succeeded`.
   */
  retry(): Promise<JobHandle<R, C>>;
  /** Runs an ended job's input again, as a new job of the app's latest code. */
  replay(): Promise<JobHandle<R, C>>;
  /** Its events from `after` on, through broken connections, each once, to `job.end`. */
  watch(options?: WatchOptions): AsyncGenerator<JobWatchEvent<R, C>, void, undefined>;
}

export interface WatchOptions {
  /** Begin with a `job.snapshot`. Default false. */
  snapshot?: boolean | undefined;
  /** Only events after this number. Default 0: all that are kept. */
  after?: number | undefined;
  /** Only these types; snapshots, resets and `job.end` come in any case. Default: all. */
  events?: readonly JobEventType[] | undefined;
  /** Ends the watching, not the job. */
  signal?: AbortSignal | undefined;
}

type EventData<R, C> = Omit<JobEventData, "job.chunk" | "job.result"> & {
  "job.chunk": { index: number; value: C };
  "job.result": { value: R };
  "job.snapshot": JobJson;
  "stream.reset": { requested: number; earliest: number; latest: number; job: JobJson };
};

/** A job's event as code gets it: values of chunks and results are decoded, all else is as on the wire. */
export type JobWatchEvent<R = unknown, C = unknown> = {
  [T in keyof EventData<R, C>]: { id: number; event: T; data: EventData<R, C>[T] };
}[keyof EventData<R, C>];

// biome-ignore lint/suspicious/noExplicitAny: any function can have a handle
type AnyFunction = (...args: any[]) => unknown;

/** The handle of a handler of this type. */
export type HandleOf<F extends AnyFunction> = F extends (...args: infer A) => infer R
  ? Handle<WireArgs<A>, ResultOf<R>, ChunkOf<R>>
  : never;

/** The handle of a function whose types are not known. */
export type UntypedHandle = Handle<unknown[], unknown, unknown>;

/** A job that ended in another way than by success. */
export class JobFailedError extends Error {
  override readonly name = "JobFailedError";
  readonly jobId: string;
  readonly status: JobStatus;
  /** `handler_error`, `timeout`, `out_of_memory` and so on; docs/errors.md has them all. */
  readonly code: string;
  /** Where the function threw, in its own files; undefined where it did not throw. */
  readonly remoteStack: string | undefined;

  constructor(job: Pick<JobJson, "job_id" | "status" | "error">) {
    super(job.error?.message ?? `${job.job_id} ended as ${job.status}`);
    this.jobId = job.job_id;
    this.status = job.status;
    this.code = job.error?.code ?? job.status;
    this.remoteStack = job.error?.stack;
    // The place that a reader looks for is where the function threw, not where it was waited for.
    if (this.remoteStack !== undefined)
      this.stack = `${this.name}: ${this.remoteStack}\n    (${this.jobId}, in a replica)`;
  }
}
