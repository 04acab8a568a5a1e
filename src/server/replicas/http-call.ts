import type { Socket } from "node:net";
import type { ReplicaExit, ReplicaProcess } from "../../engines/engine.ts";
import { AthanorError, ERRORS, type ErrorCode } from "../../protocol/errors.ts";
import type { FrameConnection } from "../../protocol/frame-connection.ts";
import { FrameError } from "../../protocol/frames.ts";
import type { JobError } from "../../protocol/job.ts";
import { FrameType, type HeadMessage, type OpenHttp } from "../../protocol/replica.ts";
import { Inflow, Outflow } from "../../protocol/streams.ts";
import { exitError } from "./exit.ts";
import type { OpenCall } from "./job-call.ts";
import { parseHead, parseTrailers } from "./messages.ts";
import type { CancelReason, HttpCall, HttpListeners, RequestBody } from "./session.ts";

type Head = { status: number; headers: [string, string][] };

/**
 *   waiting   --HEAD--> streaming --END--> done
 *   waiting   --error HEAD--> failed       `head` rejects
 *   streaming --error HEAD--> failed       `body` throws
 *   any       --cancel()-->   cancelled    the answer is dropped; `closed` waits for the replica's END all the same
 *   any       --the replica dies--> done   `head` rejects or `body` throws
 */
export class OpenHttpCall implements OpenCall, HttpCall {
  readonly kind = "http";
  readonly head: Promise<Head>;
  readonly closed: Promise<void>;
  readonly #replicaId: string;
  readonly #connection: FrameConnection;
  readonly #stream: number;
  readonly #output: Outflow;
  readonly #input: Inflow;
  readonly #headSettled = Promise.withResolvers<Head>();
  readonly #on: HttpListeners;
  readonly #giveSocket: ReplicaProcess["giveSocket"];
  trailers: [string, string][] = [];
  readonly #over = Promise.withResolvers<void>();
  #state: "waiting" | "streaming" | "failed" | "cancelled" | "done" = "waiting";
  wasFatal = false;

  constructor(p: {
    replicaId: string;
    connection: FrameConnection;
    stream: number;
    open: OpenHttp;
    body: RequestBody;
    on?: HttpListeners | undefined;
    giveSocket?: ReplicaProcess["giveSocket"];
  }) {
    this.#replicaId = p.replicaId;
    this.#on = p.on ?? {};
    this.#giveSocket = p.giveSocket;
    this.#connection = p.connection;
    this.#stream = p.stream;
    this.#output = new Outflow(p.connection, p.stream);
    this.#input = new Inflow(p.connection, p.stream);
    this.head = this.#headSettled.promise;
    this.closed = this.#over.promise;
    // Whoever only waits for `closed` need not see to the head.
    this.head.catch(() => {});
    p.connection.json(FrameType.OPEN, p.stream, p.open);
    if (p.body instanceof Uint8Array && this.#output.offer(p.body)) p.connection.bare(FrameType.END, p.stream);
    else if (p.body !== null) void this.#sendBody(p.body instanceof Uint8Array ? [p.body] : p.body);
  }

  whole(): Uint8Array | null {
    return this.#input.whole();
  }

  get body(): AsyncIterable<Uint8Array> {
    return this.#input;
  }

  cancel(reason: CancelReason, error = new AthanorError("cancelled", `the call was cancelled: ${reason}`)): void {
    if (this.#state === "done" || this.#state === "cancelled") return;
    this.#connection.json(FrameType.CANCEL, this.#stream, { reason });
    this.#state = "cancelled";
    this.#headSettled.reject(error);
    this.#output.close();
    this.#input.discard(error);
  }

  async send(bytes: Uint8Array): Promise<boolean> {
    return this.#output.offer(bytes) || (await this.#output.write(bytes));
  }

  sendEnd(): void {
    if (this.#state === "done") return;
    const trailers = this.#on.trailers?.() ?? [];
    if (trailers.length === 0) this.#connection.bare(FrameType.END, this.#stream);
    else this.#connection.json(FrameType.END, this.#stream, trailers);
  }

  giveSocket(socket: Socket, early: Buffer): void {
    const failed = (): void => this.cancel("disconnected");
    if (this.#giveSocket === undefined || this.#state !== "streaming") failed();
    else this.#giveSocket({ stream: this.#stream, early: early.toString("base64") }, socket, failed);
  }

  frame(type: FrameType, payload: Buffer): void {
    if (type === FrameType.WINDOW) this.#output.give(payload.readUInt32BE());
    else if (type === FrameType.DATA && payload.length === 0) this.#input.end();
    else if (type === FrameType.DATA) this.#input.push(payload);
    else if (type === FrameType.HEAD) this.#gotHead(parseHead(payload));
    else throw new FrameError(`A frame of type ${type} came on the stream of an HTTP call`);
  }

  end(payload: Buffer): void {
    this.trailers = parseTrailers(payload);
    if (this.#state === "waiting") throw new FrameError("The stream of an HTTP call ended without an answer");
    this.#finish();
    this.#input.end();
  }

  lost(exit: ReplicaExit): void {
    const error = exitError(this.#replicaId, exit);
    this.#headSettled.reject(error);
    this.#input.fail(error);
    this.#finish();
  }

  #gotHead(head: HeadMessage): void {
    if (head.kind === "information") {
      if (this.#state === "waiting") this.#on.information?.(head.status, head.headers);
      return;
    }
    if (head.kind === "result") throw new FrameError("An HTTP call was answered as a job");
    if (head.kind === "error") {
      this.wasFatal = head.fatal === true;
      const error = toAthanorError(head.error);
      this.#headSettled.reject(error);
      this.#input.fail(error);
      if (this.#state !== "cancelled") this.#state = "failed";
    } else if (this.#state === "waiting") {
      this.#state = "streaming";
      this.#headSettled.resolve({ status: head.status, headers: head.headers });
    } else if (this.#state !== "cancelled") throw new FrameError("An HTTP call was answered twice");
  }

  #finish(): void {
    this.#state = "done";
    this.#output.close();
    this.#over.resolve();
  }

  /** Sends the request's body until it ends, or the replica wants no more of it. */
  async #sendBody(body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<void> {
    try {
      for await (const bytes of body) if (!(await this.#output.write(bytes))) return;
      this.sendEnd();
    } catch {
      // The client broke off its upload.
      this.cancel("disconnected");
    }
  }
}

function toAthanorError({ code, message }: JobError): AthanorError {
  return new AthanorError(Object.hasOwn(ERRORS, code) ? (code as ErrorCode) : "handler_error", message);
}
