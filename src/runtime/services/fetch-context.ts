/** What a fetch handler is given beside the request; the SDK's FetchContext says what each is for. */
export class FetchContext {
  readonly requestId: string;
  readonly props: object = {};
  #waiting: Promise<unknown>[] | null = null;

  constructor(requestId: string) {
    this.requestId = requestId;
  }

  waitUntil(promise: Promise<unknown>): void {
    this.#waiting ??= [];
    this.#waiting.push(promise);
    // It may fail before the answer is sent, while nobody waits for it yet; that must not count as a failure that nobody handles.
    Promise.resolve(promise).catch(() => {});
  }

  get isWaiting(): boolean {
    return this.#waiting !== null;
  }

  passThroughOnException(): void {}

  /** Resolves once all that the handler asked to be waited for is settled, what was added meanwhile included. */
  async settled(onError: (error: unknown) => void): Promise<void> {
    while (this.#waiting !== null) {
      const waiting: Promise<unknown>[] = this.#waiting;
      this.#waiting = null;
      for (const outcome of await Promise.allSettled(waiting))
        if (outcome.status === "rejected") onError(outcome.reason);
    }
  }
}
