import { SERVER_DEFAULTS } from "../../protocol/defaults.ts";

const SECOND_MS = 1000;
/** One place in a second is kept for the last report of a job. */
const PLACES = SERVER_DEFAULTS.progressPerSecond - 1;
const GAP_MS = Math.ceil(SECOND_MS / PLACES);

/**
 * When a job's progress may be stored: evenly spread, and in any second at most `progressPerSecond` times over all of the job's attempts, its very
 * last report included, which always may.
 */
export class ProgressLimit {
  /** Of the newest, ascending. */
  #times: number[] = [];

  /** `over`: what is over with this report; an attempt's last need not wait for its turn. */
  allows(now: number, over: "attempt" | "job" | null): boolean {
    if (over === "job") return true;
    const last = this.#times.at(-1) ?? Number.NEGATIVE_INFINITY;
    // A clock that was set back is no reason to wait for the old time.
    if (now < last) this.#times = [];
    else if (over === null && now - last < GAP_MS) return false;
    return this.#times.length < PLACES || now - (this.#times[0] as number) >= SECOND_MS;
  }

  stored(now: number): void {
    this.#times.push(now);
    if (this.#times.length > PLACES) this.#times.shift();
  }

  isIdle(now: number): boolean {
    return now - (this.#times.at(-1) ?? Number.NEGATIVE_INFINITY) >= SECOND_MS;
  }
}
