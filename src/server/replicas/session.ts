import type { Socket } from "node:net";
import type { ReplicaExit } from "../../engines/engine.ts";
import type { AthanorError } from "../../protocol/errors.ts";
import type { JobError } from "../../protocol/job.ts";
import type { Json } from "../../protocol/json.ts";
import type {
  CancelMessage,
  ChunkMessage,
  LoggedLine,
  OpenHttp,
  OpenJob,
  ProgressMessage,
  ReadyMessage,
  ServiceAddress,
} from "../../protocol/replica.ts";

/** An OPEN whose input is JSON text, as it is stored, and goes on as it is. */
export interface OpeningJob extends Omit<OpenJob, "input"> {
  inputText: string;
}

export type CancelReason = CancelMessage["reason"];

/**
 * The server's end of one replica.
 *
 *   starting --READY-->        ready
 *   starting --START_FAILED--> ended      `ready` rejects with startup_failed
 *   ready    --drain()-->      draining   no more calls; those that are open go on
 *   any      --process gone--> ended      open jobs answer `lost`, open HTTP calls reject
 */
export interface ReplicaSession {
  /** `replicas:7` */
  readonly id: string;
  readonly deployment: number;
  readonly group: string;
  /** Null until the process is there. */
  readonly pid: number | null;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  /** Where its service listens, once it is ready; null where it is called in frames. */
  readonly address: ServiceAddress | null;
  /** A client's connection may be handed over to its process. */
  readonly takesSockets: boolean;
  readonly state: "starting" | "ready" | "draining" | "ended";
  /** Open jobs. */
  readonly jobs: number;
  /** Open HTTP calls. */
  readonly requests: number;
  /** It is ready, its connection stands, and it has answered what it was asked by `probe`. */
  readonly takesCalls: boolean;
  /**
   * Asks whether its event loop runs; it takes no calls until it says so. For a replica whose code did not end in time: if that holds the
   * loop, calls that come now would only wait for its end.
   */
  probe(): void;
  /** Called when it takes calls again, after a probe. */
  onTakesCalls(listener: () => void): void;
  /** Only while `ready`; `media` are the attachments that `m.media` gives the sizes of. */
  openJob(m: OpeningJob, media: Uint8Array[], on: JobListeners): JobCall;
  /** Only while `ready`. */
  openHttp(m: OpenHttp, body: RequestBody, on?: HttpListeners): HttpCall;
  /** No new calls; open ones finish, exit hooks run, the process leaves. Idempotent. */
  drain(): Promise<ReplicaExit>;
  /** Kills the process group at once. Idempotent. */
  kill(): Promise<ReplicaExit>;
  /** Resolves once, when the process and its whole group are gone. Never rejects. */
  readonly ended: Promise<ReplicaExit>;
  /** All lines, with the call that wrote each, where one is known. */
  onLog(listener: (line: LoggedLine, writer: LineWriter | null) => void): void;
}

/** The call that wrote a line. */
export interface LineWriter {
  function: string;
  /** `jobs:123`; null for an HTTP call. */
  jobId: string | null;
}

/** Milliseconds of the phases of a start; null: it has not come so far. */
export interface StartTimings {
  processMs: number | null;
  fromPool: boolean | null;
  connectMs: number | null;
  loadMs: number | null;
  enterMs: number | null;
  listenMs: number | null;
}

/** A session that is being started: `ready` rejects with startup_failed, startup_timeout or out_of_memory, and never hangs. */
export interface StartingReplica extends ReplicaSession {
  readonly ready: Promise<ReadyMessage>;
  readonly timings: Readonly<StartTimings>;
}

export interface JobListeners {
  progress(message: ProgressMessage): void;
  /** Where it returns a promise, the function is held at its `yield` until chunks of about a megabyte at most wait for theirs. */
  chunk(message: ChunkMessage): void | Promise<void>;
  log(line: LoggedLine): void;
}

export interface JobCall {
  /** Never rejects. */
  readonly answer: Promise<JobAnswer>;
  /** Aborts the call's signal; an answer still comes, or the caller kills the replica. Idempotent. */
  cancel(reason: CancelReason): void;
}

export type JobAnswer =
  /** Media stand in `value` as MediaRef whose `$media` is an index of `media`. */
  | { type: "result"; value: Json; media: Uint8Array[] }
  | { type: "error"; error: JobError; retryable: boolean }
  /** The replica is gone. `blameless`: another call is known to be what it died of. */
  | { type: "lost"; exit: ReplicaExit; blameless: boolean };

/** Whole, or as it comes; null: the request has none. */
export type RequestBody = Uint8Array | AsyncIterable<Uint8Array> | null;

export interface HttpListeners {
  log?(line: LoggedLine): void;
  /** A head that comes before the answer's own: a 1xx other than 101. */
  information?(status: number, headers: [string, string][]): void;
  /** What follows the request's body; asked once that has ended. */
  trailers?(): [string, string][];
}

export interface HttpCall {
  /** Rejects with AthanorError replica_crashed, out_of_memory or cancelled where no head came. */
  readonly head: Promise<{ status: number; headers: [string, string][] }>;
  /** Ends with the answer; throws where the replica dies before it. Read it once. */
  readonly body: AsyncIterable<Uint8Array>;
  /** What follows the body; empty until that has ended. */
  readonly trailers: [string, string][];
  /** The body, where all of it is there already, as that of a small answer is once its head is; else null. In place of `body`. */
  whole(): Uint8Array | null;
  /**
   * Aborts the call's signal and drops what is left of the answer: `head` rejects and `body` throws, with `error` where it is given. Idempotent; does
   * nothing after the end.
   */
  cancel(reason: CancelReason, error?: AthanorError): void;
  /** After a head of status 101: bytes for the service, as they are. Resolves when more may follow, with false where it wants no more. */
  send(bytes: Uint8Array): Promise<boolean>;
  /** No more is sent. */
  sendEnd(): void;
  /**
   * Of an OPEN with `handOver`, after its 101: gives the client's connection to the replica's process, with what the client has sent past its request.
   * The call is cancelled where that fails.
   */
  giveSocket(socket: Socket, early: Buffer): void;
  /** Resolves once the replica is done with the call, cancelled ones included (its END has come, or it is gone). Never rejects. */
  readonly closed: Promise<void>;
}
