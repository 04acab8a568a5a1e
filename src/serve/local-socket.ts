import { Duplex } from "node:stream";
import type { HttpCaller } from "../runtime/http-face.ts";
import type { SwitchingSocket } from "../runtime/services/switching-socket.ts";

type Done = (error?: Error | null) => void;

/** The client's connection, and what it has sent past its request. */
export interface TakenConnection {
  socket: Duplex;
  rest: Buffer;
}

/** The client's connection of a call of this process: all but the head of the answer is the connection's own. */
export class LocalSocket extends Duplex implements SwitchingSocket {
  readonly over: Promise<void>;
  readonly #take: () => TakenConnection;
  #head: string | null = null;
  #client: Duplex | null = null;
  #held: (() => void) | null = null;

  /** `take`: called once the head of the answer has left. */
  constructor(call: HttpCaller, take: () => TakenConnection) {
    super();
    this.#take = take;
    this.over = new Promise((resolve) => this.once("close", resolve));
    call.onCancel(() => this.destroy());
  }

  get head(): string {
    return this.#head ?? "";
  }

  open(): void {
    const { socket, rest } = this.#take();
    socket.on("error", () => {});
    if (this.destroyed) {
      socket.destroy();
      return;
    }
    this.#client = socket;
    if (rest.length > 0) this.push(rest);
    socket
      .on("data", (bytes: Buffer) => {
        if (!this.push(bytes)) socket.pause();
      })
      .on("end", () => this.push(null))
      .on("close", () => this.destroy());
    socket.resume();
    this.#held?.();
    this.#held = null;
  }

  override _read(): void {
    this.#client?.resume();
  }

  override _write(bytes: Buffer, _encoding: string, done: Done): void {
    if (this.#head === null) {
      this.#head = bytes.toString("latin1");
      done();
    } else this.#whenOpen((client) => client.write(bytes, done));
  }

  /** A frame's head and its payload come as two pieces; they go as one. */
  override _writev(pieces: { chunk: Buffer }[], done: Done): void {
    this.#whenOpen((client) => client.write(Buffer.concat(pieces.map(({ chunk }) => chunk)), done));
  }

  override _final(done: Done): void {
    this.#whenOpen((client) => client.end(() => done()));
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#held = null;
    this.#client?.destroy();
    done(error);
  }

  #whenOpen(write: (client: Duplex) => void): void {
    const client = this.#client;
    if (client === null) this.#held = () => this.#whenOpen(write);
    else write(client);
  }
}
