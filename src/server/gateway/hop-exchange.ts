import { AthanorError } from "../../protocol/errors.ts";
import { type AnswerHead, type HeaderPairs, InvalidAnswer } from "../hop/answer-head.ts";
import type { HopConnection, HopFailure, HopListener } from "../hop/connection.ts";
import type { HopPool } from "../hop/pool.ts";
import { endAnswer } from "../http/answer.ts";
import { acceptBody } from "../http/body.ts";
import type { Exchange } from "../http/exchange.ts";
import { addTrailers, beginAnswer, passInformation } from "./answer.ts";
import { type WhenToEnd, whenToEnd } from "./endless.ts";
import { type HopRequest, requestTrailers } from "./hop-request.ts";
import type { Switched } from "./websocket.ts";

/** How an exchange ended where the client has not got a whole answer. */
export interface Unanswered {
  error: AthanorError;
  /** What of the request may have reached the service. */
  sent: "nothing" | "head" | "body";
}

/** Where its connections come from and go to. */
export type HopConnections = Pick<HopPool, "take" | "open" | "give">;

const CRLF = "\r\n";

/**
 * One request on its way to a service, and its answer on its way back, each held where the other side is slow.
 *
 *   waiting   --a head-->                       answering
 *   waiting   --failed(), cancel()-->           over        `done` says why; the caller may try again
 *   waiting   --101, where it was asked for-->  over        the connection is the tunnel's
 *   answering --the answer's last byte-->       over        the connection is kept for the next
 *   answering --failed()-->                     over        the client's connection is cut: it must not take what it has for the whole
 *   answering --an endless one is to end-->     over        the answer is ended, the connection to the service cut
 *   any       --the client leaves-->            over        the connection to the service is cut, which tells it
 */
export class HopExchange implements HopListener {
  /** Null: answered, or the client has gone. */
  readonly done: Promise<Unanswered | null>;
  readonly #settled = Promise.withResolvers<Unanswered | null>();
  readonly #x: Exchange;
  readonly #pool: HopConnections;
  readonly #request: HopRequest;
  readonly #ownCors: boolean;
  readonly #name: string;
  readonly #repeatable: boolean;
  readonly #answered: () => void;
  readonly #ending: WhenToEnd;
  #over: () => void = () => {};
  readonly #onSwitch: ((switched: Switched) => void) | null;
  #connection: HopConnection;
  #state: "waiting" | "answering" | "over" = "waiting";
  #sent: Unanswered["sent"] = "nothing";
  #bodySent: boolean;
  #head: AnswerHead | null = null;
  #bodyBegan = false;
  /** Heads before the answer's own have come: the service was at it. */
  #informed = false;
  readonly #left = (): void => this.#clientLeft();
  readonly #resume = (): void => this.#connection.resume();

  constructor(p: {
    x: Exchange;
    pool: HopConnections;
    request: HopRequest;
    /** For messages: `api of shop on replicas:7`. */
    name: string;
    ownCors: boolean;
    /** The method is idempotent, and there is no body that could be gone by then. */
    repeatable: boolean;
    /** For an answer that may never end by itself. */
    ending: WhenToEnd;
    /** The head has come. */
    answered(): void;
    /** The service has switched protocols; null: that was not asked for. */
    onSwitch: ((switched: Switched) => void) | null;
  }) {
    this.#x = p.x;
    this.#pool = p.pool;
    this.#request = p.request;
    this.#name = p.name;
    this.#ownCors = p.ownCors;
    this.#repeatable = p.repeatable;
    this.#answered = p.answered;
    this.#ending = p.ending;
    this.#onSwitch = p.onSwitch;
    this.#bodySent = p.request.framing === "none";
    this.done = this.#settled.promise;
    p.x.res.once("close", this.#left);
    this.#connection = p.pool.take({ repeatable: p.repeatable });
    this.#begin();
  }

  /** The service takes too long; nothing more of it goes to the client. */
  cancel(error: AthanorError): void {
    if (this.#state !== "waiting") return;
    this.#connection.destroy();
    this.#end({ error, sent: this.#sent });
  }

  connected(): void {
    this.#sent = "head";
    if (!this.#bodySent) this.#sendBody();
  }

  drained(): void {
    this.#x.req.resume();
  }

  information(status: number, headers: HeaderPairs): void {
    this.#informed = true;
    passInformation(this.#x, status, headers);
  }

  head(head: AnswerHead): void {
    this.#head = head;
    this.#answered();
    if (head.status === 101) return;
    this.#state = "answering";
    beginAnswer(this.#x, head, this.#ownCors);
    const { method } = this.#x;
    this.#over = whenToEnd({ method, headers: head.headers, when: this.#ending, end: () => this.#endEarly() });
    // A body that is long in coming does not hold up the head.
    queueMicrotask(() => {
      if (!this.#bodyBegan && this.#state === "answering") this.#x.res.flushHeaders();
    });
  }

  body(pieces: Buffer[], last: boolean): void {
    const { res } = this.#x;
    this.#bodyBegan = true;
    const end = last ? pieces.pop() : undefined;
    let room = true;
    if (pieces.length > 1) res.cork();
    for (const piece of pieces) room = res.write(piece);
    if (pieces.length > 1) res.uncork();
    if (last) this.#complete(end);
    else if (!room) this.#hold();
  }

  switched(rest: Buffer): void {
    const headers = this.#head?.headers ?? [];
    if (!headers.some(([name, value]) => name === "upgrade" && value.toLowerCase() === "websocket"))
      throw new InvalidAnswer("it switches to another protocol than WebSocket");
    const service = this.#connection.detach();
    this.#end(null);
    this.#onSwitch?.({ headers, service, rest });
  }

  failed(failure: HopFailure): void {
    // A service may close an idle connection just as the next request is written to it.
    const mayHaveIdled = this.#state === "waiting" && this.#connection.used && !this.#informed;
    if (mayHaveIdled && failure.kind === "broken" && this.#repeatable) {
      this.#connection = this.#pool.open();
      this.#begin();
      return;
    }
    this.#end({ error: this.#errorOf(failure), sent: this.#sent });
  }

  #begin(): void {
    this.#connection.begin(this, { method: this.#x.method, maySwitch: this.#onSwitch !== null });
    this.#connection.write(this.#request.head);
  }

  #sendBody(): void {
    const { req } = this.#x;
    this.#sent = "body";
    acceptBody(this.#x, Number.POSITIVE_INFINITY);
    req.on("data", this.#onData).once("end", this.#onEnd);
  }

  readonly #onData = (bytes: Buffer): void => {
    const connection = this.#connection;
    if (this.#request.framing === "length") {
      if (!connection.write(bytes)) this.#x.req.pause();
      return;
    }
    connection.cork();
    connection.write(bytes.length.toString(16) + CRLF);
    connection.write(bytes);
    const room = connection.write(CRLF);
    connection.uncork();
    if (!room) this.#x.req.pause();
  };

  readonly #onEnd = (): void => {
    this.#bodySent = true;
    if (this.#request.framing !== "chunked") return;
    const trailers = requestTrailers(this.#x).map(([name, value]) => `${name}: ${value}${CRLF}`);
    this.#connection.write(`0${CRLF}${trailers.join("")}${CRLF}`);
  };

  #hold(): void {
    this.#connection.pause();
    this.#x.res.once("drain", this.#resume);
  }

  #complete(last: Buffer | undefined): void {
    const connection = this.#connection;
    if (this.#head?.chunked === true) addTrailers(this.#x, connection.trailers);
    const { res } = this.#x;
    const { keepAliveS = null } = this.#head ?? {};
    this.#end(null);
    // A connection on which some of the request is still due cannot bear another.
    if (this.#bodySent) this.#pool.give(connection, keepAliveS);
    else connection.destroy();
    if (res.writable) endAnswer(this.#x, last);
  }

  #endEarly(): void {
    if (this.#state === "over") return;
    this.#connection.destroy();
    this.#end(null);
    this.#x.res.end();
  }

  #clientLeft(): void {
    if (this.#state === "over") return;
    this.#connection.destroy();
    this.#end(null);
  }

  #end(outcome: Unanswered | null): void {
    if (this.#state === "over") return;
    this.#state = "over";
    this.#over();
    const { req, res } = this.#x;
    req.off("data", this.#onData).off("end", this.#onEnd);
    res.off("close", this.#left).off("drain", this.#resume);
    this.#settled.resolve(outcome);
  }

  #errorOf({ kind, detail }: HopFailure): AthanorError {
    if (kind === "unreachable")
      return new AthanorError("service_unreachable", `${this.#name} takes no connections: ${detail}`);
    if (kind === "invalid") return new AthanorError("answer_invalid", `${this.#name} answered, and ${detail}`);
    const when = this.#state === "waiting" ? "before it answered" : "before its answer was complete";
    return new AthanorError("answer_incomplete", `${this.#name} closed the connection ${when}: ${detail}`);
  }
}
