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
  /** The endpoint's URL; null for a plain function, and until a server and the function's name are known. */
  readonly serviceUrl: string | null;
  /**
   * The endpoint's URL, as soon as it is live.
   * @throws AthanorError `usage` for a plain function, `timeout` where it is not live in time.
   */
  getWebUrl(options?: { /** Default 60. */ timeoutS?: number; signal?: AbortSignal }): Promise<string>;
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
