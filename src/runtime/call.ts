import { AsyncLocalStorage } from "node:async_hooks";
import type { Socket } from "node:net";
import { AthanorError } from "../protocol/errors.ts";
import type { FrameConnection } from "../protocol/frame-connection.ts";
import type { CancelMessage } from "../protocol/replica.ts";
import { Inflow, Outflow } from "../protocol/streams.ts";
import type { RetryOn } from "./load.ts";
import type { CallLog } from "./logs.ts";

/** On whose behalf code runs: one call, or all those of a batch. */
export interface Caller {
  readonly calls: readonly Call[];
}

/**
 * One call that the server opened: a job or an HTTP exchange, on a stream of its own.
 *
 *   open --cancel()--> cancelled   the signal aborts; the code goes on until it heeds it
 *   any  --finish()--> finished    END was sent; the stream's number is not used again
 */
export class Call implements Caller {
  readonly calls: readonly [Call] = [this];
  readonly stream: number;
  readonly kind: "job" | "http";
  /** `jobs:123`; null for an HTTP exchange. */
  readonly jobId: string | null;
  /** What names its trace: itself, or the headers of its request. */
  readonly #trace: string | readonly [string, string][] | null;
  /** The function's `retries.retryOn`. */
  readonly retryOn: RetryOn | null;
  readonly connection: FrameConnection;
  readonly input: Inflow;
  readonly output: Outflow;
  /** Null until it writes its first line. */
  log: CallLog | null = null;
  /** The most log lines that are of use to anyone. */
  readonly maxLogLines: number;
  finished = false;
  /** Goes with its END. */
  trailers: readonly [string, string][] = [];
  /** Takes the connection of its client, which is handed over. */
  onSocket: ((client: Socket, early: Buffer) => void) | null = null;
  #controller: AbortController | null = null;
  #cancelListeners: ((reason: AthanorError) => void)[] | null = null;
  #reason: AthanorError | null = null;

  constructor(p: {
    stream: number;
    kind: "job" | "http";
    jobId: string | null;
    trace: string | readonly [string, string][] | null;
    retryOn: RetryOn | null;
    connection: FrameConnection;
    maxLogLines: number;
  }) {
    this.stream = p.stream;
    this.kind = p.kind;
    this.jobId = p.jobId;
    this.#trace = p.trace;
    this.retryOn = p.retryOn;
    this.connection = p.connection;
    this.maxLogLines = p.maxLogLines;
    this.input = new Inflow(p.connection, p.stream);
    this.output = new Outflow(p.connection, p.stream);
  }

  /** Made when it is first asked for: most calls never do. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#reason && !this.#controller.signal.aborted) this.#controller.abort(this.#reason);
    return this.#controller.signal;
  }

  /** The trace that it belongs to, or null. */
  get traceparent(): string | null {
    return this.#trace === null || typeof this.#trace === "string" ? this.#trace : traceparentIn(this.#trace);
  }

  /** Why it was cancelled, else null. */
  get cancelled(): AthanorError | null {
    return this.#reason;
  }

  /** Once, where it is cancelled before it is finished: cheaper than the signal, for what the runtime itself must stop. */
  onCancel(listener: (reason: AthanorError) => void): void {
    if (this.#reason) listener(this.#reason);
    else {
      this.#cancelListeners ??= [];
      this.#cancelListeners.push(listener);
    }
  }

  cancel(reason: CancelMessage["reason"]): void {
    if (this.#reason || this.finished) return;
    const error = CANCEL_ERRORS[reason]();
    this.#reason = error;
    // A listener runs on behalf of whoever aborts; what it writes is the call's.
    currentCaller.run(this, () => this.#controller?.abort(error));
    if (this.kind !== "http") return;
    // An HTTP answer that nobody reads any more is not sent, what a job has made is; and of the request no more will come.
    this.output.close();
    this.input.fail(error);
    for (const listener of this.#cancelListeners ?? []) listener(error);
  }
}

const CANCEL_ERRORS: Record<CancelMessage["reason"], () => AthanorError> = {
  cancelled: () => new AthanorError("cancelled", "the call was cancelled"),
  timeout: () => new AthanorError("timeout", "the call ran longer than its timeoutS"),
  disconnected: () => new AthanorError("cancelled", "the client disconnected"),
  shutdown: () => new AthanorError("shutting_down", "the server is shutting down"),
};

/** On whose behalf the running code runs, through all its awaits, timers and callbacks. */
export const currentCaller = new AsyncLocalStorage<Caller>();

/** The job whose code runs; null in an HTTP exchange, in a batch, which is no one job's, and outside of calls. */
export function currentJobId(): string | null {
  const caller = currentCaller.getStore();
  return caller instanceof Call && !caller.finished ? caller.jobId : null;
}

/** The trace of the call whose code runs; null in a batch and outside of calls. */
export function currentTraceparent(): string | null {
  const caller = currentCaller.getStore();
  return caller instanceof Call && !caller.finished ? caller.traceparent : null;
}

/** The server gives one to every request. */
export function traceparentIn(headers: readonly [string, string][]): string | null {
  return headers.find(([name]) => name === "traceparent")?.[1] ?? null;
}
