import { Socket } from "node:net";
import { HOP_DEFAULTS, HTTP_DEFAULTS } from "../../protocol/defaults.ts";
import { CARRIED } from "../../protocol/replica.ts";
import { FrameTracker } from "../../protocol/websocket.ts";
import { type Call, currentCaller } from "../call.ts";
import { AnswerEnd } from "./answer-end.ts";
import type { SwitchingSocket } from "./switching-socket.ts";

type Done = (error?: Error | null) => void;

/**
 * The connection of an exchange that switches protocols, as the service's code sees it. Its bytes come and go in the call's frames, or, once it is
 * handed over, on the client's own connection.
 *
 *   answering --the head of the answer is whole--> waiting   what the code writes next is held
 *   answering --it is none of a 101-->             framed    until it ends: an ordinary answer
 *   waiting   --open()-->                          framed    what is written and read is the call's DATA
 *   waiting   --#handOver()-->                     handed    it is what the client's connection bears, and DATA is a closing frame
 *   any       --CANCEL, the connection's end-->    closed
 */
export class ClientSocket extends Socket implements SwitchingSocket {
  /** Nothing of it is left: not the client's connection either. */
  readonly over: Promise<void>;
  readonly #over = Promise.withResolvers<void>();
  readonly #call: Call;
  /** Where the head is sent as it is. */
  #answer: AnswerEnd | null;
  /** The answer's head, where it is not sent as it is. */
  #head: string | null = null;
  #state: "answering" | "waiting" | "framed" | "handed" = "answering";
  readonly #handsOver: boolean;
  #held: (() => void) | null = null;
  #resume: (() => void) | null = null;
  #reading = false;
  #client: Socket | null = null;
  readonly #frames = new FrameTracker();
  /** The gateway's closing frame: as much of it as has come, and then all of it. */
  #farewell: Buffer | null = null;
  #left = false;
  #goodbye: NodeJS.Timeout | null = null;
  #timeoutMs = 0;

  /** `keepsHead`: the code's first write is the answer's head, which is asked for as `head`; else it is sent as it is, as are answers other than 101. */
  constructor(call: Call, p: { keepsHead: boolean; handsOver: boolean }) {
    super({ allowHalfOpen: true });
    this.#call = call;
    this.#answer = p.keepsHead ? null : new AnswerEnd();
    this.#handsOver = p.handsOver;
    this.over = this.#over.promise;
    if (p.handsOver) {
      call.onSocket = (client, early) => this.#handOver(client, early);
      // From the beginning: it may be told to leave while nobody reads.
      this._read();
    }
    call.onCancel(() => this.destroy());
  }

  /** Empty until it was written. */
  get head(): string {
    return this.#head ?? "";
  }

  /** The answer's head has left. */
  open(): void {
    if (!this.#handsOver) this.#go("framed");
  }

  /** The client's connection is this process's from now on. */
  #handOver(client: Socket, early: Buffer): void {
    client.on("error", () => {});
    if (this.#state !== "waiting" || this.destroyed) {
      client.destroy();
      return;
    }
    this.#client = client;
    if (early.length > 0) this.push(early);
    client
      // The connection knows of no call, and the code's lines are the call's.
      .on("data", (bytes: Buffer) => currentCaller.run(this.#call, this.#fromClient, bytes))
      .on("end", () => currentCaller.run(this.#call, () => this.#clientEnded()))
      .on("timeout", () => this.#silent(client))
      .on("drain", () => client.setTimeout(this.#timeoutMs))
      .on("close", () => currentCaller.run(this.#call, () => this.#clientClosed(client)));
    client.setTimeout(this.#timeoutMs);
    this.#go("handed");
    this.#sayFarewell();
  }

  override _read(): void {
    this.#client?.resume();
    this.#resume?.();
    this.#resume = null;
    if (this.#reading) return;
    this.#reading = true;
    void this.#pump();
  }

  /** A socket is given text as it is. */
  override _write(chunk: Buffer | string, encoding: BufferEncoding, done: Done): void {
    this.#take(bytesOf(chunk, encoding), done);
  }

  /** A frame's head and its payload come as two pieces; they go as one. */
  override _writev(pieces: { chunk: Buffer | string; encoding: BufferEncoding }[], done: Done): void {
    this.#take(Buffer.concat(pieces.map(({ chunk, encoding }) => bytesOf(chunk, encoding))), done);
  }

  override _final(done: Done): void {
    if (this.#state === "waiting") {
      this.#held = () => this._final(done);
    } else if (this.#client !== null) {
      this.#endSoon();
      this.#client.end(() => done());
    } else {
      done();
      // Whoever writes no more here reads no more either: a WebSocket ends its connection after the closing frames.
      setImmediate(() => this.destroy());
    }
  }

  override _destroy(error: Error | null, done: Done): void {
    this.#resume?.();
    this.#call.input.discard();
    this.#call.output.close();
    // What waits for a connection that does not come any more.
    this.#held = null;
    const client = this.#client;
    if (client === null) this.#over.resolve();
    else if (this.#frames.closing || this.#left) client.destroySoon();
    else client.destroy();
    if (client !== null && !client.destroyed) this.#endSoon();
    super._destroy(error, done);
  }

  override setTimeout(ms: number, listener?: () => void): this {
    if (listener !== undefined && ms > 0) this.once("timeout", listener);
    else if (listener !== undefined) this.off("timeout", listener);
    this.#timeoutMs = ms;
    this.#client?.setTimeout(ms);
    return this;
  }

  #go(state: "framed" | "handed"): void {
    if (this.#state !== "waiting") return;
    this.#state = state;
    const held = this.#held;
    this.#held = null;
    held?.();
  }

  #take(bytes: Buffer, done: Done): void {
    if (this.#state === "handed") this.#toClient(bytes, done);
    else if (this.#state === "framed") this.#send(bytes, done);
    else if (this.#state === "waiting") this.#held = () => this.#take(bytes, done);
    else this.#answered(bytes, done);
  }

  #answered(bytes: Buffer, done: Done): void {
    if (this.#answer === null) {
      this.#head = bytes.toString("latin1");
      this.#state = "waiting";
      done();
      return;
    }
    const end = this.#answer.push(bytes);
    if (end !== "open") this.#answer = null;
    if (end === "open") this.#send(bytes, done);
    else if (end === "other") {
      this.#state = "framed";
      this.#send(bytes, done);
    } else {
      this.#state = "waiting";
      const rest = bytes.subarray(end);
      this.#send(bytes.subarray(0, end), rest.length === 0 ? done : () => this.#take(rest, done));
    }
  }

  #send(bytes: Buffer, done: Done): void {
    const { output } = this.#call;
    if (output.offer(bytes)) done();
    else output.write(bytes).then((taken) => done(taken ? null : new Error("The connection is closed")), done);
  }

  readonly #fromClient = (bytes: Buffer): void => {
    if (!this.push(bytes)) this.#client?.pause();
  };

  #toClient(bytes: Buffer, done: Done): void {
    const client = this.#client as Socket;
    // It has been said that nothing follows.
    if (this.#left) {
      done();
      return;
    }
    const end = this.#frames.push(bytes);
    let out = bytes;
    if (this.#farewell !== null && end >= 0 && this.#isFarewellWhole) {
      this.#left = true;
      out = Buffer.concat([bytes.subarray(0, end), this.#farewell]);
    }
    client.write(out, done);
    // One that takes nothing of it for long is cut, as the gateway does it.
    if (client.writableNeedDrain) client.setTimeout(HTTP_DEFAULTS.answerTimeoutMs);
  }

  /** The gateway says goodbye to the client. */
  #leave(bytes: Buffer): void {
    this.#farewell = this.#farewell === null ? bytes : Buffer.concat([this.#farewell, bytes]);
    this.#sayFarewell();
  }

  get #isFarewellWhole(): boolean {
    return this.#farewell !== null && this.#farewell.length >= 2 + ((this.#farewell[1] ?? 0) & 0x7f);
  }

  /** Between two frames: now, or at the end of the one under way. */
  #sayFarewell(): void {
    if (this.#client === null || !this.#isFarewellWhole) return;
    this.#endSoon();
    if (this.#frames.closing || this.#left || !this.#frames.atBoundary) return;
    this.#left = true;
    this.#client.write(this.#farewell as Buffer);
  }

  #silent(client: Socket): void {
    if (client.writableNeedDrain) this.destroy();
    else this.emit("timeout");
  }

  /** A client that writes no more is gone, whether it has said so in a frame or not; the code may still answer that frame. */
  #clientEnded(): void {
    this.push(null);
    this.#endSoon();
  }

  #clientClosed(client: Socket): void {
    if (this.#goodbye !== null) clearTimeout(this.#goodbye);
    this.#call.trailers = [
      [CARRIED.in, String(client.bytesRead)],
      [CARRIED.out, String(client.bytesWritten)],
    ];
    this.destroy();
    this.#over.resolve();
  }

  /** What is not over by then is cut. */
  #endSoon(): void {
    this.#goodbye ??= setTimeout(() => {
      this.#client?.destroy();
      this.destroy();
    }, HOP_DEFAULTS.goodbyeMs);
  }

  async #pump(): Promise<void> {
    try {
      for await (const bytes of this.#call.input) {
        if (this.destroyed) return;
        if (this.#handsOver && (this.#state === "waiting" || this.#state === "handed")) this.#leave(Buffer.from(bytes));
        else if (!this.push(bytes)) await new Promise<void>((resolve) => (this.#resume = resolve));
        if (this.destroyed) return;
      }
      if (this.#client === null) this.push(null);
    } catch (error) {
      this.destroy(error as Error);
    }
  }
}

const bytesOf = (chunk: Buffer | string, encoding: BufferEncoding): Buffer =>
  typeof chunk === "string" ? Buffer.from(chunk, encoding) : chunk;
