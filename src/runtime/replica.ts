import { flushCompileCache } from "node:module";
import type { Socket } from "node:net";
import { AthanorError } from "../protocol/errors.ts";
import { FrameConnection } from "../protocol/frame-connection.ts";
import { FrameError, parsePayload } from "../protocol/frames.ts";
import {
  type AssignMessage,
  type CancelMessage,
  FrameType,
  type HeadMessage,
  type HelloMessage,
  HTTP_CONNECTION,
  type OpenMessage,
  type ReadyMessage,
  type SocketMessage,
  type StartFailedMessage,
} from "../protocol/replica.ts";
import type { BatchSpec } from "../protocol/spec.ts";
import { Batches } from "./batches.ts";
import { Call, currentCaller } from "./call.ts";
import { report, runHttp } from "./http.ts";
import { HttpHead } from "./http-head.ts";
import { errorHead } from "./job-answer.ts";
import { runJob } from "./jobs.ts";
import { type LoadedApp, type LoadedFunction, loadApp } from "./load.ts";
import { Logs } from "./logs.ts";
import { ClientSocket } from "./services/client-socket.ts";
import { runConnection } from "./services/run-connection.ts";
import { runFetch } from "./services/run-fetch.ts";
import { type RunningService, startService } from "./services/service.ts";
import { takeSockets } from "./sockets.ts";
import { firstPlace } from "./stacks.ts";
import { shown, toJobError } from "./thrown.ts";

/** Lines of a synchronous call that are kept while they wait to be sent. */
const HTTP_LOG_LINES = 1000;
/** What an HTTP client is told. */
const UNCAUGHT = "the function threw an error that nothing caught; its log says more";
/** The last words of a replica that leaves are given this long. */
const SETTLE_MS = 1000;
/** The compile cache is written this long after the start, out of the way of the first calls. */
const CACHE_FLUSH_MS = 300;

/**
 * This process, as the server sees it.
 *
 *   blank    --ASSIGN-->                  starting   the bundle is imported, enter hooks run, a service is started
 *   starting --all went well-->           ready      READY; takes calls
 *   starting --anything threw-->          left       START_FAILED, exit code 1
 *   ready    --DRAIN or SIGTERM-->        draining   open calls go on
 *   draining --last call over-->          left       its service is closed, exit hooks run, exit code 0
 *   ready    --its service ends-->        left       with the exit code of the service's program
 *   any      --thrown out of band-->      left       the call that threw fails with it, exit code 1
 *   any      --connection closed-->       left       at once: the server is gone
 */
export class Replica {
  readonly #connection: FrameConnection;
  readonly #logs: Logs;
  /** A folder with a short path, that of the server's own socket. */
  readonly #shortDir: string;
  readonly #calls = new Map<number, Call>();
  readonly #batches = new Map<LoadedFunction, Batches>();
  #state: "blank" | "starting" | "ready" | "draining" | "left" = "blank";
  #app: LoadedApp | null = null;
  #service: RunningService | null = null;
  #lastStream = 0;
  readonly #hasSockets: boolean;

  constructor(socket: Socket, hello: HelloMessage, shortDir: string) {
    this.#shortDir = shortDir;
    this.#connection = new FrameConnection(socket, {
      frame: (type, stream, payload) => this.#frame(type, stream, payload),
      closed: () => this.#serverGone(),
    });
    this.#logs = new Logs(this.#connection);
    this.#connection.json(FrameType.HELLO, 0, hello);
    this.#hasSockets = takeSockets((message, socket) => this.#socket(message, socket));
    process.on("uncaughtException", (thrown) => this.#outOfBand(thrown, "uncaughtException"));
    process.on("unhandledRejection", (thrown) => this.#outOfBand(thrown, "unhandledRejection"));
    process.on("SIGTERM", () => this.#drain());
    process.on("exit", () => {
      this.#logs.flush();
      this.#connection.flush();
    });
  }

  #frame(type: FrameType, stream: number, payload: Buffer): void {
    if (stream !== 0) this.#callFrame(type, stream, payload);
    else if (type === FrameType.ASSIGN && this.#state === "blank") void this.#start(parsePayload(payload));
    else if (type === FrameType.PING) this.#connection.bare(FrameType.PONG, 0);
    else if (type === FrameType.DRAIN) this.#drain();
    else throw new FrameError(`A frame of type ${type} came while the replica is ${this.#state}`);
  }

  #callFrame(type: FrameType, stream: number, payload: Buffer): void {
    if (type === FrameType.OPEN) {
      this.#open(stream, parsePayload(payload));
      return;
    }
    const call = this.#calls.get(stream);
    // The server may send to a stream that has just ended.
    if (!call) return;
    if (type === FrameType.DATA) call.input.push(payload);
    else if (type === FrameType.END) call.input.end();
    else if (type === FrameType.WINDOW) call.output.give(payload.readUInt32BE());
    else if (type === FrameType.CANCEL) call.cancel(parsePayload<CancelMessage>(payload).reason);
    else throw new FrameError(`A frame of type ${type} came on a call's stream`);
  }

  #socket({ stream, early }: SocketMessage, socket: Socket): void {
    const call = this.#calls.get(stream);
    if (call?.onSocket) currentCaller.run(call, call.onSocket, socket, Buffer.from(early, "base64"));
    // It was for a call that has ended meanwhile.
    else socket.destroy();
  }

  async #start(assign: AssignMessage): Promise<void> {
    this.#state = "starting";
    process.title = `athanor ${assign.app}`;
    this.#logs.capture();
    const startedAt = performance.now();
    try {
      this.#app = await loadApp(assign);
    } catch (error) {
      return this.#startFailed(error, "import_failed");
    }
    const loadedAt = performance.now();
    let enteredAt = loadedAt;
    try {
      await this.#app.enter();
      enteredAt = performance.now();
      this.#service = await this.#startService(this.#app, assign);
    } catch (error) {
      return this.#startFailed(error, "startup_failed");
    }
    if (this.#state !== "starting") return;
    this.#state = "ready";
    const ready: ReadyMessage = {
      address: this.#service?.address ?? null,
      takesSockets: this.#hasSockets && (this.#service?.handler ?? this.#service?.connect ?? null) !== null,
      timings: { loadMs: loadedAt - startedAt, enterMs: enteredAt - loadedAt },
    };
    this.#connection.json(FrameType.READY, 0, ready);
    // A replica is mostly killed, and a killed process writes no cache of its own.
    if (assign.compileCacheDir !== null) setTimeout(flushCompileCache, CACHE_FLUSH_MS).unref();
  }

  #startService(app: LoadedApp, assign: AssignMessage): Promise<RunningService | null> {
    return startService({
      functions: app.functions.values(),
      workDir: assign.workDir,
      filesDir: assign.filesDir,
      python: assign.python,
      shortDir: this.#shortDir,
      write: (fd, bytes) => this.#logs.write(fd, bytes),
      ended: (exitCode) => this.#serviceEnded(exitCode),
    });
  }

  async #startFailed(thrown: unknown, code: "import_failed" | "startup_failed"): Promise<void> {
    if (this.#state === "left") return;
    const error = toJobError(thrown, code);
    const place = firstPlace(error.stack);
    const message = place === null ? error.message : `${error.message} (${place})`;
    this.#logs.write("stderr", `${shown(thrown)}\n`);
    const failed: StartFailedMessage = { error: { ...error, message } };
    this.#connection.json(FrameType.START_FAILED, 0, failed);
    await this.#leave(1);
  }

  #open(stream: number, open: OpenMessage): void {
    if (stream <= this.#lastStream) throw new FrameError(`Stream ${stream} was opened after ${this.#lastStream}`);
    if (this.#state !== "ready" || !this.#app) throw new FrameError(`A call came while the replica is ${this.#state}`);
    this.#lastStream = stream;
    const app = this.#app;
    const maxLogLines = open.kind === "job" ? open.eventsWindow : HTTP_LOG_LINES;
    const fn = app.functions.get(open.function);
    const call = new Call({
      stream,
      kind: open.kind,
      jobId: open.kind === "job" ? open.jobId : null,
      trace: open.kind === "job" ? (open.traceparent ?? null) : open.headers,
      retryOn: fn?.retryOn ?? null,
      connection: this.#connection,
      maxLogLines,
    });
    this.#calls.set(stream, call);
    if (!fn) {
      this.#fail(call, new AthanorError("function_not_found", `this replica has no function ${open.function}`));
      this.#finish(call);
      return;
    }
    const logs = this.#logs;
    const running = currentCaller.run(call, () => {
      if (this.#service !== null) return this.#runService(this.#service, call, open);
      if (open.kind === "http") return runHttp({ call, open, app, fn, logs });
      if (fn.spec.batch === null) return runJob({ call, open, app, fn, logs });
      return this.#batchesOf(app, fn, fn.spec.batch).run(call, open);
    });
    void running.then(() => this.#finish(call));
  }

  async #runService({ handler, connect }: RunningService, call: Call, open: OpenMessage): Promise<void> {
    if (open.kind === "http" && connect !== null && open.upgrade === HTTP_CONNECTION)
      return runConnection({ call, connect, logs: this.#logs });
    if (open.kind === "http" && handler !== null) {
      await runFetch({
        call,
        open,
        handler,
        answer: new HttpHead(call),
        socket: () => new ClientSocket(call, { keepsHead: true, handsOver: open.handOver === true }),
        onError: (error) => report(error, call, this.#logs),
      });
      this.#logs.finish(call);
      return;
    }
    this.#fail(call, new AthanorError("internal", `${open.function} is no function that is called in frames`));
  }

  #batchesOf(app: LoadedApp, fn: LoadedFunction, spec: BatchSpec): Batches {
    const batches = this.#batches.get(fn) ?? new Batches({ app, fn, spec, logs: this.#logs });
    this.#batches.set(fn, batches);
    return batches;
  }

  #finish(call: Call): void {
    if (call.finished) return;
    call.finished = true;
    this.#calls.delete(call.stream);
    if (call.trailers.length === 0) this.#connection.bare(FrameType.END, call.stream);
    else this.#connection.json(FrameType.END, call.stream, call.trailers);
    if (this.#state === "draining" && this.#calls.size === 0) void this.#exitInOrder();
  }

  #fail(call: Call, thrown: unknown, fatal = false): void {
    const head: HeadMessage = { ...errorHead(call, this.#logs, thrown), ...(fatal ? { fatal } : {}) };
    this.#logs.finish(call);
    this.#connection.json(FrameType.HEAD, call.stream, head);
  }

  #drain(): void {
    if (this.#state === "blank") void this.#leave(0);
    if (this.#state !== "ready") return;
    this.#state = "draining";
    if (this.#calls.size === 0) void this.#exitInOrder();
  }

  async #exitInOrder(): Promise<void> {
    for (const end of [() => this.#service?.close(), () => this.#app?.exit()]) {
      try {
        await end();
      } catch (error) {
        this.#logs.write("stderr", `${shown(error)}\n`);
      }
    }
    await this.#leave(0);
  }

  /** The program of the service is gone, and with it what this replica is for. */
  #serviceEnded(exitCode: number): void {
    const error = new AthanorError(
      "startup_failed",
      `the service's program ended with ${exitCode} before it was ready`,
    );
    if (this.#state === "starting") void this.#startFailed(error, "startup_failed");
    else if (this.#state === "ready") void this.#leave(exitCode);
  }

  /** Code that no one awaits has thrown: what it left half done is unknown, so this process does not go on. */
  #outOfBand(thrown: unknown, event: "uncaughtException" | "unhandledRejection"): void {
    // User code that handles these itself means to go on.
    if (this.#state === "left" || process.listenerCount(event) > 1) return;
    if (this.#state === "starting") {
      void this.#startFailed(thrown, "startup_failed");
      return;
    }
    const caller = currentCaller.getStore();
    this.#logs.write("stderr", `${shown(thrown)}\n`);
    for (const call of caller?.calls ?? []) {
      if (call.finished) continue;
      // Whoever may call an endpoint need not be who may read its logs.
      this.#fail(call, call.kind === "http" ? new AthanorError("handler_error", UNCAUGHT) : thrown, true);
      this.#finish(call);
    }
    void this.#leave(1);
  }

  async #leave(code: number): Promise<void> {
    if (this.#state === "left") return;
    this.#state = "left";
    this.#logs.flush();
    setTimeout(() => process.exit(code), SETTLE_MS);
    await this.#connection.settle();
    process.exit(code);
  }

  #serverGone(): void {
    this.#state = "left";
    try {
      // With all that user code has started, where this process leads a group of its own.
      process.kill(-process.pid, "SIGKILL");
    } catch {
      process.exit(1);
    }
  }
}
