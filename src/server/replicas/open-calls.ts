import type { ReplicaExit } from "../../engines/engine.ts";
import { FrameError } from "../../protocol/frames.ts";
import { FrameType, type LoggedLine } from "../../protocol/replica.ts";
import type { OpenCall } from "./job-call.ts";
import type { LineWriter } from "./session.ts";

/** Where the lines of a call go, and what wrote them. */
export interface CallLines {
  on: { log?(line: LoggedLine): void } | undefined;
  writer: LineWriter;
}

interface Entry extends CallLines {
  call: OpenCall;
}

/**
 * The calls that are open on one replica, each on a stream with a number of its own.
 *
 *   (none) --nextStream(), add()--> open --END--> over      its number is not used again; frames that still come for it are dropped
 *                                   open --lose()--> over   the replica is gone
 */
export class OpenCalls {
  readonly #byStream = new Map<number, Entry>();
  #lastStream = 0;
  #jobs = 0;
  /** A call that is over was what the replica leaves for. */
  #blamed = false;

  get jobs(): number {
    return this.#jobs;
  }

  get requests(): number {
    return this.#byStream.size - this.#jobs;
  }

  nextStream(): number {
    return ++this.#lastStream;
  }

  add(stream: number, call: OpenCall, { on, writer }: CallLines): void {
    this.#byStream.set(stream, { call, on, writer });
    if (call.kind === "job") this.#jobs++;
  }

  /** Throws FrameError where the replica breaks the protocol. */
  frame(type: FrameType, stream: number, payload: Buffer): void {
    const call = this.#byStream.get(stream)?.call;
    if (!call) {
      if (stream > this.#lastStream) throw new FrameError(`A frame came on stream ${stream}, which was never opened`);
      return;
    }
    if (type !== FrameType.END) {
      call.frame(type, payload);
      return;
    }
    call.end(payload);
    if (call.wasFatal) this.#blamed = true;
    this.#forget(stream, call);
  }

  /** The stream of the one call that is open; 0 where there are none or several. */
  get onlyStream(): number {
    if (this.#byStream.size !== 1) return 0;
    for (const stream of this.#byStream.keys()) return stream;
    return 0;
  }

  lines(stream: number): CallLines | undefined {
    return this.#byStream.get(stream);
  }

  /** The replica is gone; a call that is over may be known as what it died of. */
  lose(exit: ReplicaExit): void {
    for (const [stream, { call }] of this.#byStream) {
      this.#forget(stream, call);
      call.lost(exit, this.#blamed);
    }
  }

  #forget(stream: number, call: OpenCall): void {
    this.#byStream.delete(stream);
    if (call.kind === "job") this.#jobs--;
  }
}
