import { AsyncLocalStorage } from "node:async_hooks";
import { AthanorError } from "../protocol/errors.ts";
import type { FrameConnection } from "../protocol/frame-connection.ts";
import type { CancelMessage } from "../protocol/replica.ts";
import { Inflow, Outflow } from "../protocol/streams.ts";
import type { CallLog } from "./logs.ts";

/**
 * One call that the server opened: a job or an HTTP exchange, on a stream of its own.
 *
 *   open --cancel()--> cancelled   the signal aborts; the code goes on until it heeds it
 *   any  --finish()--> finished    END was sent; the stream's number is not used again
 */
export class Call {
  readonly stream: number;
  readonly kind: "job" | "http";
  readonly connection: FrameConnection;
  readonly input: Inflow;
  readonly output: Outflow;
  /** Null until it writes its first line. */
  log: CallLog | null = null;
  /** The most log lines that are of use to anyone. */
  readonly maxLogLines: number;
  finished = false;
  #controller: AbortController | null = null;
  #reason: AthanorError | null = null;

  constructor(p: { stream: number; kind: "job" | "http"; connection: FrameConnection; maxLogLines: number }) {
    this.stream = p.stream;
    this.kind = p.kind;
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

  /** Why it was cancelled, else null. */
  get cancelled(): AthanorError | null {
    return this.#reason;
  }

  cancel(reason: CancelMessage["reason"]): void {
    if (this.#reason || this.finished) return;
    this.#reason = CANCEL_ERRORS[reason]();
    // A listener runs on behalf of whoever aborts; what it writes is the call's.
    currentCall.run(this, () => this.#controller?.abort(this.#reason));
    // An HTTP answer that nobody reads any more is not sent; what a job has made is.
    if (this.kind === "http") this.output.close();
  }
}

const CANCEL_ERRORS: Record<CancelMessage["reason"], () => AthanorError> = {
  cancelled: () => new AthanorError("cancelled", "the call was cancelled"),
  timeout: () => new AthanorError("timeout", "the call ran longer than its timeoutS"),
  disconnected: () => new AthanorError("cancelled", "the client disconnected"),
  shutdown: () => new AthanorError("shutting_down", "the server is shutting down"),
};

/** The call on whose behalf the running code runs, through all its awaits, timers and callbacks. */
export const currentCall = new AsyncLocalStorage<Call>();
