import type { AthanorError } from "../protocol/errors.ts";
import type { HttpAnswer } from "../runtime/http-face.ts";
import { setAnswerHead } from "../server/gateway/headers.ts";
import { takeConnection } from "../server/gateway/websocket.ts";
import { endAnswer, sendProblem, writeWithBackPressure } from "../server/http/answer.ts";
import type { Exchange } from "../server/http/exchange.ts";
import type { Log } from "../server/log.ts";
import type { TakenConnection } from "./local-socket.ts";

/**
 * The answer to an exchange of this process.
 *
 *   waiting --head()--> begun --body()--> streaming, or ended where the head has said that this is all
 *   waiting, begun --fail()--> ended, with a problem; streaming --fail()--> ended: the connection is cut
 *   waiting --head(101)--> ended: the connection is `take`'s
 *   any --end()--> ended
 */
export class ExchangeAnswer implements HttpAnswer {
  readonly #x: Exchange;
  readonly #log: Log;
  #head: { status: number; headers: [string, string][] } | null = null;
  #ended = false;
  #taken: TakenConnection | null = null;

  constructor(x: Exchange, log: Log) {
    this.#x = x;
    this.#log = log;
  }

  head(status: number, headers: [string, string][]): void {
    if (status === 101) {
      this.#ended = true;
      this.#taken = takeConnection(this.#x, headers);
      return;
    }
    this.#head = { status, headers };
  }

  async body(bytes: Uint8Array): Promise<boolean> {
    const { res } = this.#x;
    if (this.#ended || res.destroyed) return false;
    if (this.#head !== null && lengthOf(this.#head.headers) === bytes.length) {
      this.#sendHead(true);
      this.#ended = true;
      endAnswer(this.#x, bytes);
      return true;
    }
    this.#sendHead(false);
    return writeWithBackPressure(res, bytes, this.#x.signal);
  }

  fail(error: AthanorError): void {
    if (this.#ended) return;
    this.#ended = true;
    sendProblem(this.#x, error, this.#log);
  }

  /** What was begun is all. */
  end(): void {
    if (this.#ended || this.#x.res.destroyed) return;
    this.#ended = true;
    this.#sendHead(false);
    endAnswer(this.#x);
  }

  /** The client's connection, after a 101. */
  take(): TakenConnection {
    if (this.#taken === null) throw new Error("the answer was no 101");
    return this.#taken;
  }

  #sendHead(whole: boolean): void {
    if (this.#head === null) return;
    setAnswerHead(this.#x, this.#head, whole);
    this.#head = null;
  }
}

function lengthOf(headers: [string, string][]): number | null {
  for (const [name, value] of headers) if (name === "content-length") return Number(value);
  return null;
}
