import type { NewJobEvent } from "../../protocol/event.ts";
import { ProgressLimit } from "./progress-limit.ts";

/** What waits for the store in memory at most, whatever the window. */
const MAX_BYTES = 4 * 1024 * 1024;

/** How much of the newest of a job's log is kept: whichever limit is reached first. */
export interface EventWindow {
  events: number;
  bytes: number;
}

const REASONS = {
  rate: "they came faster than they could be stored",
  storage_full: "the server's disk was full",
  failed: "the server could not store them",
} as const;
type Reason = keyof typeof REASONS;

/** How many events a line stands for that tells of lost ones. */
const lostBy = new WeakMap<NewJobEvent, number>();

/**
 * What one attempt wants logged and the store has not got yet: at most as much as the job's window keeps, since the store would
 * prune the rest at once. Older output gives way to newer, before it has numbers, and in its place a line tells how much is missing:
 * the lines that are stored and what those lines count are together all that was logged.
 */
export class EventBuffer {
  readonly job: number;
  readonly fence: number;
  /** Output of a generator has been added: what it yields must reach the store in order. */
  hasChunks = false;
  readonly #window: number;
  readonly #maxBytes: number;
  readonly #limit: ProgressLimit;
  #events: NewJobEvent[] = [];
  #bytes = 0;
  #held: NewJobEvent | null = null;
  /** Lost before all that waits here. */
  #dropped = 0;
  #reason: Reason = "rate";

  constructor(job: number, fence: number, window: EventWindow, limit = new ProgressLimit()) {
    this.job = job;
    this.fence = fence;
    this.#window = Math.max(1, window.events);
    this.#maxBytes = Math.min(MAX_BYTES, window.bytes);
    this.#limit = limit;
  }

  get isEmpty(): boolean {
    return this.#events.length === 0 && this.#held === null;
  }

  get hasDropped(): boolean {
    return this.#dropped > 0;
  }

  /** `dropped`: how many before these were lost on their way here. */
  add(events: NewJobEvent[], now: number, dropped = 0): void {
    if (dropped > 0) this.#lost(dropped, now);
    for (const event of events) {
      if (event.event !== "job.progress") this.#push(event);
      else this.#addProgress(event, now);
    }
  }

  /** Takes what is to be stored now; the progress that waits for its turn as well, where that or all is over. */
  take(now: number, over: "attempt" | "job" | null): NewJobEvent[] {
    if (this.#held !== null && this.#limit.allows(now, over)) this.#pushProgress(this.#held, now);
    if (this.#events.length === 0) return [];
    this.#trim();
    const events = this.#dropped > 0 ? [marker(this.#dropped, this.#reason, now), ...this.#events] : this.#events;
    this.#events = [];
    this.#bytes = 0;
    this.#dropped = 0;
    return events;
  }

  /** The store could not take these, which were taken last. They wait for the next try: as many as the window keeps. */
  refuse(taken: NewJobEvent[], reason: Reason, now: number): void {
    const [first, ...rest] = taken;
    const told = first === undefined ? undefined : lostBy.get(first);
    // What was lost since stands between them and what waits now.
    const since = this.#dropped > 0 ? [marker(this.#dropped, this.#reason, now)] : [];
    this.#events = [...(told === undefined ? taken : rest), ...since, ...this.#events];
    this.#bytes = this.#events.reduce((sum, event) => sum + eventBytes(event), 0);
    this.#dropped = told ?? 0;
    this.#trim(reason);
  }

  #lost(count: number, now: number): void {
    if (this.#events.length === 0) {
      this.#dropped += count;
      this.#reason = "rate";
    } else this.#push(marker(count, "rate", now));
  }

  #addProgress(event: NewJobEvent, now: number): void {
    if (this.#limit.allows(now, null)) this.#pushProgress(event, now);
    else this.#held = event;
  }

  #pushProgress(event: NewJobEvent, now: number): void {
    this.#held = null;
    this.#limit.stored(now);
    this.#push(event);
  }

  #push(event: NewJobEvent): void {
    if (event.event === "job.chunk") this.hasChunks = true;
    this.#events.push(event);
    this.#bytes += eventBytes(event);
    // Trimmed only when twice too long, so that the cost for each event stays even.
    if (this.#events.length > 2 * this.#window || this.#bytes > 2 * this.#maxBytes) this.#trim();
  }

  #trim(reason: Reason = "rate"): void {
    if (this.#events.length <= this.#window && this.#bytes <= this.#maxBytes) return;
    const before = this.#dropped;
    // One place is left for the line that tells of the loss.
    const room = Math.max(1, this.#window - 1);
    for (const logsOnly of [true, false]) this.#drop(room, logsOnly);
    if (this.#dropped > before) this.#reason = reason;
  }

  /** Drops the oldest until the rest fits; never the newest event, nor the newest progress. */
  #drop(room: number, logsOnly: boolean): void {
    const newest = this.#events.length - 1;
    const progress = this.#events.findLastIndex(({ event }) => event === "job.progress");
    let length = this.#events.length;
    this.#events = this.#events.filter((event, index) => {
      if (length <= room && this.#bytes <= this.#maxBytes) return true;
      if (index === newest || index === progress || (logsOnly && event.event !== "job.log")) return true;
      length--;
      this.#bytes -= eventBytes(event);
      this.#dropped += lostBy.get(event) ?? 1;
      return false;
    });
  }
}

function marker(dropped: number, reason: Reason, now: number): NewJobEvent {
  const line = `[athanor] ${dropped} earlier events of this job were dropped: ${REASONS[reason]}`;
  const event: NewJobEvent = { event: "job.log", data: { stream: "stderr", line, at: new Date(now).toISOString() } };
  lostBy.set(event, dropped);
  return event;
}

/** About how much memory and disk an event takes. */
export function eventBytes(event: NewJobEvent): number {
  const overhead = 100;
  if (event.event === "job.log") return overhead + event.data.line.length;
  if (event.event === "job.chunk" || event.event === "job.result") return overhead + valueBytes(event.data.value);
  return overhead;
}

function valueBytes(value: unknown): number {
  return typeof value === "string" ? value.length : JSON.stringify(value).length;
}
