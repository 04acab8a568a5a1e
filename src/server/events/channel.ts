import { SERVER_DEFAULTS } from "../../protocol/defaults.ts";
import type { JobEvent } from "../../protocol/event.ts";
import { eventBytes } from "./buffer.ts";

const MAX_EVENTS = SERVER_DEFAULTS.watcherBufferEvents;
const MAX_BYTES = SERVER_DEFAULTS.watcherBufferBytes;
/** So long watchers are woken at a stretch; the others follow after what else waits for the thread. */
const WAKE_MS = 4;
const WAKE_BATCH = 64;

/** One watcher of a channel: no queue of its own, only a way to make it look again. */
export interface Watcher {
  wake(): void;
  close(): void;
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
  /** The newest id that the log is known to have; null: nobody has read to its end yet. */
  known: number | null = null;
  /** Something was pushed since this was last set to false. */
  isFresh = false;
  /** Ids without a gap, ascending. */
  #events: JobEvent[] = [];
  #bytes = 0;
  #waking = false;
  #wakeAgain = false;

  /** Takes what the store has committed, in any order and overlap; a gap empties the channel down to what is newest. */
  push(events: readonly JobEvent[]): void {
    const { latest } = this;
    const fresh = (events[0]?.id ?? 0) > latest ? events : events.filter(({ id }) => id > latest);
    const first = fresh[0];
    if (first === undefined) return;
    if (this.#events.length > 0 && first.id !== latest + 1) this.clear();
    for (const event of fresh) {
      this.#events.push(event);
      this.#bytes += eventBytes(event);
    }
    this.known = Math.max(this.known ?? 0, this.latest);
    this.isFresh = true;
    this.#trim();
    this.wakeAll();
  }

  /** Fills an empty channel with the end of the log as read from the store, for the watchers that come next. */
  seed(events: readonly JobEvent[], latest: number): void {
    this.known = Math.max(this.known ?? 0, latest);
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
    this.known = null;
    this.#events = [];
    this.#bytes = 0;
  }

  /** Many are woken in stretches. Nothing is lost by that: a watcher that is woken late finds here what has come since. */
  wakeAll(): void {
    if (this.#waking) {
      this.#wakeAgain = true;
      return;
    }
    this.#waking = true;
    this.#wake(this.watchers.values());
  }

  #wake(rest: Iterator<Watcher>): void {
    const until = performance.now() + WAKE_MS;
    for (let woken = 1; ; woken++) {
      const { value, done } = rest.next();
      if (done) break;
      value.wake();
      if (woken % WAKE_BATCH > 0 || performance.now() < until) continue;
      setImmediate(() => this.#wake(rest));
      return;
    }
    this.#waking = false;
    if (!this.#wakeAgain) return;
    this.#wakeAgain = false;
    this.wakeAll();
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
