import type { NewJobEvent } from "../../protocol/event.ts";

/** A job's progress is stored at most this often; the newest report waits for its turn. */
export const PROGRESS_GAP_MS = 50;
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

/**
 * What one attempt wants logged and the store has not got yet: at most as much as the job's window keeps, since the store would
 * prune the rest at once. Older output gives way to newer, before it has numbers, and one line tells how much is missing.
 */
export class EventBuffer {
  readonly job: number;
  readonly fence: number;
  /** Output of a generator has been added: what it yields must reach the store in order. */
  hasChunks = false;
  readonly #window: number;
  readonly #maxBytes: number;
  #events: NewJobEvent[] = [];
  #bytes = 0;
  #held: NewJobEvent | null = null;
  #progressAt = Number.NEGATIVE_INFINITY;
  #dropped = 0;
  /** How many the line told of that was taken last. */
  #told = 0;
  #reason: Reason = "rate";

  constructor(job: number, fence: number, window: EventWindow) {
    this.job = job;
    this.fence = fence;
    this.#window = Math.max(1, window.events);
    this.#maxBytes = Math.min(MAX_BYTES, window.bytes);
  }

  get isEmpty(): boolean {
    return this.#events.length === 0 && this.#held === null;
  }

  get hasDropped(): boolean {
    return this.#dropped > 0;
  }

  add(events: NewJobEvent[], now: number): void {
    for (const event of events) {
      if (event.event !== "job.progress") this.#push(event);
      else this.#addProgress(event, now);
    }
  }

  /** Takes what is to be stored now; `all`: the progress that waits for its turn as well. */
  take(now: number, all: boolean): NewJobEvent[] {
    if (this.#held !== null && (all || now - this.#progressAt >= PROGRESS_GAP_MS)) {
      const held = this.#held;
      this.#held = null;
      this.#progressAt = now;
      this.#push(held);
    }
    if (this.#events.length === 0) return [];
    this.#trim(this.#window);
    const events = this.#dropped > 0 ? [this.#marker(now), ...this.#events] : this.#events;
    this.#events = [];
    this.#bytes = 0;
    this.#told = this.#dropped;
    this.#dropped = 0;
    return events;
  }

  /** The store could not take these, which were taken last. They wait for the next try: as many as the window keeps. */
  refuse(taken: NewJobEvent[], reason: Reason): void {
    const events = this.#told > 0 ? taken.slice(1) : taken;
    this.#dropped += this.#told;
    this.#told = 0;
    this.#events = [...events, ...this.#events];
    for (const event of events) this.#bytes += eventBytes(event);
    const before = this.#dropped;
    this.#trim(this.#window);
    if (this.#dropped > before) this.#reason = reason;
  }

  #addProgress(event: NewJobEvent, now: number): void {
    if (now - this.#progressAt < PROGRESS_GAP_MS) {
      this.#held = event;
      return;
    }
    this.#held = null;
    this.#progressAt = now;
    this.#push(event);
  }

  #push(event: NewJobEvent): void {
    if (event.event === "job.chunk") this.hasChunks = true;
    this.#events.push(event);
    this.#bytes += eventBytes(event);
    // Trimmed only when twice too long, so that the cost for each event stays even.
    if (this.#events.length > 2 * this.#window || this.#bytes > 2 * this.#maxBytes) this.#trim(this.#window);
  }

  #trim(window: number): void {
    if (this.#events.length <= window && this.#bytes <= this.#maxBytes) return;
    // One place is left for the line that tells of the loss.
    const room = Math.max(1, window - 1);
    const before = this.#events.length;
    for (const logsOnly of [true, false]) this.#drop(room, logsOnly);
    this.#dropped += before - this.#events.length;
    if (before > this.#events.length) this.#reason = "rate";
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
      return false;
    });
  }

  #marker(now: number): NewJobEvent {
    const line = `[athanor] ${this.#dropped} earlier events of this job were dropped: ${REASONS[this.#reason]}`;
    return { event: "job.log", data: { stream: "stderr", line, at: new Date(now).toISOString() } };
  }
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
