import type { AthanorError } from "../protocol/errors.ts";
import type { HttpCaller } from "../runtime/http-face.ts";

type Listener = (reason: AthanorError) => void;

/** One call of this process: `cancel` aborts its signal. */
export class LocalCall implements HttpCaller {
  readonly input: AsyncIterable<Uint8Array>;
  readonly whole: Uint8Array | null;
  #controller: AbortController | null = null;
  #reason: AthanorError | null = null;
  #listeners: Listener[] | null = null;

  constructor(input: AsyncIterable<Uint8Array>, whole: Uint8Array | null = null) {
    this.input = input;
    this.whole = whole;
  }

  /** Made when it is first asked for: most calls never do. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#reason && !this.#controller.signal.aborted) this.#controller.abort(this.#reason);
    return this.#controller.signal;
  }

  get cancelled(): AthanorError | null {
    return this.#reason;
  }

  onCancel(listener: Listener): void {
    if (this.#reason) listener(this.#reason);
    else {
      this.#listeners ??= [];
      this.#listeners.push(listener);
    }
  }

  cancel(reason: AthanorError): void {
    if (this.#reason) return;
    this.#reason = reason;
    this.#controller?.abort(reason);
    for (const listener of this.#listeners ?? []) listener(reason);
  }
}
