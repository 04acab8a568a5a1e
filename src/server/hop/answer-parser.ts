import { type AnswerHead, type HeaderPairs, InvalidAnswer, parseHead, parseHeaders, shown } from "./answer-head.ts";

/** What a service sends, as it is understood. Called while bytes are pushed. */
export interface AnswerSink {
  /** A 1xx other than 101. */
  information(status: number, headers: HeaderPairs): void;
  head(head: AnswerHead): void;
  /** The body's bytes that one piece brought; `last`: with them the answer is complete. */
  body(bytes: Buffer[], last: boolean): void;
  /** After a head with status 101: from now on the connection is not HTTP. */
  switched(rest: Buffer): void;
}

const MAX_HEAD_BYTES = 64 * 1024;
const MAX_TRAILER_BYTES = 16 * 1024;
const MAX_CHUNK_LINE_BYTES = 4 * 1024;
const MAX_INFORMATION = 32;
const PROTOCOL = Buffer.from("HTTP/1.");
const CRLF = Buffer.from("\r\n");
const HEAD_END = Buffer.from("\r\n\r\n");
const NOTHING = Buffer.alloc(0);

type State = "head" | "length" | "chunkLine" | "chunk" | "chunkEnd" | "trailers" | "untilClose" | "switched" | "done";

/**
 * Reads one answer off a connection, strictly: whatever two readers could understand differently is refused.
 *
 *   head --1xx--> head
 *   head --101, where a switch was asked for--> switched
 *   head --any other status--> length | chunkLine | untilClose | done
 *   chunkLine --size--> chunk --its bytes--> chunkEnd --CRLF--> chunkLine
 *   chunkLine --0--> trailers --an empty line--> done
 *   length --all of it--> done
 *   untilClose --closed()--> done
 */
export class AnswerParser {
  readonly #sink: AnswerSink;
  readonly #isHead: boolean;
  readonly #maySwitch: boolean;
  #state: State = "head";
  /** The beginning of a line or head that is not complete. */
  #held: Buffer = NOTHING;
  #left = 0;
  #keepAlive = true;
  #informed = 0;
  /** Bytes came after the answer's end. */
  #overrun = false;
  trailers: HeaderPairs = [];

  constructor(sink: AnswerSink, p: { method: string; maySwitch: boolean }) {
    this.#sink = sink;
    this.#isHead = p.method === "HEAD";
    this.#maySwitch = p.maySwitch;
  }

  get isDone(): boolean {
    return this.#state === "done";
  }

  /** The connection can carry another exchange after this one. */
  get reusable(): boolean {
    return this.#state === "done" && this.#keepAlive && !this.#overrun;
  }

  /** Throws InvalidAnswer. */
  push(piece: Buffer): void {
    if (piece.length === 0) return;
    if (this.#state === "done") this.#overrun = true;
    if (this.#state === "switched") this.#sink.switched(piece);
    if (this.#state === "done" || this.#state === "switched") return;
    let rest = this.#held.length === 0 ? piece : Buffer.concat([this.#held, piece]);
    const searched = Math.max(0, this.#held.length - HEAD_END.length);
    this.#held = NOTHING;
    if (this.#state === "head") {
      const after = this.#head(rest, searched);
      if (after === null) return;
      rest = after;
    }
    this.#body(rest);
  }

  /** The service has closed. False: the answer is not whole. */
  closed(): boolean {
    if (this.#state !== "untilClose") return this.#state === "done";
    this.#state = "done";
    this.#keepAlive = false;
    this.#sink.body([], true);
    return true;
  }

  /** What follows the head; null: it is not complete, or no HTTP follows. */
  #head(bytes: Buffer, searched: number): Buffer | null {
    for (let rest = bytes, from = searched; ; from = 0) {
      const end = rest.indexOf(HEAD_END, from);
      if (end < 0) {
        this.#hold(rest);
        return null;
      }
      if (end > MAX_HEAD_BYTES) throw tooLong();
      const head = parseHead(rest.toString("latin1", 0, end + HEAD_END.length));
      rest = rest.subarray(end + HEAD_END.length);
      if (head.status >= 200) {
        this.#final(head);
        return rest;
      }
      if (head.status === 101) {
        if (!this.#maySwitch) throw new InvalidAnswer("it switches protocols (101), which was not asked for");
        this.#state = "switched";
        this.#sink.head(head);
        this.#sink.switched(rest);
        return null;
      }
      if (++this.#informed > MAX_INFORMATION)
        throw new InvalidAnswer(`over ${MAX_INFORMATION} heads of 1xx came first`);
      this.#sink.information(head.status, head.headers);
    }
  }

  #hold(bytes: Buffer): void {
    const begun = Math.min(bytes.length, PROTOCOL.length);
    // What is not HTTP may never have an empty line, and need not be waited for.
    if (bytes.compare(PROTOCOL, 0, begun, 0, begun) !== 0)
      throw new InvalidAnswer(`it begins with ${shown(bytes.toString("latin1", 0, 80))}, which is no status line`);
    if (bytes.length > MAX_HEAD_BYTES) throw tooLong();
    this.#held = bytes;
  }

  #final(head: AnswerHead): void {
    const { status, contentLength } = head;
    this.#keepAlive = head.keepAlive;
    if (this.#isHead || status === 204 || status === 304) {
      this.#state = "done";
      // It says that a body follows where none may: what comes next on the connection is anyone's guess.
      if (status === 204 && (head.chunked || (contentLength ?? 0) > 0)) this.#keepAlive = false;
    } else if (head.chunked) this.#state = "chunkLine";
    else if (contentLength === null) this.#state = "untilClose";
    else {
      this.#left = contentLength;
      this.#state = contentLength === 0 ? "done" : "length";
    }
    this.#sink.head(head);
  }

  #body(bytes: Buffer): void {
    const pieces: Buffer[] = [];
    let at = 0;
    while (at < bytes.length) {
      if (this.#state === "untilClose") {
        pieces.push(bytes.subarray(at));
        at = bytes.length;
      } else if (this.#state === "length" || this.#state === "chunk") {
        const piece = bytes.subarray(at, at + this.#left);
        pieces.push(piece);
        at += piece.length;
        this.#left -= piece.length;
        if (this.#left === 0) this.#state = this.#state === "length" ? "done" : "chunkEnd";
      } else if (this.#state === "done") {
        this.#overrun = true;
        break;
      } else {
        const next = this.#line(bytes, at);
        if (next < 0) break;
        at = next;
      }
    }
    if (pieces.length > 0 || this.isDone) this.#sink.body(pieces, this.isDone);
  }

  /** Takes the line at `at`, and gives where the next begins; -1: it is not complete. */
  #line(bytes: Buffer, at: number): number {
    if (this.#state === "trailers") return this.#trailers(bytes, at);
    const end = bytes.indexOf(CRLF, at);
    const length = (end < 0 ? bytes.length : end) - at;
    if (this.#state === "chunkEnd" ? length > 1 || end > at : length > MAX_CHUNK_LINE_BYTES)
      throw new InvalidAnswer("a chunk of its body does not end where it says");
    if (end < 0) {
      this.#held = bytes.subarray(at);
      return -1;
    }
    if (this.#state === "chunkEnd") {
      this.#state = "chunkLine";
      return end + CRLF.length;
    }
    this.#chunkSize(bytes.toString("latin1", at, end));
    // The line of the last chunk ends where the trailers begin: its end is read with them.
    return this.#left === 0 ? end : end + CRLF.length;
  }

  #chunkSize(line: string): void {
    const size = /^([0-9a-f]{1,13})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?$/i.exec(line)?.[1];
    if (size === undefined) throw new InvalidAnswer(`a chunk of its body has the size ${shown(line)}`);
    this.#left = Number.parseInt(size, 16);
    this.#state = this.#left === 0 ? "trailers" : "chunk";
  }

  #trailers(bytes: Buffer, at: number): number {
    const end = bytes.indexOf(HEAD_END, at);
    if ((end < 0 ? bytes.length : end) - at > MAX_TRAILER_BYTES)
      throw new InvalidAnswer(`its trailers are over ${MAX_TRAILER_BYTES} bytes`);
    if (end < 0) {
      this.#held = bytes.subarray(at);
      return -1;
    }
    const text = bytes.toString("latin1", at + CRLF.length, end + HEAD_END.length);
    this.trailers = parseHeaders(text, 0);
    this.#state = "done";
    return end + HEAD_END.length;
  }
}

function tooLong(): InvalidAnswer {
  return new InvalidAnswer(`its status line and headers are over ${MAX_HEAD_BYTES} bytes`);
}
