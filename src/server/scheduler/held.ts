import { AthanorError } from "../../protocol/errors.ts";

interface Held<T> {
  resolve(value: T): void;
  reject(error: AthanorError): void;
  leave(): void;
}

/** Requests that wait for a replica, first come, first served. Bounded by the caller, who knows the limit and the error. */
export class HeldRequests<T> {
  // A Set keeps the order of insertion and lets one that gave up leave from the middle.
  readonly #queue = new Set<Held<T>>();
  readonly #emptied: () => void;

  /** `emptied` is called when the last one that waits has left. */
  constructor(emptied: () => void) {
    this.#emptied = emptied;
  }

  get size(): number {
    return this.#queue.size;
  }

  /** Waits to be served; rejects with `expired()`'s error after `timeoutMs`, and with `cancelled` when the signal aborts. */
  hold(p: { timeoutMs: number; signal: AbortSignal; expired(): AthanorError }): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const gone = (): void =>
        give(new AthanorError("cancelled", "The caller left while the request waited for a replica."));
      const timer = setTimeout(() => give(p.expired()), p.timeoutMs);
      const held: Held<T> = {
        resolve,
        reject,
        leave: () => {
          clearTimeout(timer);
          p.signal.removeEventListener("abort", gone);
          this.#queue.delete(held);
          if (this.#queue.size === 0) this.#emptied();
        },
      };
      const give = (error: AthanorError): void => {
        held.leave();
        reject(error);
      };
      p.signal.addEventListener("abort", gone, { once: true });
      this.#queue.add(held);
    });
  }

  /** Serves the one that came first; `take` is called when it waits no more. */
  serveFirst(take: () => T): void {
    const [first] = this.#queue;
    if (first === undefined) throw new Error("no request is held");
    first.leave();
    first.resolve(take());
  }

  rejectAll(error: () => AthanorError): void {
    for (const held of [...this.#queue]) {
      held.leave();
      held.reject(error());
    }
  }
}
