import type { Socket } from "node:net";
import { FrameDecoder, FrameEncoder, type OnFrame } from "./frames.ts";
import type { FrameType } from "./replica.ts";

/** Above this many unsent bytes a connection counts as backlogged. */
const BACKLOG_BYTES = 1024 * 1024;

export interface ConnectionHandler {
  frame: OnFrame;
  /** Called once. The error is null where the other end closed in order. */
  closed(error: Error | null): void;
}

/**
 * Frames over a socket, both ways. What is sent in one turn of the event loop leaves in one write at the turn's end. A peer that
 * breaks the protocol is cut off.
 *
 *   open --close(), peer's end, error--> closed    sends after that do nothing
 */
export class FrameConnection {
  readonly decoder: FrameDecoder;
  readonly #socket: Socket;
  readonly #encoder = new FrameEncoder();
  readonly #handler: ConnectionHandler;
  #flushing: NodeJS.Immediate | null = null;
  #open = true;
  #drained: (() => void)[] = [];

  constructor(socket: Socket, handler: ConnectionHandler) {
    this.#socket = socket;
    this.#handler = handler;
    this.decoder = new FrameDecoder(handler.frame);
    socket.on("data", (piece: Buffer) => this.#read(piece));
    socket.on("drain", () => this.#wake());
    socket.on("end", () => this.close());
    socket.on("error", (error) => this.close(error));
    socket.on("close", () => this.close());
  }

  get isOpen(): boolean {
    return this.#open;
  }

  json(type: FrameType, stream: number, value: unknown): void {
    if (!this.#open) return;
    this.#encoder.json(type, stream, value);
    this.#schedule();
  }

  /** JSON that is text already. */
  text(type: FrameType, stream: number, json: string): void {
    if (!this.#open) return;
    this.#encoder.text(type, stream, json);
    this.#schedule();
  }

  bytes(type: FrameType, stream: number, payload: Uint8Array): void {
    if (!this.#open) return;
    this.#encoder.bytes(type, stream, payload);
    this.#schedule();
  }

  bare(type: FrameType, stream: number): void {
    if (!this.#open) return;
    this.#encoder.bare(type, stream);
    this.#schedule();
  }

  u32(type: FrameType, stream: number, value: number): void {
    if (!this.#open) return;
    this.#encoder.u32(type, stream, value);
    this.#schedule();
  }

  /** True while the peer is slower than what is sent to it: a producer that can wait should, see `drained`. */
  get backlogged(): boolean {
    return this.#open && this.#socket.writableLength > BACKLOG_BYTES;
  }

  /** Resolves when the backlog is written, or the connection is closed. */
  drained(): Promise<void> {
    if (!this.backlogged) return Promise.resolve();
    return new Promise((resolve) => this.#drained.push(resolve));
  }

  /** Writes what has gathered now, without waiting for the end of the turn. */
  flush(): void {
    if (this.#flushing) clearImmediate(this.#flushing);
    this.#flushing = null;
    if (!this.#open) return;
    const buffers = this.#encoder.take();
    if (buffers.length > 1) this.#socket.cork();
    for (const buffer of buffers) this.#socket.write(buffer);
    if (buffers.length > 1) this.#socket.uncork();
  }

  /** Writes what has gathered and resolves when the kernel has all of it, or the connection is closed. */
  async settle(): Promise<void> {
    this.flush();
    if (!this.#open || this.#socket.writableLength === 0) return;
    await new Promise<void>((resolve) => {
      this.#socket.write("", () => resolve());
      this.#socket.once("close", () => resolve());
    });
  }

  close(error: Error | null = null): void {
    if (!this.#open) return;
    if (error === null) this.flush();
    this.#open = false;
    if (this.#flushing) clearImmediate(this.#flushing);
    this.#flushing = null;
    if (error === null) this.#socket.end();
    else this.#socket.destroy();
    this.#wake();
    this.#handler.closed(error);
  }

  #read(piece: Buffer): void {
    if (!this.#open) return;
    try {
      this.decoder.push(piece);
    } catch (error) {
      this.close(error as Error);
    }
  }

  #schedule(): void {
    this.#flushing ??= setImmediate(() => this.flush());
  }

  #wake(): void {
    if (this.backlogged) return;
    const waiting = this.#drained;
    this.#drained = [];
    for (const resolve of waiting) resolve();
  }
}
