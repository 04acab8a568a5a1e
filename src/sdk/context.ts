/** A parameter of this type is injected: it is not part of the wire body, and callers do not pass it. */
export class JobProgress {
  readonly #report: (progress: number, message: string | null) => void;

  /** Made by the runtime; in a test of your own function give it a callback. */
  constructor(report: (progress: number, message: string | null) => void = () => {}) {
    this.#report = report;
  }

  /**
   * Reports how far the job is. Watchers get a `job.progress` event.
   * @param fraction 0 to 1; values outside are clamped.
   * @param message What it is doing, in words.
   * @throws TypeError where `fraction` is no number.
   */
  setStatus(fraction: number, message?: string): void {
    if (typeof fraction !== "number" || Number.isNaN(fraction)) {
      throw new TypeError(`JobProgress.setStatus takes a fraction from 0 to 1, but got ${String(fraction)}`);
    }
    this.#report(Math.min(1, Math.max(0, fraction)), message ?? null);
  }
}

type WebRequest = typeof globalThis extends { Request: { prototype: infer T } } ? T : never;

export interface JobContextInit {
  jobId: string | null;
  attempt: number;
  batch?: readonly BatchedJob[] | null | undefined;
  traceparent?: string | null | undefined;
  signal: AbortSignal;
  log: (...values: unknown[]) => void;
  request?: WebRequest | undefined;
}

/** One job of a batch. */
export interface BatchedJob {
  /** `jobs:123` */
  readonly jobId: string;
  /** 1 for its first attempt; more after retries. */
  readonly attempt: number;
  readonly traceparent: string | null;
  /** Aborts when this job is cancelled or times out, while the others go on. */
  readonly signal: AbortSignal;
}

/** A parameter of this type is injected: what the function may know of the call that it serves. */
export class JobContext {
  readonly #init: JobContextInit;

  /** Made by the runtime; in a test of your own function give what it needs. */
  constructor(init: JobContextInit) {
    this.#init = init;
  }

  /** `jobs:123`; null in a synchronous call, which is no job, and in a batch, which is several. */
  get jobId(): string | null {
    return this.#init.jobId;
  }

  /** 1 for the first attempt; more after retries. Of a batch, the most that one of its jobs has had. */
  get attempt(): number {
    return this.#init.attempt;
  }

  /** The jobs of a batch, in the order of the arrays; null in any other call. */
  get batch(): readonly BatchedJob[] | null {
    return this.#init.batch ?? null;
  }

  /**
   * The trace that the call belongs to, as [W3C Trace Context](https://www.w3.org/TR/trace-context/) writes it: that of the request, or, in a job, of the
   * request that queued it. Null where there is none, and in a batch, whose jobs have their own.
   */
  get traceparent(): string | null {
    return this.#init.traceparent ?? null;
  }

  /**
   * Aborts when the job is cancelled or times out, or the client of a synchronous call is gone. Code that does not heed it is
   * stopped with its process 5 seconds later; where only the client is gone, 5 seconds after its `timeoutS` is over.
   * That of a batch aborts when all its jobs are stopped.
   */
  get signal(): AbortSignal {
    return this.#init.signal;
  }

  /** Writes a line to this call's log, tied to it even where several calls share the process. Values are shown as console.log shows them. */
  log(...values: unknown[]): void {
    this.#init.log(...values);
  }

  /** The HTTP request of a synchronous call, its body already read; undefined in a job. */
  get request(): WebRequest | undefined {
    return this.#init.request;
  }
}
