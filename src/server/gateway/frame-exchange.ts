import type { AthanorError } from "../../protocol/errors.ts";
import type { OpenHttp } from "../../protocol/replica.ts";
import { endAnswer, writeWithBackPressure } from "../http/answer.ts";
import type { Exchange } from "../http/exchange.ts";
import type { HttpCall, ReplicaSession, RequestBody } from "../replicas/session.ts";
import { addTrailers, answerError, beginAnswer, passedHeaders, passInformation } from "./answer.ts";
import { type WhenToEnd, whenToEnd } from "./endless.ts";
import { mayHaveBody } from "./headers.ts";
import type { Unanswered } from "./hop-exchange.ts";
import { requestTrailers } from "./hop-request.ts";
import type { Switched } from "./websocket.ts";

const NOTHING = Buffer.alloc(0);

/** One exchange with a service that is called in frames; the states are those of HopExchange. */
export class FrameExchange {
  /** Null: answered, or the client has gone. */
  readonly done: Promise<Unanswered | null>;
  /** The head has come, or the exchange is over. Never rejects. */
  readonly answered: Promise<void>;
  /** The replica is done with it. */
  readonly closed: Promise<void>;
  readonly #x: Exchange;
  readonly #call: HttpCall;
  readonly #ownCors: boolean;
  readonly #ending: WhenToEnd;
  #endedEarly = false;
  readonly #onSwitch: (switched: Switched) => void;

  /** Throws replica_crashed where the replica takes no calls. */
  constructor(p: {
    x: Exchange;
    session: ReplicaSession;
    message: OpenHttp;
    body: RequestBody;
    ownCors: boolean;
    ending: WhenToEnd;
    onSwitch: (switched: Switched) => void;
  }) {
    const { x } = p;
    this.#x = x;
    this.#ownCors = p.ownCors;
    this.#onSwitch = p.onSwitch;
    this.#ending = p.ending;
    this.#call = p.session.openHttp(p.message, p.body, {
      information: (status, headers) => passInformation(x, status, headers),
      trailers: () => requestTrailers(x),
    });
    this.closed = this.#call.closed;
    this.answered = this.#call.head.then(
      () => {},
      () => {},
    );
    this.done = this.#run();
  }

  /** Nothing more of it goes to the client. Does nothing once a head has come. */
  cancel(error: AthanorError): void {
    this.#call.cancel("timeout", error);
  }

  async #run(): Promise<Unanswered | null> {
    const x = this.#x;
    const left = (): void => {
      if (!x.res.writableFinished) this.#call.cancel("disconnected");
    };
    x.res.once("close", left);
    try {
      await this.#passAnswer();
      return null;
    } catch (error) {
      this.#call.cancel("disconnected");
      if (x.res.destroyed || this.#endedEarly) return null;
      return { error: answerError(error), sent: x.hasBody ? "body" : "head" };
    } finally {
      x.res.off("close", left);
    }
  }

  async #passAnswer(): Promise<void> {
    const x = this.#x;
    const head = await this.#call.head;
    const { status } = head;
    const { res } = x;
    if (res.headersSent || res.destroyed) {
      this.#call.cancel("disconnected");
      return;
    }
    if (status === 101) {
      const { headers } = head;
      this.#onSwitch({ headers, service: this.#call, rest: NOTHING });
      return;
    }
    const { headers } = head;
    // Of those that leave: one that is no number, or a second, declares nothing.
    const passed = passedHeaders(headers);
    const length = passed.find(([name]) => name === "content-length")?.[1];
    const declared = length !== undefined;
    const whole = this.#call.whole();
    const hasBody = mayHaveBody(x, status);
    const { trailers } = this.#call;
    const counted = !declared && whole !== null && trailers.length === 0 && hasBody;
    // A body of another length than it says would run into the next answer on the client's connection. One that is whole is counted here.
    res.strictContentLength = declared && hasBody && Number(length) !== whole?.length;
    const chunked = !declared && !counted;
    const shown: [string, string][] = counted ? [...headers, ["content-length", String(whole.length)]] : headers;
    beginAnswer(x, { status, headers: shown, chunked }, this.#ownCors);
    const over = whenToEnd({
      method: x.method,
      headers: passed,
      when: this.#ending,
      end: () => this.#endEarly(),
    });
    try {
      if (whole === null) await this.#passBody();
    } finally {
      over();
    }
    if (chunked) addTrailers(x, this.#call.trailers);
    if (!res.destroyed) endAnswer(x, whole ?? undefined);
  }

  #endEarly(): void {
    this.#endedEarly = true;
    this.#call.cancel("shutdown");
    this.#x.res.end();
  }

  async #passBody(): Promise<void> {
    const { res, signal } = this.#x;
    // The head leaves with the first bytes, or by itself where those are long in coming.
    const flush = setImmediate(() => res.flushHeaders());
    try {
      for await (const chunk of this.#call.body) {
        // What was on its way when the answer was ended: after the end of a stream of HTTP/2 it would break it.
        if (this.#endedEarly) return;
        if (!(await writeWithBackPressure(res, chunk, signal))) return;
      }
    } finally {
      clearImmediate(flush);
    }
  }
}
