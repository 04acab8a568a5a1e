import { Duplex } from "node:stream";
import type { HttpCall } from "../replicas/session.ts";

/** The bytes of a call whose service has switched protocols, as a stream like a socket. */
export class FrameStream extends Duplex {
  readonly #call: HttpCall;
  #wanted: (() => void) | null = null;

  constructor(call: HttpCall) {
    super({ allowHalfOpen: false });
    this.#call = call;
    void this.#receive();
  }

  override _read(): void {
    this.#wanted?.();
    this.#wanted = null;
  }

  override _write(bytes: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#call.send(bytes).then((taken) => done(taken ? null : new Error("the service takes no more")), done);
  }

  override _final(done: () => void): void {
    this.#call.sendEnd();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#call.cancel("disconnected");
    this.#wanted?.();
    done(error);
  }

  async #receive(): Promise<void> {
    try {
      for await (const bytes of this.#call.body) {
        if (this.destroyed) return;
        if (!this.push(bytes)) await new Promise<void>((resolve) => (this.#wanted = resolve));
      }
      this.push(null);
    } catch (error) {
      this.destroy(error as Error);
    }
  }
}
