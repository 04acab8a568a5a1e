import { SERVER_DEFAULTS } from "../../protocol/defaults.ts";
import type { JobEvent } from "../../protocol/event.ts";
import { eventBytes } from "./buffer.ts";

const MAX_EVENTS = SERVER_DEFAULTS.watcherBufferEvents;
const MAX_BYTES = 4 * 1024 * 1024;

/** One watcher of a channel: no queue of its own, only a way to wake it. */
export interface Watcher {
  wake: (() => void) | null;
}

/**
 * The newest events of one watched job, shared by all its watchers, each of which is only a cursor into it. A watcher that falls
 * behind what is kept here reads the store. The events are handed out as the same objects to everyone, so that a frame encoded
 * for one can serve all (key it by the object).
 */
export class Channel {
  readonly watchers = new Set<Watcher>();
  /** Changes whenever what was here has been given up: every watcher must then read the store. */
  epoch = 0;
  /** Ids without a gap, ascending. */
  #events: JobEvent[] = [];
  #bytes = 0;

  /** Takes what the store has committed, in any order and overlap; a gap empties the channel down to what is newest. */
  push(events: readonly JobEvent[]): void {
    const fresh = events.filter(({ id }) => id > this.latest);
    const first = fresh[0];
    if (first === undefined) return;
    if (this.#events.length > 0 && first.id !== this.latest + 1) this.clear();
    for (const event of fresh) {
      this.#events.push(event);
      this.#bytes += eventBytes(event);
    }
    this.#trim();
    this.wakeAll();
  }

  /** Fills an empty channel with the end of the log as read from the store, for the watchers that come next. */
  seed(events: readonly JobEvent[]): void {
    if (this.#events.length === 0) this.push(events);
  }

  get latest(): number {
    return this.#events.at(-1)?.id ?? 0;
  }

  /** The id of `job.end` once it is here, else null. */
  get end(): number | null {
    const last = this.#events.at(-1);
    return last?.event === "job.end" ? last.id : null;
  }

  at(id: number): JobEvent | undefined {
    const first = this.#events[0];
    return first === undefined || id < first.id ? undefined : this.#events[id - first.id];
  }

  /** Whether what comes after the cursor is here or yet to come, so that nothing is missed by waiting. */
  covers(cursor: number): boolean {
    const first = this.#events[0];
    if (first === undefined || cursor < first.id - 1) return false;
    return this.end === null || cursor <= this.end;
  }

  clear(): void {
    this.epoch++;
    this.#events = [];
    this.#bytes = 0;
  }

  wakeAll(): void {
    for (const watcher of this.watchers) {
      const { wake } = watcher;
      watcher.wake = null;
      wake?.();
    }
  }

  #trim(): void {
    if (this.#events.length <= 2 * MAX_EVENTS && this.#bytes <= 2 * MAX_BYTES) return;
    let drop = Math.max(0, this.#events.length - MAX_EVENTS);
    for (const event of this.#events.slice(0, drop)) this.#bytes -= eventBytes(event);
    while (this.#bytes > MAX_BYTES && drop < this.#events.length - 1) {
      this.#bytes -= eventBytes(this.#events[drop] as JobEvent);
      drop++;
    }
    this.#events.splice(0, drop);
  }
}
