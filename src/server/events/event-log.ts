import { FUNCTION_DEFAULTS, SERVER_DEFAULTS } from "../../protocol/defaults.ts";
import type { JobEvent } from "../../protocol/event.ts";
import type { EventBatch, JobRecord, Store, StoreSignal } from "../store/store.ts";
import type { EventWindow } from "./buffer.ts";
import { Channel } from "./channel.ts";
import { Holds } from "./holds.ts";
import { Tails } from "./tails.ts";
import { JobWatch, type WatchParams, type WatchSource } from "./watch.ts";
import { EventWriter } from "./writer.ts";

export type { WatchParams } from "./watch.ts";

export interface EventLogParams {
  store: Pick<Store, "eventAppend" | "eventRange" | "jobGet" | "shared">;
  /** A pino logger fits. */
  log: { warn(fields: object, message: string): void };
  /** Milliseconds since 1970; the clock unless given. */
  now?: () => number;
  /** Default SERVER_DEFAULTS.eventPollMs; of a shared store only. */
  pollMs?: number;
}

const DEFAULT_WINDOW: EventWindow = {
  events: FUNCTION_DEFAULTS.eventsWindow,
  bytes: FUNCTION_DEFAULTS.eventsWindowBytes,
};

/**
 * The logs of all jobs: what attempts log goes to the writer, and what the store has committed, by the writer or by the verbs that
 * change a job, goes to the channels of the jobs that are being watched. What other servers have logged is read when the store tells of
 * it, once for all watchers of a job; and in case it is not told, every now and then.
 *
 *   open --stop--> stopped     what waits is written, then the watchers end
 */
export class EventLog {
  readonly #writer: EventWriter;
  readonly #channels = new Map<number, Channel>();
  readonly #tails: Tails;
  readonly #holds = new Holds();
  /** The same for all watchers. */
  readonly #source: WatchSource;

  constructor(p: EventLogParams) {
    this.#source = { store: p.store, leave: (watch) => this.#left(watch) };
    const onStored = (job: number, events: JobEvent[]) => this.#channels.get(job)?.push(events);
    this.#writer = new EventWriter({ store: p.store, log: p.log, now: p.now ?? Date.now, onStored });
    const pollMs = p.store.shared ? (p.pollMs ?? SERVER_DEFAULTS.eventPollMs) : null;
    this.#tails = new Tails({ store: p.store, log: p.log, channels: this.#channels, pollMs });
  }

  /** Queues events for the log: returns at once, never throws; order within a job is kept. `dropped`: how many before these are lost already. */
  append(batch: EventBatch, window: EventWindow = DEFAULT_WINDOW, dropped = 0): void {
    this.#writer.append(batch, window, dropped);
  }

  /**
   * Resolves once all that was appended for the job is committed, but for a progress that waits for its turn, unless the attempt or the job is
   * over. Rejects where the store cannot take it, which is then tried again. Call before `jobFinish`.
   */
  flush(job: number, over: "attempt" | "job" | null = null): Promise<void> {
    return this.#writer.flush(job, over);
  }

  /** Hands watchers the events that a verb of the store has committed (JobChange.events). A missed id is read from the store. */
  publish(job: number, events: JobEvent[]): void {
    this.#channels.get(job)?.push(events);
    if (events.some(({ event }) => event === "job.end")) this.#writer.forget(job, "job");
    else if (events.some(({ event }) => event === "job.retrying")) this.#writer.forget(job, "attempt");
  }

  /** What another server has done to the store. */
  signalled(signal: StoreSignal): void {
    if (signal.type === "events" || signal.type === "job") this.#tails.grown(signal.job);
    else if (signal.type === "missed") this.#tails.all();
  }

  /** Makes every watcher look at the store again; after deleting an app or jobs. */
  refresh(): void {
    for (const channel of this.#channels.values()) {
      channel.clear();
      channel.wakeAll();
    }
  }

  /**
   * Events from the cursor on, then live ones; over after `job.end`, and with the error `job_not_found` where the job is absent or gets
   * deleted. `stream.reset` comes where the window has passed the cursor (`after < earliest - 1`). A cursor beyond the newest event waits,
   * or, where the job has ended, gets `job.result` and `job.end`; a cursor at the end of an ended job gets nothing. Close it in the end.
   */
  watch(p: WatchParams, wake: () => void): JobWatch {
    const channel = this.#channels.get(p.job) ?? new Channel();
    this.#channels.set(p.job, channel);
    const reader = p.hold === true ? this.#holds.join(p.job) : null;
    const watch = new JobWatch(p, this.#source, { channel, reader }, wake);
    channel.watchers.add(watch);
    this.#tails.start();
    return watch;
  }

  /** A watcher that holds the job will come in a moment. */
  expectReader(job: number): void {
    this.#holds.expect(job);
  }

  /** A chunk of the job was stored: resolves once the watchers that hold it are near enough for the next, or with `over`; null: at once. */
  roomForChunk(
    job: number,
    chunk: { index: number; bytes: number },
    window: EventWindow,
    over: Promise<void>,
  ): Promise<void> | null {
    return this.#holds.room(job, chunk, window, over);
  }

  /** Jobs that are being watched. */
  get watchedJobs(): number {
    return this.#channels.size;
  }

  /** Writes what is pending and ends all watchers; may be called again. */
  async stop(): Promise<void> {
    await this.#writer.stop();
    this.#tails.stop();
    for (const { watchers } of [...this.#channels.values()]) {
      for (const watch of [...watchers]) {
        watch.close();
        watch.wake();
      }
    }
  }

  #left(watch: JobWatch): void {
    const { job, channel } = watch;
    channel.watchers.delete(watch);
    if (channel.watchers.size === 0 && this.#channels.get(job) === channel) this.#channels.delete(job);
  }
}

/** The `job.running` event that a claim logged, for publish(). */
export function runningEvent(record: JobRecord): JobEvent {
  const data = { attempt: record.attempt, replica_id: record.replica ?? "" };
  return { id: record.lastEvent, event: "job.running", data };
}
