import type { Store } from "../store/store.ts";
import type { Channel } from "./channel.ts";

export interface TailsParams {
  store: Pick<Store, "eventRange">;
  log: { warn(fields: object, message: string): void };
  /** Of the jobs that are being watched. */
  channels: ReadonlyMap<number, Channel>;
  /** Null: nobody else writes to the store. */
  pollMs: number | null;
}

const PAGE_EVENTS = 200;
/** Logs that are read at a time. */
const MAX_READS = 4;

/**
 * Reads what other servers have added to the logs of watched jobs, one read for all watchers of a job.
 *
 *   quiet --grown()--> due --a read is free--> reading --nothing more--> quiet     grown() meanwhile: due again after it
 */
export class Tails {
  readonly #p: TailsParams;
  readonly #due = new Set<number>();
  readonly #reading = new Set<number>();
  #timer: NodeJS.Timeout | null = null;
  #stopped = false;

  constructor(p: TailsParams) {
    this.#p = p;
  }

  /** There are channels: they are polled until there are none. */
  start(): void {
    if (this.#p.pollMs === null || this.#timer !== null || this.#stopped) return;
    this.#timer = setInterval(() => this.#poll(), this.#p.pollMs).unref();
  }

  stop(): void {
    this.#stopped = true;
    this.#due.clear();
    this.#endPolling();
  }

  grown(job: number): void {
    if (this.#stopped || !this.#p.channels.has(job)) return;
    this.#due.add(job);
    this.#readDue();
  }

  all(): void {
    for (const job of this.#p.channels.keys()) this.grown(job);
  }

  /** A channel that something came to since the last time needs no poll. */
  #poll(): void {
    if (this.#p.channels.size === 0) this.#endPolling();
    for (const [job, channel] of this.#p.channels) {
      if (!channel.isFresh) this.grown(job);
      channel.isFresh = false;
    }
  }

  #endPolling(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  #readDue(): void {
    for (const job of this.#due) {
      if (this.#reading.size >= MAX_READS) return;
      if (this.#reading.has(job)) continue;
      this.#due.delete(job);
      this.#reading.add(job);
      void this.#read(job).finally(() => {
        this.#reading.delete(job);
        this.#readDue();
      });
    }
  }

  async #read(job: number): Promise<void> {
    try {
      let isLast = false;
      while (!isLast && !this.#stopped) isLast = await this.#readPage(job);
    } catch (error) {
      this.#p.log.warn(
        { job, err: error },
        "the log of a watched job could not be read; tried again with the next poll",
      );
    }
  }

  /** True where there is no more. */
  async #readPage(job: number): Promise<boolean> {
    const channel = this.#p.channels.get(job);
    if (channel === undefined) return true;
    const after = channel.known;
    const range = after === null ? null : await this.#p.store.eventRange({ job, after, limit: PAGE_EVENTS });
    if (range === null) {
      // The job is gone, or its watchers are at their first reads, which may have come too early: each looks for itself.
      channel.clear();
      channel.wakeAll();
      return true;
    }
    channel.push(range.events);
    return range.events.length < PAGE_EVENTS;
  }
}
