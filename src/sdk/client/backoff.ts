import { CLIENT_DEFAULTS } from "../../protocol/defaults.ts";

/** Delays between the tries to get through to a server: exponential, with full jitter, until it is given up. */
export class Backoff {
  #failures = 0;
  #failingSince: number | null = null;

  /** It works: the next failure is the first again. */
  succeeded(): void {
    this.#failures = 0;
    this.#failingSince = null;
  }

  /** Milliseconds to wait before the next try; null: give up. */
  failed(nowMs: number, random: () => number = Math.random): number | null {
    this.#failingSince ??= nowMs;
    if (nowMs - this.#failingSince >= CLIENT_DEFAULTS.giveUpAfterMs) return null;
    const longest = Math.min(CLIENT_DEFAULTS.retryMaxMs, CLIENT_DEFAULTS.retryFirstMs * 2 ** this.#failures);
    this.#failures += 1;
    return random() * longest;
  }
}

/** @throws the signal's reason where it aborts first. */
export function delay(ms: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    }, ms);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}
