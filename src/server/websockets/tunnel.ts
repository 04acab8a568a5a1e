import type { Duplex } from "node:stream";
import { HOP_DEFAULTS } from "../../protocol/defaults.ts";
import { CloseCode, closeFrame, FrameTracker } from "../../protocol/websocket.ts";
import type { OpenWebSocket } from "./open.ts";

/**
 * The bytes of one WebSocket between its client and its service, each side held where the other is slow. What they say to each other,
 * compressed or not, passes untouched.
 *
 *   open    --a side ends or breaks--> over      the other side is told in the same way
 *   open    --the replica dies-->      leaving   1012 to the client
 *   open    --leave()-->               leaving   1001 to the client, between two frames of the service's
 *   leaving --the client's end--> over           its own closing frame has reached the service
 *   leaving --goodbyeMs--> over                  both are cut
 */
export class Tunnel implements OpenWebSocket {
  /** The service's side is gone, and with it what the replica has to do for it. */
  readonly done: Promise<void>;
  readonly #over = Promise.withResolvers<void>();
  readonly #client: Duplex;
  readonly #service: Duplex;
  readonly #isReplicaGone: () => Promise<boolean>;
  readonly #frames = new FrameTracker();
  /** The closing frame that waits for the end of the service's current one. */
  #farewell: Buffer | null = null;
  #left = false;
  #timer: NodeJS.Timeout | null = null;

  /** `rest`: what either has sent past its head. */
  constructor(p: {
    client: Duplex;
    service: Duplex;
    rest: { client: Buffer; service: Buffer };
    isReplicaGone: () => Promise<boolean>;
  }) {
    this.#client = p.client;
    this.#service = p.service;
    this.#isReplicaGone = p.isReplicaGone;
    this.done = this.#over.promise;
    this.#listen(p.client, p.service);
    if (p.rest.client.length > 0) this.#fromClient(p.rest.client);
    if (p.rest.service.length > 0) this.#fromService(p.rest.service);
  }

  /** Says goodbye to the client, and cuts both sides where it does not answer in time. Repeatable. */
  leave(code: CloseCode, reason: string): void {
    if (this.#client.destroyed) return;
    this.#endSoon();
    if (this.#farewell !== null || this.#frames.closing) return;
    this.#farewell = closeFrame(code, reason);
    if (this.#frames.atBoundary) this.#sayFarewell();
  }

  #listen(client: Duplex, service: Duplex): void {
    client
      .on("data", (bytes: Buffer) => this.#fromClient(bytes))
      .on("end", () => this.#clientEnded())
      .on("drain", () => service.resume())
      .on("error", () => {})
      .on("close", () => this.#clientClosed());
    service
      .on("data", (bytes: Buffer) => this.#fromService(bytes))
      .on("end", () => this.#serviceEnded())
      .on("drain", () => client.resume())
      .on("error", () => {})
      .on("close", () => void this.#serviceClosed());
    client.resume();
    service.resume();
  }

  #fromClient(bytes: Buffer): void {
    if (this.#service.writable && !this.#service.write(bytes)) this.#client.pause();
  }

  #fromService(bytes: Buffer): void {
    const end = this.#frames.push(bytes);
    // It has been said that nothing follows.
    if (this.#left) return;
    if (this.#farewell !== null && end >= 0) {
      this.#write(bytes.subarray(0, end));
      this.#sayFarewell();
    } else this.#write(bytes);
  }

  #write(bytes: Buffer): void {
    if (this.#client.writable && bytes.length > 0 && !this.#client.write(bytes)) this.#service.pause();
  }

  #sayFarewell(): void {
    this.#left = true;
    if (this.#farewell !== null && this.#client.writable) this.#client.write(this.#farewell);
    // The client's own closing frame goes to the service, which ends the connection. Where there is none any more, it ends here.
    if (this.#service.destroyed && this.#client.writable) this.#client.end();
    // What still comes of the service is thrown away, so that it is not held.
    this.#service.resume();
  }

  /** A client that writes no more is gone, whether it has said so in a frame or not; the service may still answer that frame. */
  #clientEnded(): void {
    if (this.#service.writable) this.#service.end();
    this.#endSoon();
  }

  #clientClosed(): void {
    endThenDestroy(this.#service);
    this.#endSoon();
  }

  #serviceEnded(): void {
    if (this.#frames.closing && this.#client.writable) this.#client.end();
  }

  async #serviceClosed(): Promise<void> {
    this.#over.resolve();
    if (this.#frames.closing || this.#left || this.#client.destroyed) endThenDestroy(this.#client);
    // Without a word: with its replica, or it meant it so, and the same is done to the client.
    else if ((await this.#isReplicaGone()) && this.#frames.atBoundary)
      this.leave(CloseCode.serviceRestart, "the service's replica has ended");
    else this.#client.destroy();
    this.#endSoon();
  }

  /** What is not over by then is cut. */
  #endSoon(): void {
    if (this.#client.destroyed && this.#service.destroyed) {
      if (this.#timer) clearTimeout(this.#timer);
      return;
    }
    this.#timer ??= setTimeout(() => {
      this.#client.destroy();
      this.#service.destroy();
    }, HOP_DEFAULTS.goodbyeMs);
  }
}

/** What was written before still leaves. */
function endThenDestroy(stream: Duplex): void {
  if (stream.destroyed) return;
  if (stream.writableFinished) {
    stream.destroy();
    return;
  }
  stream.once("finish", () => stream.destroy());
  if (!stream.writableEnded) stream.end();
}
