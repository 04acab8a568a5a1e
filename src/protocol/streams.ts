import { FrameError, keepPayload } from "./frames.ts";
import { DATA_CHUNK_BYTES, FrameType, WINDOW_BYTES } from "./replica.ts";

/** The part of a connection that a stream's bytes need. */
export interface StreamConnection {
  readonly backlogged: boolean;
  drained(): Promise<void>;
  bytes(type: FrameType, stream: number, payload: Uint8Array): void;
  u32(type: FrameType, stream: number, value: number): void;
}

/**
 * The sending half of a stream. A frame may leave while there is credit, and the last one may overdraw it, so that a frame of any size
 * can be sent. One writer at a time.
 */
export class Outflow {
  readonly #connection: StreamConnection;
  readonly #stream: number;
  #credit = WINDOW_BYTES;
  #closed = false;
  #wake: (() => void) | null = null;

  constructor(connection: StreamConnection, stream: number) {
    this.#connection = connection;
    this.#stream = stream;
  }

  /** The receiver gave credit back. */
  give(bytes: number): void {
    this.#credit += bytes;
    if (this.#credit > WINDOW_BYTES)
      throw new FrameError(`Stream ${this.#stream} was given more credit than its window of ${WINDOW_BYTES}`);
    this.#rouse();
  }

  /** The receiver wants no more: what waits and every later write come back false. */
  close(): void {
    this.#closed = true;
    this.#rouse();
  }

  /** Sends all of it at once where the window has room for it; false: nothing was sent. */
  offer(bytes: Uint8Array): boolean {
    if (this.#closed || bytes.length > this.#credit || this.#connection.backlogged) return false;
    for (let at = 0; at < bytes.length; at += DATA_CHUNK_BYTES) this.#send(bytes, at);
    return true;
  }

  /** Sends all of it as the receiver makes room. False: the receiver wants no more. */
  async write(bytes: Uint8Array): Promise<boolean> {
    for (let at = 0; at < bytes.length; at += DATA_CHUNK_BYTES) {
      if (!(await this.room())) return false;
      this.#send(bytes, at);
    }
    return !this.#closed;
  }

  /** Waits until a frame may be sent. False: the receiver wants no more. */
  async room(): Promise<boolean> {
    while (!this.#closed && (this.#credit <= 0 || this.#connection.backlogged)) {
      if (this.#connection.backlogged) await this.#connection.drained();
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    return !this.#closed;
  }

  /** Counts a frame that the caller sends itself. */
  spend(bytes: number): void {
    this.#credit -= bytes;
  }

  #send(bytes: Uint8Array, at: number): void {
    const part = bytes.length <= DATA_CHUNK_BYTES ? bytes : bytes.subarray(at, at + DATA_CHUNK_BYTES);
    this.#credit -= part.length;
    this.#connection.bytes(FrameType.DATA, this.#stream, part);
  }

  #rouse(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }
}

const NOTHING = new Uint8Array();

/** Counts what a receiver has consumed and gives it back in a few large WINDOW frames. */
export class Credit {
  readonly #connection: StreamConnection;
  readonly #stream: number;
  #outstanding = 0;
  #owed = 0;

  constructor(connection: StreamConnection, stream: number) {
    this.#connection = connection;
    this.#stream = stream;
  }

  /** A counted frame came. Throws FrameError where the sender had no credit left for it. */
  arrived(bytes: number): void {
    if (this.#outstanding >= WINDOW_BYTES)
      throw new FrameError(`Stream ${this.#stream} overran its window of ${WINDOW_BYTES} bytes`);
    this.#outstanding += bytes;
  }

  consumed(bytes: number): void {
    this.#owed += bytes;
    if (this.#owed < WINDOW_BYTES / 4) return;
    this.#connection.u32(FrameType.WINDOW, this.#stream, this.#owed);
    this.#outstanding -= this.#owed;
    this.#owed = 0;
  }
}

/**
 * The receiving half of a stream: bytes in the order in which they came, at most a window of them waiting. Read it once.
 *
 *   open --end()-->     ended       the reader gets what waits, then the end
 *   open --fail()-->    failed      the reader gets what waits, then the error
 *   any  --discard()--> discarded   what waits and what comes is thrown away, so that the sender is never stuck; the reader gets the error, if one is given
 */
export class Inflow implements AsyncIterable<Uint8Array> {
  readonly #credit: Credit;
  readonly #waiting: Uint8Array[] = [];
  #ended = false;
  #discarded = false;
  #error: Error | null = null;
  #wake: (() => void) | null = null;

  constructor(connection: StreamConnection, stream: number) {
    this.#credit = new Credit(connection, stream);
  }

  push(payload: Buffer): void {
    if (this.#ended) throw new FrameError("Bytes came after the end of their stream");
    this.#credit.arrived(payload.length);
    if (this.#discarded) this.#credit.consumed(payload.length);
    else this.#waiting.push(keepPayload(payload));
    this.#rouse();
  }

  end(): void {
    this.#ended = true;
    this.#rouse();
  }

  fail(error: Error): void {
    if (this.#ended) return;
    this.#error = error;
    this.end();
  }

  discard(error: Error | null = null): void {
    this.#error ??= error;
    this.#discarded = true;
    for (const bytes of this.#waiting.splice(0)) this.#credit.consumed(bytes.length);
    this.#rouse();
  }

  /** All of it in one piece, where it has ended in order and none of it was read; else null. */
  whole(): Uint8Array | null {
    if (!this.#ended || this.#discarded || this.#error) return null;
    const [first = NOTHING] = this.#waiting;
    const bytes = this.#waiting.length > 1 ? Buffer.concat(this.#waiting) : first;
    this.#waiting.length = 0;
    return bytes;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, void> {
    try {
      while (!this.#discarded) {
        const bytes = this.#waiting.shift();
        if (bytes !== undefined) {
          if (!this.#ended) this.#credit.consumed(bytes.length);
          yield bytes;
        } else if (this.#ended) {
          if (this.#error) throw this.#error;
          return;
        } else await new Promise<void>((resolve) => (this.#wake = resolve));
      }
      if (this.#error) throw this.#error;
    } finally {
      this.discard();
    }
  }

  #rouse(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }
}
