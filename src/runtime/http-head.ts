import { type AthanorError, PROBLEM_CONTENT_TYPE } from "../protocol/errors.ts";
import { FrameType, type HeadMessage } from "../protocol/replica.ts";
import type { Call } from "./call.ts";
import type { HttpAnswer } from "./http-face.ts";

/**
 * The answer's side of an HTTP call that came in frames.
 *
 *   waiting --head()--> streaming --end of the call--> ended
 *   waiting --fail()--> ended     a problem document
 *   streaming --fail()--> ended   a second HEAD: the server breaks the answer off, so that the client sees that it is not whole
 */
export class HttpHead implements HttpAnswer {
  readonly #call: Call;
  #headSent = false;

  constructor(call: Call) {
    this.#call = call;
  }

  head(status: number, headers: [string, string][]): void {
    const head: HeadMessage = { kind: "http", status, headers };
    this.#call.connection.json(FrameType.HEAD, this.#call.stream, head);
    this.#headSent = true;
  }

  /** A whole answer in one go, where the window has room for it. */
  async body(bytes: Uint8Array): Promise<boolean> {
    return this.#call.output.offer(bytes) || this.#call.output.write(bytes);
  }

  /** The body is whole, and the call goes on without it. */
  end(): void {
    this.#call.connection.bare(FrameType.DATA, this.#call.stream);
  }

  fail(error: AthanorError): void {
    if (this.#headSent) {
      const head: HeadMessage = { kind: "error", error: { code: error.code, message: error.detail }, retryable: false };
      this.#call.connection.json(FrameType.HEAD, this.#call.stream, head);
      return;
    }
    const bytes = Buffer.from(JSON.stringify(error.toProblem()));
    const headers = Object.entries(error.headers);
    this.head(error.status, [
      ["content-type", PROBLEM_CONTENT_TYPE],
      ["content-length", String(bytes.length)],
      ...headers,
    ]);
    this.#call.output.offer(bytes);
  }
}
