import type { ReplicaExit, ReplicaProcess } from "../../engines/engine.ts";
import { AthanorError, type ErrorCode } from "../../protocol/errors.ts";
import type { FrameConnection } from "../../protocol/frame-connection.ts";
import { FrameError } from "../../protocol/frames.ts";
import { droppedLinesMark, NewestBuffer } from "../../protocol/lines.ts";
import {
  type AssignMessage,
  FrameType,
  type LoggedLine,
  type OpenHttp,
  type ReadyMessage,
  type ServiceAddress,
} from "../../protocol/replica.ts";
import { startExitError } from "./exit.ts";
import { OpenHttpCall } from "./http-call.ts";
import { OpenJobCall } from "./job-call.ts";
import { parseLines, parseReady, parseStartFailed } from "./messages.ts";
import { type CallLines, OpenCalls } from "./open-calls.ts";
import { RawLines } from "./raw-lines.ts";
import type {
  HttpCall,
  HttpListeners,
  JobCall,
  JobListeners,
  LineWriter,
  OpeningJob,
  RequestBody,
  StartingReplica,
  StartTimings,
} from "./session.ts";
import { StartPhases } from "./start-phases.ts";

const LAST_STDERR_LINES = 20;
/** After its connection closed a process mostly ends by itself, and then says why. */
const EXIT_AFTER_CLOSE_MS = 1000;

export interface LiveSessionOptions {
  id: string;
  deployment: number;
  group: string;
  /** What the replica is told once its process is known. */
  assign: (process: ReplicaProcess) => AssignMessage;
  /** Time from its start to READY. */
  startupTimeoutMs: number;
}

/** What a replica may say of itself; all else is its code's. */
const START_ERRORS: readonly ErrorCode[] = ["import_failed", "startup_timeout"];

/** See StartingReplica for the states. */
export class LiveSession implements StartingReplica {
  readonly id: string;
  readonly deployment: number;
  readonly group: string;
  readonly startedAt = Date.now();
  readonly ready: Promise<ReadyMessage>;
  readonly ended: Promise<ReplicaExit>;
  #state: StartingReplica["state"] = "starting";
  #probed = false;
  readonly #takesCallsListeners: (() => void)[] = [];
  readonly #options: LiveSessionOptions;
  readonly #readiness = Promise.withResolvers<ReadyMessage>();
  readonly #end = Promise.withResolvers<ReplicaExit>();
  readonly #startupTimer: NodeJS.Timeout;
  readonly #calls = new OpenCalls();
  readonly #logListeners: ((line: LoggedLine, writer: LineWriter | null) => void)[] = [];
  readonly #lastStderr = new NewestBuffer<string>(LAST_STDERR_LINES, Number.POSITIVE_INFINITY);
  readonly #rawLines = new RawLines((line) => this.#logged(line));
  readonly #phases = new StartPhases();
  #process: ReplicaProcess | null = null;
  #connection: FrameConnection | null = null;
  #killed = false;
  #address: ServiceAddress | null = null;
  #takesSockets = false;

  constructor(options: LiveSessionOptions) {
    this.#options = options;
    this.id = options.id;
    this.deployment = options.deployment;
    this.group = options.group;
    this.ready = this.#readiness.promise;
    this.ready.catch(() => {});
    this.ended = this.#end.promise;
    this.#startupTimer = setTimeout(() => this.#startupTimedOut(), options.startupTimeoutMs);
  }

  get state(): StartingReplica["state"] {
    return this.#state;
  }

  get takesCalls(): boolean {
    // A connection may have broken though the process has not ended yet.
    return this.#state === "ready" && this.#connection?.isOpen === true && !this.#probed;
  }

  probe(): void {
    if (!this.takesCalls) return;
    this.#probed = true;
    this.#connection?.bare(FrameType.PING, 0);
  }

  onTakesCalls(listener: () => void): void {
    this.#takesCallsListeners.push(listener);
  }

  #answered(): void {
    if (!this.#probed) return;
    this.#probed = false;
    for (const listener of this.#takesCallsListeners) listener();
  }

  get address(): ServiceAddress | null {
    return this.#address;
  }

  get takesSockets(): boolean {
    return this.#takesSockets && this.#process?.giveSocket !== undefined;
  }

  get pid(): number | null {
    return this.#process?.pid ?? null;
  }

  get jobs(): number {
    return this.#calls.jobs;
  }

  get requests(): number {
    return this.#calls.requests;
  }

  get timings(): Readonly<StartTimings> {
    return this.#phases.timings;
  }

  /** The engine has started a process for it; or given it one of the pool, which has connected already. */
  attach(process: ReplicaProcess, fromPool: boolean): void {
    this.#process = process;
    this.#phases.hasProcess(fromPool);
    // Bytes that reach a file descriptor bear no call's name; with one call open they are taken for its own.
    process.onLine((fd, line, dropped) =>
      this.#rawLines.push({
        stream: this.#calls.onlyStream,
        fd,
        line,
        at: Date.now(),
        ...(dropped > 0 && { dropped }),
      }),
    );
    void process.exited.then((exit) => this.#processEnded(exit));
    if (this.#killed) void process.stop({ graceMs: 0 });
  }

  /** The engine could not start a process. */
  startFailed(error: Error): void {
    this.#readiness.reject(new AthanorError("startup_failed", `${this.id} could not be started: ${error.message}`));
    this.#processEnded({ code: null, signal: null, reason: "self", memoryMb: null, lastStderr: [error.message] });
  }

  /** Its process has said HELLO. */
  connected(connection: FrameConnection): void {
    if (this.#process === null || this.#state === "ended") {
      connection.close();
      return;
    }
    this.#connection = connection;
    this.#phases.connected();
    connection.json(FrameType.ASSIGN, 0, this.#options.assign(this.#process));
    connection.flush();
  }

  openJob(open: OpeningJob, media: Uint8Array[], on: JobListeners): JobCall {
    const connection = this.#connectionForCalls();
    const stream = this.#calls.nextStream();
    const call = new OpenJobCall({ connection, stream, open, media, on });
    this.#calls.add(stream, call, { on, writer: { function: open.function, jobId: open.jobId } });
    return call;
  }

  openHttp(open: OpenHttp, body: RequestBody, on?: HttpListeners): HttpCall {
    const connection = this.#connectionForCalls();
    const stream = this.#calls.nextStream();
    const giveSocket = this.#process?.giveSocket?.bind(this.#process);
    const call = new OpenHttpCall({ replicaId: this.id, connection, stream, open, body, on, giveSocket });
    this.#calls.add(stream, call, { on, writer: { function: open.function, jobId: null } });
    return call;
  }

  drain(): Promise<ReplicaExit> {
    if (this.#state === "starting") return this.kill();
    if (this.#state === "ready") {
      this.#state = "draining";
      this.#connection?.bare(FrameType.DRAIN, 0);
    }
    return this.ended;
  }

  kill(): Promise<ReplicaExit> {
    this.#killed = true;
    void this.#process?.stop({ graceMs: 0 });
    return this.ended;
  }

  onLog(listener: (line: LoggedLine, writer: LineWriter | null) => void): void {
    this.#logListeners.push(listener);
  }

  /** A frame of its connection. Throws FrameError where the replica breaks the protocol. */
  frame(type: FrameType, stream: number, payload: Buffer): void {
    if (stream !== 0) this.#calls.frame(type, stream, payload);
    else if (type === FrameType.LOG) for (const line of parseLines(payload)) this.#logged(line);
    else if (type === FrameType.READY && this.#state === "starting") this.#becomeReady(parseReady(payload));
    else if (type === FrameType.START_FAILED && this.#state === "starting") this.#startRefused(payload);
    else if (type === FrameType.PONG) this.#answered();
    else throw new FrameError(`A frame of type ${type} came while the replica is ${this.#state}`);
  }

  connectionClosed(error: Error | null): void {
    if (this.#state === "ended") return;
    if (error instanceof FrameError) {
      this.#logged({
        stream: 0,
        fd: "stderr",
        line: `The replica broke the protocol and is killed: ${error.message}`,
        at: Date.now(),
      });
      void this.#process?.stop({ graceMs: 0 });
      return;
    }
    const timer = setTimeout(() => void this.#process?.stop({ graceMs: 0 }), EXIT_AFTER_CLOSE_MS);
    void this.ended.then(() => clearTimeout(timer));
  }

  #connectionForCalls(): FrameConnection {
    if (this.#state !== "ready" || this.#connection === null || !this.#connection.isOpen)
      throw new AthanorError(
        "replica_crashed",
        `${this.id} takes no calls: it is ${this.#state === "ready" ? "leaving" : this.#state}`,
      );
    return this.#connection;
  }

  #becomeReady(message: ReadyMessage): void {
    clearTimeout(this.#startupTimer);
    this.#state = "ready";
    this.#address = message.address;
    this.#takesSockets = message.takesSockets;
    this.#phases.ready(message.timings);
    this.#readiness.resolve(message);
  }

  #startRefused(payload: Buffer): void {
    const { code, message, stack } = parseStartFailed(payload);
    const known = START_ERRORS.find((error) => error === code) ?? "startup_failed";
    this.#readiness.reject(new AthanorError(known, message, stack === undefined ? {} : { cause: stack }));
  }

  #startupTimedOut(): void {
    const seconds = this.#options.startupTimeoutMs / 1000;
    this.#readiness.reject(new AthanorError("startup_timeout", `${this.id} was not ready after ${seconds} s`));
    void this.kill();
  }

  #logged(line: LoggedLine): void {
    if (line.fd === "stderr") this.#lastStderr.push(line.line, 0);
    const lines = this.#calls.lines(line.stream);
    lines?.on?.log?.(line);
    if (line.dropped !== undefined)
      this.#listen({ ...line, fd: "stderr", line: droppedLinesMark(line.dropped) }, lines);
    this.#listen(line, lines);
  }

  #listen(line: LoggedLine, lines: CallLines | undefined): void {
    for (const listener of this.#logListeners) listener(line, lines?.writer ?? null);
  }

  #processEnded(processExit: ReplicaExit): void {
    this.#rawLines.flush();
    clearTimeout(this.#startupTimer);
    const exit = this.#exitOf(processExit);
    this.#state = "ended";
    this.#readiness.reject(startExitError(this.id, exit));
    this.#calls.lose(exit);
    this.#connection?.close();
    this.#end.resolve(exit);
  }

  #exitOf(exit: ReplicaExit): ReplicaExit {
    const inOrder = this.#state === "draining" && exit.reason === "self" && exit.code === 0;
    const { items } = this.#lastStderr.take();
    return {
      ...exit,
      reason: inOrder ? "stopped" : exit.reason,
      lastStderr: items.length > 0 ? items : exit.lastStderr,
    };
  }
}
