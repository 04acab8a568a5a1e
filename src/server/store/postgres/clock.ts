import { POSTGRES_DEFAULTS } from "../../../protocol/defaults.ts";
import type { Database } from "./database.ts";

const SAMPLES = 3;

/**
 * The database's clock, which all servers of the store agree on, told without asking it each time: its reading at one moment, and what this
 * process's monotonic clock has counted since. So it does not matter what time of day the machine believes it is. It never goes back.
 */
export class DatabaseClock {
  readonly #db: Database;
  /** The database's time when performance.now() was 0. */
  #origin = 0;
  #told = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(db: Database) {
    this.#db = db;
  }

  async start(): Promise<void> {
    await this.#sync();
    this.#timer = setInterval(() => {
      // The last reading still holds; the next attempt comes soon.
      this.#sync().catch(() => {});
    }, POSTGRES_DEFAULTS.clockSyncMs);
    this.#timer.unref();
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
  }

  now(): number {
    this.#told = Math.max(this.#told, Math.floor(this.#origin + performance.now()));
    return this.#told;
  }

  /** The reading that took the shortest is nearest to the truth. */
  async #sync(): Promise<void> {
    let best = { tookMs: Number.POSITIVE_INFINITY, origin: this.#origin };
    for (let i = 0; i < SAMPLES; i++) {
      const startedAt = performance.now();
      const row = await this.#db.get<{ now: string }>("clockRead");
      const tookMs = performance.now() - startedAt;
      if (tookMs < best.tookMs) best = { tookMs, origin: Number(row?.now) - (startedAt + tookMs / 2) };
    }
    this.#origin = best.origin;
  }
}
