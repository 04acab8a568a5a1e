import type { StartTimings } from "./session.ts";

/** Measures the phases of one start by the clock that nobody sets. */
export class StartPhases {
  readonly timings: StartTimings = {
    processMs: null,
    fromPool: null,
    connectMs: null,
    loadMs: null,
    enterMs: null,
    listenMs: null,
  };
  #since = performance.now();

  hasProcess(fromPool: boolean): void {
    this.timings.fromPool = fromPool;
    this.timings.processMs = this.#lap();
  }

  connected(): void {
    this.timings.connectMs = this.#lap();
  }

  /** What the replica itself has measured is part of the time since it connected; the rest is what it waited for to listen, and the way of its words. */
  ready({ loadMs, enterMs }: { loadMs: number; enterMs: number }): void {
    const { timings } = this;
    timings.loadMs = tenths(Math.max(0, loadMs));
    timings.enterMs = tenths(Math.max(0, enterMs));
    timings.listenMs = tenths(Math.max(0, this.#lap() - timings.loadMs - timings.enterMs));
  }

  #lap(): number {
    const now = performance.now();
    const lap = now - this.#since;
    this.#since = now;
    return tenths(lap);
  }
}

const tenths = (ms: number): number => Math.round(ms * 10) / 10;
