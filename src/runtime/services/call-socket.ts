import { Duplex } from "node:stream";
import type { Call } from "../call.ts";
import type { SwitchingSocket } from "./switching-socket.ts";

/** The connection of a call that came in frames. */
export class CallSocket extends Duplex implements SwitchingSocket {
  readonly over: Promise<void>;
  readonly #call: Call;
  readonly #opened = Promise.withResolvers<void>();
  #head: string | null = null;
  #resume: (() => void) | null = null;
  #reading = false;

  constructor(call: Call) {
    super();
    this.#call = call;
    this.over = new Promise((resolve) => this.once("close", resolve));
    call.onCancel(() => this.destroy());
  }

  get head(): string {
    return this.#head ?? "";
  }

  open(): void {
    this.#opened.resolve();
  }

  override _read(): void {
    this.#resume?.();
    this.#resume = null;
    if (this.#reading) return;
    this.#reading = true;
    void this.#pump();
  }

  override _write(bytes: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    if (this.#head === null) {
      this.#head = bytes.toString("latin1");
      done();
    } else this.#send(bytes).then(() => done(), done);
  }

  /** A frame's head and its payload come as two pieces; they go as one. */
  override _writev(pieces: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this.#send(Buffer.concat(pieces.map(({ chunk }) => chunk))).then(() => done(), done);
  }

  /** Whoever writes no more here reads no more either: a WebSocket ends its connection after the closing frames. */
  override _final(done: () => void): void {
    done();
    setImmediate(() => this.destroy());
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#resume?.();
    this.#call.input.discard();
    this.#call.output.close();
    this.#opened.resolve();
    done(error);
  }

  async #send(bytes: Buffer): Promise<void> {
    await this.#opened.promise;
    if (this.#call.output.offer(bytes)) return;
    if (!(await this.#call.output.write(bytes))) throw new Error("The connection is closed");
  }

  async #pump(): Promise<void> {
    try {
      for await (const bytes of this.#call.input) {
        if (!this.push(bytes)) await new Promise<void>((resolve) => (this.#resume = resolve));
        if (this.destroyed) return;
      }
      this.push(null);
    } catch (error) {
      this.destroy(error as Error);
    }
  }
}
