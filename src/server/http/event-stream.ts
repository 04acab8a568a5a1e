import { SERVER_DEFAULTS } from "../../protocol/defaults.ts";
import type { Log } from "../log.ts";
import { sendEmpty, sendProblem } from "./answer.ts";
import type { Exchange } from "./exchange.ts";

/** What a stream sends: asked for frame after frame while the client's connection has room. */
export interface FrameSource {
  /** The next frame; null: there is none now. The source calls its `wake` when it is worth asking again, or it is over. */
  take(): Uint8Array | null;
  /** Null was given because something is being read: the answer may still be an error. */
  readonly loading: boolean;
  readonly over: boolean;
  /** Why it is over before its time. */
  readonly error: unknown;
  /** What a heartbeat is to say; null: that the stream lives. */
  mark?(): Uint8Array | null;
  /** The client has gone, or the server stops. Repeatable. */
  close(): void;
}

/** Streams have their heartbeats in turn, so that many of them do not write at once. */
const TURNS = 15;

/** An event as one chunk of a chunked answer, so that it goes to every client's connection as it is. */
export function frame({ id, event, data }: { id?: number | string; event: string; data: unknown }): Buffer {
  return chunk(`${id === undefined ? "" : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
}

/**
 * A frame that moves the client's cursor and is no event. Browsers take the id of a block without data as the last one; for readers that do not,
 * it stands in a comment too.
 */
export function cursorFrame(id: number | string): Buffer {
  return chunk(`:${id}\nid: ${id}\n\n`);
}

const HEARTBEAT = chunk(":\n\n");

function chunk(text: string): Buffer {
  return Buffer.from(`${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`);
}

/** What a chunk holds, for the few answers that are not chunked: those of HTTP/1.0. */
function contentOf(bytes: Uint8Array): Uint8Array {
  return bytes.subarray(bytes.indexOf(0x0a) + 1, -2);
}

/** The server-sent event streams that are open, their one heartbeat timer, and their common end when the server stops. */
export class EventStreams {
  readonly #log: Log;
  readonly #turns: Set<EventStream>[] = Array.from({ length: TURNS }, () => new Set());
  #opened = 0;
  #size = 0;
  #beats = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(p: { log: Log; stopping: AbortSignal }) {
    this.#log = p.log;
    p.stopping.addEventListener("abort", () => this.#endAll(), { once: true });
  }

  get size(): number {
    return this.#size;
  }

  /**
   * Sends frames as the source has them, each once the client's connection has room for it, and a comment every 15 s that keeps proxies
   * from closing a silent stream. The head is sent with the first frame, or once the source waits, so an error before that is answered as a
   * problem; a source that is over before it had anything to say answers 204, after which browsers do not connect again.
   */
  send(x: Exchange, open: (wake: () => void) => FrameSource): void {
    if (x.res.destroyed) return;
    const turn = this.#turns[this.#opened++ % TURNS] as Set<EventStream>;
    const stream: EventStream = new EventStream(x, open, (error) => {
      if (turn.delete(stream) && --this.#size === 0) this.#stopBeating();
      if (error !== null) sendProblem(x, error, this.#log);
    });
    turn.add(stream);
    this.#size++;
    this.#timer ??= setInterval(() => this.#beat(), SERVER_DEFAULTS.sseHeartbeatMs / TURNS).unref();
    stream.start();
  }

  #beat(): void {
    for (const stream of this.#turns[this.#beats++ % TURNS] ?? []) stream.beat();
  }

  #stopBeating(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  #endAll(): void {
    for (const turn of this.#turns) for (const stream of [...turn]) stream.end();
  }
}

/**
 *   unsent --a frame, or nothing to wait for--> sending --the connection is full--> full --drained--> sending
 *   unsent --the source fails--> over, as a problem
 *   any --the source is over, the client leaves, the server stops--> over
 */
class EventStream {
  readonly #x: Exchange;
  readonly #source: FrameSource;
  readonly #ended: (error: unknown) => void;
  #state: "unsent" | "sending" | "full" | "over" = "unsent";
  /** Something was sent since the last heartbeat. */
  #isLively = false;

  constructor(x: Exchange, open: (wake: () => void) => FrameSource, ended: (error: unknown) => void) {
    this.#x = x;
    this.#ended = ended;
    this.#source = open(() => this.#pump());
  }

  start(): void {
    const { res } = this.#x;
    res.on("close", () => this.#finish(null));
    if (this.#x.method !== "HEAD") this.#pump();
    else {
      this.#open();
      this.end();
    }
  }

  beat(): void {
    if (this.#state !== "sending" && this.#state !== "unsent") return;
    const mark = this.#source.mark?.() ?? null;
    if (mark !== null || !this.#isLively) this.#write(mark ?? HEARTBEAT);
    this.#isLively = false;
  }

  end(): void {
    if (this.#state === "over") return;
    const isUnsent = this.#state === "unsent";
    this.#finish(null);
    if (isUnsent) sendEmpty(this.#x, 204);
    else this.#x.res.end();
  }

  #pump(): void {
    if (this.#state === "full" || this.#state === "over") return;
    const first = this.#source.take();
    if (first !== null) this.#write(first);
    if (first !== null && this.#isOpen) this.#pumpMore();
    if (!this.#isOpen) return;
    if (this.#source.over) this.#sourceOver();
    else if (this.#state === "unsent" && !this.#source.loading) this.#open();
  }

  get #isOpen(): boolean {
    return this.#state === "unsent" || this.#state === "sending";
  }

  /** Several at once leave in one write. */
  #pumpMore(): void {
    let next = this.#source.take();
    if (next === null) return;
    const { socket } = this.#x.res;
    socket?.cork();
    for (; next !== null; next = this.#isOpen ? this.#source.take() : null) this.#write(next);
    socket?.uncork();
  }

  /** Past Node's own chunking, which would be done for each client anew. */
  #write(bytes: Uint8Array): void {
    if (this.#state === "unsent") this.#open();
    this.#isLively = true;
    const { res } = this.#x;
    const { socket } = res;
    // A pipelined request's answer has no connection until those before it are sent.
    const direct = socket !== null && res.chunkedEncoding;
    if (direct ? socket.write(bytes) : res.write(contentOf(bytes))) return;
    this.#state = "full";
    (direct ? socket : res).once("drain", this.#drained);
  }

  readonly #drained = (): void => {
    if (this.#state !== "full") return;
    this.#state = "sending";
    this.#pump();
  };

  #sourceOver(): void {
    const { error } = this.#source;
    if (error === null) this.end();
    else this.#finish(error);
  }

  #open(): void {
    this.#state = "sending";
    const { res, requestId } = this.#x;
    res.writeHead(200, {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-cache, no-transform",
      "x-accel-buffering": "no",
      "x-request-id": requestId,
    });
    res.flushHeaders();
  }

  #finish(error: unknown): void {
    if (this.#state === "over") return;
    this.#state = "over";
    this.#x.res.socket?.off("drain", this.#drained);
    this.#source.close();
    this.#ended(error);
  }
}
