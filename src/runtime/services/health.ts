import { get } from "node:http";
import type { ServiceAddress } from "../../protocol/replica.ts";

const LOOK_MS = 50;
/** A server that is starting may take a connection and never answer on it. */
const FIRST_ANSWER_MS = 1000;

/** Asks a service whether it is ready, again and again. */
export class Health {
  readonly #address: ServiceAddress;
  readonly #path: string;
  #answer = "did not answer";
  #stopped = false;
  /** Longer each time that it was too short: a service may need seconds to say that it is well. */
  #answerMs = FIRST_ANSWER_MS;

  constructor(address: ServiceAddress, path: string) {
    this.#address = address;
    this.#path = path;
  }

  /** Resolves once it answers with a status of 200 to 399. */
  async good(): Promise<void> {
    while (!this.#stopped) {
      const status = await this.#ask();
      if (status !== null && status >= 200 && status < 400) return;
      this.#answer = status === null ? "did not answer" : `answered ${status}`;
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  stop(): void {
    this.#stopped = true;
  }

  get described(): string {
    return `GET ${this.#path} last ${this.#answer}, and not 200 to 399`;
  }

  /** Null where it did not answer. */
  #ask(): Promise<number | null> {
    const { promise, resolve } = Promise.withResolvers<number | null>();
    const to = "path" in this.#address ? { socketPath: this.#address.path } : this.#address;
    const signal = AbortSignal.timeout(this.#answerMs);
    get({ ...to, path: this.#path, agent: false, headers: { host: "localhost" }, signal }, (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? null);
    }).on("error", () => {
      if (signal.aborted) this.#answerMs *= 2;
      resolve(null);
    });
    return promise;
  }
}
