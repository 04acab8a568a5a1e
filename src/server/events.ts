import { FUNCTION_DEFAULTS } from "../protocol/defaults.ts";
import { AthanorError } from "../protocol/errors.ts";
import type { JobEvent, NewJobEvent, WatchEvent } from "../protocol/event.ts";
import { EventBuffer } from "./events/buffer.ts";
import { Channel, type Watcher } from "./events/channel.ts";
import { type WatchParams, watchJob } from "./events/watch.ts";
import type { EventBatch, JobRecord, Store } from "./store/store.ts";

export type { WatchParams } from "./events/watch.ts";

export interface EventLogParams {
  store: Pick<Store, "eventAppend" | "eventRange" | "jobGet">;
  /** A pino logger fits. */
  log: { warn(fields: object, message: string): void };
  /** Milliseconds since 1970; the clock unless given. */
  now?: () => number;
}

/** The least time between two writes of many jobs' events; the first after a pause does not wait. */
const WRITE_GAP_MS = 20;
/** Time between writes in terms of the last one's length, so that a flood of output leaves the thread to others. */
const WRITE_GAP_FACTOR = 4;
const MAX_EVENTS_A_WRITE = 2000;
/** After the store had no room. */
const RETRY_GAP_MS = 1000;

interface Taken {
  buffer: EventBuffer;
  events: NewJobEvent[];
}

/**
 * The logs of all jobs: takes what attempts log, writes it in batches, and shows it to watchers.
 *
 *   idle      --append--> scheduled          by setImmediate, or a timer where the last write was a moment ago
 *   scheduled --due-->    writing            everything that waits, up to a limit, in one verb of the store
 *   writing   --done-->   idle | scheduled   the latter where more has come, or a progress waits for its turn
 *   any       --stop-->   stopped            what waits is written first, then the watchers end
 */
export class EventLog {
  readonly #store: EventLogParams["store"];
  readonly #log: EventLogParams["log"];
  readonly #now: () => number;
  /** By job; of the attempt that appended last. */
  readonly #buffers = new Map<number, EventBuffer>();
  readonly #dirty = new Set<EventBuffer>();
  readonly #channels = new Map<number, Channel>();
  #timer: NodeJS.Timeout | NodeJS.Immediate | null = null;
  #writing: Promise<void> = Promise.resolve();
  #isWriting = false;
  #nextWriteAt = 0;
  #stopped = false;

  constructor(p: EventLogParams) {
    this.#store = p.store;
    this.#log = p.log;
    this.#now = p.now ?? Date.now;
  }

  /** Queues events for the log: returns at once, never throws; order within a job is kept. */
  append(batch: EventBatch, eventsWindow: number = FUNCTION_DEFAULTS.eventsWindow): void {
    if (this.#stopped || batch.events.length === 0) return;
    const buffer = this.#bufferOf(batch, eventsWindow);
    if (buffer === null) return;
    buffer.add(batch.events, this.#now());
    this.#dirty.add(buffer);
    this.#schedule();
  }

  /** Resolves once all that was appended for the job is committed (or dropped). Call before `jobFinish`. */
  async flush(job: number): Promise<void> {
    const buffer = this.#buffers.get(job);
    const taken = buffer === undefined ? [] : this.#take([buffer], true);
    // The store keeps the order of verbs, so the write under way is done when this one is.
    if (taken.length > 0) await this.#write(taken);
    else await this.#writing;
    if (buffer?.isEmpty && !buffer.hasDropped) this.#forget(buffer);
  }

  /** Hands watchers the events that a verb of the store has committed (JobChange.events). A missed id is read from the store. */
  publish(job: number, events: JobEvent[]): void {
    this.#channels.get(job)?.push(events);
    const over = events.some(({ event }) => event === "job.end" || event === "job.retrying");
    const buffer = this.#buffers.get(job);
    if (over && buffer !== undefined) this.#forget(buffer);
  }

  /** Makes every watcher look at the store again; after deleting an app or jobs. */
  refresh(): void {
    for (const channel of this.#channels.values()) {
      channel.clear();
      channel.wakeAll();
    }
  }

  /**
   * Events from the cursor on, then live ones; returns after `job.end` or when the signal aborts, and throws `job_not_found` where the job
   * is absent or gets deleted. It holds no queue for the watcher: one that is slow reads on from the store, and is sent `stream.reset`
   * where the window has passed its cursor (`after < earliest - 1`). A cursor beyond the newest event waits, or, where the job has ended,
   * gets `job.result` and `job.end`; a cursor at the end of an ended job gets nothing. Events are shared between watchers: don't change them.
   */
  async *watch(p: WatchParams): AsyncGenerator<WatchEvent> {
    const channel = this.#channelOf(p.job);
    const watcher: Watcher = { wake: null };
    const wake = () => watcher.wake?.();
    channel.watchers.add(watcher);
    p.signal.addEventListener("abort", wake);
    try {
      yield* watchJob(p, { store: this.#store, channel, watcher, stopped: () => this.#stopped || p.signal.aborted });
    } finally {
      p.signal.removeEventListener("abort", wake);
      channel.watchers.delete(watcher);
      if (channel.watchers.size === 0 && this.#channels.get(p.job) === channel) this.#channels.delete(p.job);
    }
  }

  /** Writes what is pending and ends all watchers; may be called again. */
  async stop(): Promise<void> {
    if (this.#stopped) return this.#writing;
    this.#cancelTimer();
    await this.#writing;
    await this.#write(this.#take([...this.#dirty], true));
    this.#stopped = true;
    this.#cancelTimer();
    await this.#writing;
    for (const channel of this.#channels.values()) channel.wakeAll();
  }

  /** Null for a batch of an attempt that a later one has followed. */
  #bufferOf({ job, fence }: EventBatch, window: number): EventBuffer | null {
    const present = this.#buffers.get(job);
    if (present !== undefined && present.fence === fence) return present;
    if (present !== undefined && present.fence > fence) return null;
    if (present !== undefined) this.#dirty.delete(present);
    const buffer = new EventBuffer(job, fence, window);
    this.#buffers.set(job, buffer);
    return buffer;
  }

  #channelOf(job: number): Channel {
    const channel = this.#channels.get(job) ?? new Channel();
    this.#channels.set(job, channel);
    return channel;
  }

  #schedule(): void {
    if (this.#timer !== null || this.#isWriting || this.#dirty.size === 0 || this.#stopped) return;
    const waitMs = this.#nextWriteAt - performance.now();
    const run = () => {
      this.#timer = null;
      this.#writing = this.#writeDue();
    };
    this.#timer = waitMs > 0 ? setTimeout(run, waitMs) : setImmediate(run);
  }

  #cancelTimer(): void {
    if (this.#timer === null) return;
    clearTimeout(this.#timer as NodeJS.Timeout);
    clearImmediate(this.#timer as NodeJS.Immediate);
    this.#timer = null;
  }

  async #writeDue(): Promise<void> {
    this.#isWriting = true;
    const started = performance.now();
    await this.#write(this.#take(this.#dirty, false));
    const ended = performance.now();
    const gapMs = Math.max(WRITE_GAP_MS, (ended - started) * WRITE_GAP_FACTOR);
    this.#nextWriteAt = Math.max(this.#nextWriteAt, ended + gapMs);
    this.#isWriting = false;
    this.#schedule();
  }

  #take(buffers: Iterable<EventBuffer>, all: boolean): Taken[] {
    const taken: Taken[] = [];
    let count = 0;
    for (const buffer of [...buffers]) {
      if (!all && count >= MAX_EVENTS_A_WRITE) break;
      const events = buffer.take(this.#now(), all);
      if (events.length > 0) taken.push({ buffer, events });
      count += events.length;
      this.#dirty.delete(buffer);
      // To the end of the line, where a progress waits for its turn.
      if (!buffer.isEmpty) this.#dirty.add(buffer);
    }
    return taken;
  }

  async #write(taken: Taken[]): Promise<void> {
    if (taken.length === 0) return;
    const batches = taken.map(({ buffer, events }) => ({ job: buffer.job, fence: buffer.fence, events }));
    try {
      const stored = await this.#store.eventAppend({ batches, now: this.#now() });
      for (const [index, { buffer }] of taken.entries()) this.#written(buffer, stored[index] ?? []);
    } catch (error) {
      this.#refused(taken, error);
    }
  }

  #written(buffer: EventBuffer, events: JobEvent[]): void {
    if (events.length > 0) this.#channels.get(buffer.job)?.push(events);
    // The store takes nothing of an attempt that is over.
    else this.#forget(buffer);
  }

  #refused(taken: Taken[], error: unknown): void {
    const count = taken.reduce((sum, { events }) => sum + events.length, 0);
    const reason = error instanceof AthanorError && error.code === "storage_full" ? "storage_full" : "failed";
    this.#log.warn(
      { err: error, events: count, jobs: taken.length },
      "events of jobs could not be stored and were dropped",
    );
    for (const { buffer, events } of taken) {
      buffer.refuse(events, reason);
      if (!buffer.isEmpty && this.#buffers.get(buffer.job) === buffer) this.#dirty.add(buffer);
    }
    this.#nextWriteAt = performance.now() + RETRY_GAP_MS;
  }

  #forget(buffer: EventBuffer): void {
    this.#dirty.delete(buffer);
    if (this.#buffers.get(buffer.job) === buffer) this.#buffers.delete(buffer.job);
  }
}

/** The `job.running` event that a claim logged, for publish(). */
export function runningEvent(record: JobRecord): JobEvent {
  const data = { attempt: record.attempt, replica_id: record.replica ?? "" };
  return { id: record.lastEvent, event: "job.running", data };
}
