import { connect, Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { ServiceAddress } from "../../protocol/replica.ts";
import { InvalidAnswer } from "./answer-head.ts";
import { AnswerParser, type AnswerSink } from "./answer-parser.ts";

/** Why an exchange has no whole answer. */
export type HopFailure =
  /** No connection came about: nothing was sent. */
  | { kind: "unreachable"; detail: string }
  /** The connection ended before the answer did. */
  | { kind: "broken"; detail: string }
  | { kind: "invalid"; detail: string };

export interface HopListener extends AnswerSink {
  /** At most once, and then nothing else. */
  failed(failure: HopFailure): void;
  /** The connection stands: what is written now is sent. */
  connected(): void;
  /** What was written has left. */
  drained(): void;
}

/**
 * One connection to a service, for one exchange after the other.
 *
 *   connecting --open--> busy --the answer is whole, idle()--> idle --begin()--> busy
 *   busy --101, detach()--> the socket is its taker's
 *   any --destroy(), the service closes, bytes that nobody asked for--> closed
 */
export class HopConnection {
  /** Milliseconds since 1970; while idle. */
  idleUntil = 0;
  idleSince = 0;
  /** It has borne an exchange before, so that the service may be about to close it. */
  used = false;
  readonly #socket: Duplex;
  readonly #closed: (connection: HopConnection) => void;
  #listener: HopListener | null = null;
  #parser: AnswerParser | null = null;
  #connected: boolean;
  #error: Error | null = null;

  static to(address: ServiceAddress, closed: (connection: HopConnection) => void): HopConnection {
    return new HopConnection(
      connect("path" in address ? { path: address.path } : { ...address, noDelay: true }),
      closed,
    );
  }

  /** Over a socket that connects, or what is connected. */
  constructor(socket: Duplex, closed: (connection: HopConnection) => void) {
    this.#closed = closed;
    this.#socket = socket;
    this.#connected = !(socket instanceof Socket && socket.connecting);
    this.#socket
      .on("connect", () => {
        this.#connected = true;
        this.#listener?.connected();
      })
      .on("data", (piece: Buffer) => this.#data(piece))
      .on("drain", () => this.#listener?.drained())
      .on("end", () => this.#ended())
      .on("error", (error) => {
        this.#error = error;
      })
      .on("close", () => this.#gone());
  }

  get isOpen(): boolean {
    return !this.#socket.destroyed && !this.#socket.readableEnded;
  }

  begin(listener: HopListener, request: { method: string; maySwitch: boolean }): void {
    this.#listener = listener;
    this.#parser = new AnswerParser(listener, request);
    if (this.#connected) listener.connected();
  }

  /** False: wait for `drained`. */
  write(bytes: string | Uint8Array): boolean {
    return typeof bytes === "string" ? this.#socket.write(bytes, "latin1") : this.#socket.write(bytes);
  }

  cork(): void {
    this.#socket.cork();
  }

  uncork(): void {
    this.#socket.uncork();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  get trailers(): [string, string][] {
    return this.#parser?.trailers ?? [];
  }

  /** The exchange is over. True: it may bear another. */
  idle(): boolean {
    const reusable = this.#parser?.reusable === true && this.isOpen;
    this.#listener = null;
    this.#parser = null;
    this.used = true;
    if (reusable) this.#socket.resume();
    return reusable;
  }

  destroy(): void {
    this.#listener = null;
    this.#socket.destroy();
  }

  /** The socket, which this object lets go of, after a switch of protocols. */
  detach(): Duplex {
    const socket = this.#socket;
    this.#listener = null;
    socket.removeAllListeners();
    // A socket without a listener for errors would take the server with it.
    socket.on("error", () => {});
    return socket;
  }

  #data(piece: Buffer): void {
    if (this.#parser === null) {
      this.destroy();
      return;
    }
    try {
      this.#parser.push(piece);
    } catch (error) {
      if (error instanceof InvalidAnswer) this.#fail({ kind: "invalid", detail: error.message });
      else this.#fail({ kind: "invalid", detail: `its answer could not be passed on: ${(error as Error).message}` });
    }
  }

  #ended(): void {
    // All that there will be has come, which ends a body that has no other end.
    this.#parser?.closed();
  }

  #gone(): void {
    const why = this.#error === null ? "the service closed the connection" : this.#error.message;
    this.#fail({ kind: this.#connected ? "broken" : "unreachable", detail: why });
    this.#closed(this);
  }

  #fail(failure: HopFailure): void {
    const listener = this.#listener;
    this.destroy();
    listener?.failed(failure);
  }
}
