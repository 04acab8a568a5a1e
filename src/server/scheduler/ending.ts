import { MAX_TIMER_MS } from "../alarm.ts";

/**
 * Tells calls that would never end by themselves, such as WebSockets, to end; others go on until they are done.
 *
 *   open   --in(ms)-->    timed   --the time is over, or now()--> ended   `signal` aborts
 *   timed  --never()-->   open
 *   ended  --never()-->   open    calls that begin from then on have another signal
 */
export class Ending {
  #controller = new AbortController();
  #timer: NodeJS.Timeout | null = null;

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  in(ms: number): void {
    this.clear();
    this.#timer = setTimeout(() => this.now(), Math.min(ms, MAX_TIMER_MS));
  }

  now(): void {
    this.clear();
    this.#controller.abort();
  }

  never(): void {
    this.clear();
    if (this.#controller.signal.aborted) this.#controller = new AbortController();
  }

  clear(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
