import type { ReplicaExit } from "../../engines/engine.ts";
import type { FrameConnection } from "../../protocol/frame-connection.ts";
import { FrameError, keepPayload } from "../../protocol/frames.ts";
import { chunkCost, FrameType, type HeadMessage } from "../../protocol/replica.ts";
import { Credit, Outflow } from "../../protocol/streams.ts";
import { parseChunk, parseHead, parseProgress } from "./messages.ts";
import type { CancelReason, JobAnswer, JobCall, JobListeners, OpeningJob } from "./session.ts";

/** All media of one result. They are gathered in memory before they are stored. */
const MAX_RESULT_MEDIA_BYTES = 512 * 1024 * 1024;

/** What a session passes to its open calls. `frame` throws FrameError where the replica breaks the protocol. */
export interface OpenCall {
  readonly kind: "job" | "http";
  /** Its error was thrown out of band: the replica leaves for it, and its other calls are not to blame. */
  readonly wasFatal: boolean;
  frame(type: FrameType, payload: Buffer): void;
  /** END came, with what it bears: the replica is done with the call. */
  end(payload: Buffer): void;
  lost(exit: ReplicaExit, blameless: boolean): void;
}

/** The OPEN of protocol/replica.ts, whose input is JSON already. */
function openText({ inputText, ...open }: OpeningJob): string {
  return `${JSON.stringify(open).slice(0, -1)},"input":${inputText}}`;
}

/**
 *   open --HEAD--> answered --DATA of its media, END--> settled
 *   open, answered --the replica dies--> settled, `lost`
 */
export class OpenJobCall implements OpenCall, JobCall {
  readonly kind = "job";
  readonly answer: Promise<JobAnswer>;
  readonly #connection: FrameConnection;
  readonly #stream: number;
  readonly #eventsWindow: number;
  readonly #on: JobListeners;
  readonly #output: Outflow;
  readonly #credit: Credit;
  readonly #settle: (answer: JobAnswer) => void;
  #head: Exclude<HeadMessage, { kind: "http" | "information" }> | null = null;
  #pieces: Uint8Array[] = [];
  #bytes = 0;
  #cancelled = false;
  #settled = false;

  constructor(p: {
    connection: FrameConnection;
    stream: number;
    open: OpeningJob;
    media: Uint8Array[];
    on: JobListeners;
  }) {
    this.#connection = p.connection;
    this.#stream = p.stream;
    this.#eventsWindow = p.open.eventsWindow;
    this.#on = p.on;
    this.#output = new Outflow(p.connection, p.stream);
    this.#credit = new Credit(p.connection, p.stream);
    const { promise, resolve } = Promise.withResolvers<JobAnswer>();
    this.answer = promise;
    this.#settle = resolve;
    p.connection.text(FrameType.OPEN, p.stream, openText(p.open));
    if (p.media.some((bytes) => bytes.length > 0)) void this.#sendMedia(p.media);
  }

  get wasFatal(): boolean {
    return this.#head?.kind === "error" && this.#head.fatal === true;
  }

  cancel(reason: CancelReason): void {
    if (this.#cancelled || this.#settled) return;
    this.#cancelled = true;
    this.#connection.json(FrameType.CANCEL, this.#stream, { reason });
  }

  frame(type: FrameType, payload: Buffer): void {
    if (type === FrameType.WINDOW) this.#output.give(payload.readUInt32BE());
    else if (type === FrameType.HEAD && this.#head === null) this.#answered(parseHead(payload));
    else if (type === FrameType.DATA && this.#head?.kind === "result") this.#data(payload);
    else if (type === FrameType.PROGRESS && this.#head === null) this.#on.progress(parseProgress(payload));
    else if (type === FrameType.CHUNK && this.#head === null) this.#chunk(payload);
    else throw new FrameError(`A frame of type ${type} came on a job's stream where none may`);
  }

  end(): void {
    const head = this.#head;
    if (head === null) throw new FrameError("A job's stream ended without an answer");
    if (head.kind === "error") this.#finish({ type: "error", error: head.error, retryable: head.retryable });
    else this.#finish({ type: "result", value: head.value, media: this.#cutMedia(head.media) });
  }

  lost(exit: ReplicaExit, blameless: boolean): void {
    this.#finish({ type: "lost", exit, blameless });
  }

  #answered(head: HeadMessage): void {
    if (head.kind === "http" || head.kind === "information") throw new FrameError("A job was answered as HTTP");
    this.#head = head;
    this.#output.close();
  }

  #data(payload: Buffer): void {
    this.#credit.arrived(payload.length);
    this.#bytes += payload.length;
    if (this.#bytes > MAX_RESULT_MEDIA_BYTES)
      throw new FrameError(`The media of a result are over ${MAX_RESULT_MEDIA_BYTES} bytes`);
    this.#pieces.push(keepPayload(payload));
    this.#credit.consumed(payload.length);
  }

  #chunk(payload: Buffer): void {
    const cost = chunkCost(payload.length, this.#eventsWindow);
    this.#credit.arrived(cost);
    const taken = this.#on.chunk(parseChunk(payload));
    const consumed = () => this.#credit.consumed(cost);
    if (taken instanceof Promise) void taken.then(consumed, consumed);
    else consumed();
  }

  #cutMedia(media: { size: number }[]): Uint8Array[] {
    const all = Buffer.concat(this.#pieces, this.#bytes);
    let at = 0;
    const cut = media.map(({ size }) => {
      at += size;
      return all.subarray(at - size, at);
    });
    if (at !== all.length) throw new FrameError(`A result's media have ${all.length} bytes instead of ${at}`);
    return cut;
  }

  async #sendMedia(media: Uint8Array[]): Promise<void> {
    for (const bytes of media) if (!(await this.#output.write(bytes))) return;
    this.#connection.bare(FrameType.END, this.#stream);
  }

  #finish(answer: JobAnswer): void {
    this.#settled = true;
    this.#pieces = [];
    this.#output.close();
    this.#settle(answer);
  }
}
