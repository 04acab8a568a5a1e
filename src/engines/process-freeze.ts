/** The most that one look adds: where the watch itself did not run (the machine slept), the time does not count. */
const MAX_STEP_MS = 2000;

/**
 * How long a signal such as SIGSTOP has kept a process from running, as far as was seen. A process that computes, however long and without
 * once yielding its event loop, runs.
 */
export class Freeze {
  readonly #maxMs: number;
  #stoppedMs = 0;
  #seenAt: number | null = null;

  constructor(maxMs: number) {
    this.#maxMs = maxMs;
  }

  get isTooLong(): boolean {
    return this.#stoppedMs >= this.#maxMs;
  }

  /** True where it has been stopped for too long. */
  saw(stopped: boolean, now: number): boolean {
    if (!stopped) {
      this.#stoppedMs = 0;
      this.#seenAt = null;
      return false;
    }
    if (this.#seenAt !== null) this.#stoppedMs += Math.min(now - this.#seenAt, MAX_STEP_MS);
    this.#seenAt = now;
    return this.isTooLong;
  }
}
