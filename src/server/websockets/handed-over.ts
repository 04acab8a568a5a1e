import type { Socket } from "node:net";
import { HOP_DEFAULTS } from "../../protocol/defaults.ts";
import { CARRIED } from "../../protocol/replica.ts";
import { type CloseCode, closeFrame } from "../../protocol/websocket.ts";
import type { HttpCall } from "../replicas/session.ts";
import type { OpenWebSocket } from "./open.ts";

/** Bytes that a connection has borne since it was made. Null: its replica has not said so. */
export interface Carried {
  bytesIn: number | null;
  bytesOut: number | null;
}

/** For the replica to see to the end by itself, which takes it `goodbyeMs` at most. */
const LEAVE_MS = 2 * HOP_DEFAULTS.goodbyeMs;

/**
 * A WebSocket whose connection is its replica's own: no byte of it passes through the gateway, which keeps an object in its place, and the call,
 * whose end is that of the connection.
 *
 *   answering --the 101 has left-->                     handed
 *   handed    --leave()-->                              leaving   the replica puts the closing frame between two of its code's
 *   any --the call ends, with its replica or before-->  over      the object goes
 *   any --the object goes: the server stops-->          over      the call is cancelled, which cuts the connection
 *   leaving --LEAVE_MS-->                               over      the same
 */
export class HandedOver implements OpenWebSocket {
  readonly done: Promise<void>;
  readonly #client: Socket;
  readonly #call: HttpCall;
  readonly #carried: (carried: Carried) => void;
  #timer: NodeJS.Timeout | null = null;

  /** `head`: of the answer to the client. `early`: what it has sent past its request. */
  constructor(p: { client: Socket; early: Buffer; head: string; call: HttpCall; carried: (carried: Carried) => void }) {
    const { client, call } = p;
    this.#client = client;
    this.#call = call;
    this.#carried = p.carried;
    const over = Promise.withResolvers<void>();
    this.done = over.promise;
    client.once("close", () => {
      if (this.#timer !== null) clearTimeout(this.#timer);
      call.cancel("disconnected");
      over.resolve();
    });
    // What has not left by then would be lost with the handle.
    client.write(p.head, "latin1", (error) => {
      if (!error) this.#give(p.early);
    });
    void call.closed.then(() => client.destroy());
  }

  /** Repeatable. */
  leave(code: CloseCode, reason: string): void {
    if (this.#timer !== null || this.#client.destroyed) return;
    this.#timer = setTimeout(() => this.#client.destroy(), LEAVE_MS);
    void this.#call.send(closeFrame(code, reason));
  }

  #give(early: Buffer): void {
    const client = this.#client;
    const waiting = [early];
    for (let bytes = client.read() as Buffer | null; bytes !== null; bytes = client.read()) waiting.push(bytes);
    const { bytesRead, bytesWritten } = client;
    this.#carried({ bytesIn: null, bytesOut: null });
    void this.#call.closed.then(() => {
      const [read, written] = [this.#figure(CARRIED.in), this.#figure(CARRIED.out)];
      if (read !== null && written !== null)
        this.#carried({ bytesIn: bytesRead + read, bytesOut: bytesWritten + written });
    });
    this.#call.giveSocket(client, Buffer.concat(waiting));
  }

  #figure(name: string): number | null {
    const text = this.#call.trailers.find(([own]) => own === name)?.[1] ?? "";
    return /^\d{1,15}$/.test(text) ? Number(text) : null;
  }
}
