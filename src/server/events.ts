import { FUNCTION_DEFAULTS } from "../protocol/defaults.ts";
import type { JobEvent, WatchEvent } from "../protocol/event.ts";
import { Channel, type Watcher } from "./events/channel.ts";
import { type WatchParams, watchJob } from "./events/watch.ts";
import { EventWriter } from "./events/writer.ts";
import type { EventBatch, JobRecord, Store } from "./store/store.ts";

export type { WatchParams } from "./events/watch.ts";

export interface EventLogParams {
  store: Pick<Store, "eventAppend" | "eventRange" | "jobGet">;
  /** A pino logger fits. */
  log: { warn(fields: object, message: string): void };
  /** Milliseconds since 1970; the clock unless given. */
  now?: () => number;
}

/**
 * The logs of all jobs: what attempts log goes to the writer, and what the store has committed, by the writer or by the verbs that
 * change a job, goes to the channels of the jobs that are being watched.
 *
 *   open --stop--> stopped     what waits is written, then the watchers end
 */
export class EventLog {
  readonly #store: EventLogParams["store"];
  readonly #writer: EventWriter;
  readonly #channels = new Map<number, Channel>();
  #stopped = false;

  constructor(p: EventLogParams) {
    this.#store = p.store;
    const onStored = (job: number, events: JobEvent[]) => this.#channels.get(job)?.push(events);
    this.#writer = new EventWriter({ store: p.store, log: p.log, now: p.now ?? Date.now, onStored });
  }

  /** Queues events for the log: returns at once, never throws; order within a job is kept. */
  append(batch: EventBatch, eventsWindow: number = FUNCTION_DEFAULTS.eventsWindow): void {
    this.#writer.append(batch, eventsWindow);
  }

  /** Resolves once all that was appended for the job is committed (or dropped). Call before `jobFinish`. */
  flush(job: number): Promise<void> {
    return this.#writer.flush(job);
  }

  /** Hands watchers the events that a verb of the store has committed (JobChange.events). A missed id is read from the store. */
  publish(job: number, events: JobEvent[]): void {
    this.#channels.get(job)?.push(events);
    if (events.some(({ event }) => event === "job.end" || event === "job.retrying")) this.#writer.forget(job);
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
    await this.#writer.stop();
    this.#stopped = true;
    for (const channel of this.#channels.values()) channel.wakeAll();
  }

  #channelOf(job: number): Channel {
    const channel = this.#channels.get(job) ?? new Channel();
    this.#channels.set(job, channel);
    return channel;
  }
}

/** The `job.running` event that a claim logged, for publish(). */
export function runningEvent(record: JobRecord): JobEvent {
  const data = { attempt: record.attempt, replica_id: record.replica ?? "" };
  return { id: record.lastEvent, event: "job.running", data };
}
