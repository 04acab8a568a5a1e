import { StringDecoder } from "node:string_decoder";
import { SERVER_DEFAULTS } from "../protocol/defaults.ts";
import type { FrameConnection } from "../protocol/frame-connection.ts";
import { LineSplitter, NewestBuffer } from "../protocol/lines.ts";
import { FrameType, type LoggedLine, type LogMessage } from "../protocol/replica.ts";
import { type Call, type Caller, currentCaller } from "./call.ts";

type Fd = LoggedLine["fd"];

/** Lines of no known call that are kept while they wait to be sent. */
const MAX_UNTIED_LINES = 1000;
/** Characters of one call's lines that may wait to be sent. */
const MAX_WAITING_CHARS = 2 * 1024 * 1024;
/** A LOG frame is sent once it holds about this much. */
const FRAME_CHARS = 256 * 1024;
/** After a burst of so many lines the next are gathered for a while, so that a flood costs the server little. */
const BURST_LINES = 100;
const BURST_PAUSE_MS = 50;
/** The first lines of a turn are sent as they are written: what code says before it blocks for ever, or is killed, matters most. */
const EAGER_LINES = 16;

/** What one call, or the replica itself, has written and not sent yet: the newest lines, and how many were let go. */
export class CallLog {
  readonly stream: number;
  readonly #lines: NewestBuffer<LoggedLine>;
  readonly #onLine: () => void;
  readonly #splitters = new Map<Fd, { splitter: LineSplitter; decoder: StringDecoder | null }>();

  constructor(stream: number, maxLines: number, onLine: () => void) {
    this.stream = stream;
    this.#lines = new NewestBuffer(maxLines, MAX_WAITING_CHARS);
    this.#onLine = onLine;
  }

  write(fd: Fd, chunk: string | Uint8Array): void {
    const entry = this.#entry(fd);
    if (typeof chunk === "string") entry.splitter.push(chunk);
    else {
      entry.decoder ??= new StringDecoder("utf8");
      entry.splitter.push(entry.decoder.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)));
    }
  }

  /** What has no newline yet is a line now. */
  end(): void {
    for (const { splitter } of this.#splitters.values()) splitter.end();
  }

  take(): LoggedLine[] {
    const { items, dropped } = this.#lines.take();
    if (dropped > 0 && items[0]) items[0].dropped = dropped;
    return items;
  }

  #entry(fd: Fd): { splitter: LineSplitter; decoder: StringDecoder | null } {
    let entry = this.#splitters.get(fd);
    if (!entry) {
      const splitter = new LineSplitter((line) => this.#add(fd, line), SERVER_DEFAULTS.maxLogLineBytes);
      entry = { splitter, decoder: null };
      this.#splitters.set(fd, entry);
    }
    return entry;
  }

  #add(fd: Fd, line: string): void {
    this.#lines.push({ stream: this.stream, fd, line, at: Date.now() }, line.length);
    this.#onLine();
  }
}

/**
 * Ties what is written to stdout and stderr, by console or otherwise, to the call that wrote it. The first lines of a turn go out at once,
 * the others together; while the server is slower than the code, or after a burst, the newest of each call are kept and the number of the
 * others.
 *
 *   idle --line--> scheduled --end of turn, pause or drain--> idle
 */
export class Logs {
  readonly #connection: FrameConnection;
  readonly #untied: CallLog;
  readonly #waiting = new Set<CallLog>();
  #scheduled = false;
  #pausedUntil = 0;
  #eagerLeft = EAGER_LINES;

  constructor(connection: FrameConnection) {
    this.#connection = connection;
    this.#untied = this.#newLog(0, MAX_UNTIED_LINES);
  }

  /** From here on nothing that goes through the process's own streams reaches the file descriptors. */
  capture(): void {
    for (const fd of ["stdout", "stderr"] as const) {
      const write = (chunk: string | Uint8Array, encoding?: unknown, callback?: unknown): boolean => {
        this.write(fd, typeof chunk === "string" || chunk instanceof Uint8Array ? chunk : String(chunk));
        const done = typeof encoding === "function" ? encoding : callback;
        if (typeof done === "function") process.nextTick(done as () => void, null);
        return true;
      };
      process[fd].write = write as typeof process.stdout.write;
    }
  }

  /** What a batch writes is each of its jobs'. */
  write(fd: Fd, chunk: string | Uint8Array, caller: Caller | undefined = currentCaller.getStore()): void {
    let tied = false;
    for (const call of caller?.calls ?? []) {
      if (call.finished) continue;
      call.log ??= this.#newLog(call.stream, call.maxLogLines);
      call.log.write(fd, chunk);
      tied = true;
    }
    if (!tied) this.#untied.write(fd, chunk);
  }

  /** Sends all that a call wrote, before its answer. */
  finish(call: Call): void {
    if (!call.log) return;
    call.log.end();
    this.#waiting.delete(call.log);
    this.#send(call.log.take());
  }

  /** Sends everything now. */
  flush(): void {
    this.#untied.end();
    this.#sendWaiting();
  }

  #newLog(stream: number, maxLines: number): CallLog {
    const log: CallLog = new CallLog(stream, maxLines, () => {
      this.#waiting.add(log);
      this.#schedule();
      if (this.#eagerLeft > 0) this.#sendEagerly();
    });
    return log;
  }

  #sendEagerly(): void {
    if (this.#connection.backlogged) return;
    this.#eagerLeft--;
    for (const log of this.#waiting) this.#send(log.take());
    this.#waiting.clear();
    this.#connection.flush();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    const pauseMs = this.#pausedUntil - Date.now();
    if (this.#connection.backlogged) void this.#connection.drained().then(() => this.#sendWaiting());
    else if (pauseMs > 0) setTimeout(() => this.#sendWaiting(), pauseMs).unref();
    else setImmediate(() => this.#sendWaiting());
  }

  #sendWaiting(): void {
    this.#scheduled = false;
    // One frame for all: of many calls that write a line each, a frame for each line would cost more than the lines.
    const lines: LoggedLine[] = [];
    for (const log of this.#waiting) for (const line of log.take()) lines.push(line);
    this.#waiting.clear();
    this.#send(lines);
    const isBurst = lines.length > BURST_LINES;
    if (isBurst) this.#pausedUntil = Date.now() + BURST_PAUSE_MS;
    this.#eagerLeft = isBurst ? 0 : EAGER_LINES;
  }

  #send(lines: LoggedLine[]): void {
    let from = 0;
    let chars = 0;
    for (const [i, { line }] of lines.entries()) {
      chars += line.length;
      if (chars < FRAME_CHARS && i < lines.length - 1) continue;
      const message: LogMessage = { lines: lines.slice(from, i + 1) };
      this.#connection.json(FrameType.LOG, 0, message);
      from = i + 1;
      chars = 0;
    }
  }
}
