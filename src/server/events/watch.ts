import { AthanorError } from "../../protocol/errors.ts";
import { type JobEvent, type JobEventType, TERMINAL_EVENTS, type WatchEvent } from "../../protocol/event.ts";
import { isFinal } from "../../protocol/job.ts";
import { formatId } from "../../protocol/names.ts";
import type { JobJson } from "../../protocol/wire.ts";
import type { EventRange, JobRecord, Store } from "../store/store.ts";
import { eventBytes } from "./buffer.ts";
import type { Channel, Watcher } from "./channel.ts";
import type { ChunkReader } from "./holds.ts";

export interface WatchParams {
  job: number;
  /** The last event id that the watcher has; 0: none, from the first. Null: no cursor was given, the same as 0 but for snapshots. */
  after: number | null;
  /** First a `job.snapshot`, then, unless `after` is a number, only what comes after it. */
  snapshot: boolean;
  /** Only these types, and `job.end`, `job.snapshot` and `stream.reset` in any case; null: all. */
  only: ReadonlySet<JobEventType> | null;
  /** The job's function waits at its `yield` while this watcher is far behind. */
  hold?: boolean;
  toJson(record: JobRecord): Promise<JobJson>;
}

export interface WatchSource {
  store: Pick<Store, "eventRange" | "jobGet">;
  /** Called once, when it is over. */
  leave(watch: JobWatch): void;
}

/** What one read of the store brings a watcher at most; one event it always is. */
const PAGE_EVENTS = 200;
const PAGE_BYTES = 256 * 1024;

/** Most watchers have nothing at hand most of the time. */
const NOTHING: readonly WatchEvent[] = [];

/**
 * One watcher's way through a job's log. It is asked for the next event (`take`) and says when it is worth asking again (`wake`), so that
 * it holds no queue: whoever is slow asks seldom, and reads on from the store, where the window may have passed its cursor.
 *
 *   snapshot (when asked) -> backfill --read to the end of the log--> live
 *   live --the channel no longer has what comes next--> backfill
 *   any --job.end taken, close(), or a read that fails--> over
 *
 * The watcher joined the channel before its first read, so nothing committed in between is lost: at the cutover from backfill to live the
 * channel either goes on where the read stopped, or the store is read again.
 */
export class JobWatch implements Watcher {
  /** Why it is over before the log's end. */
  error: unknown = null;
  readonly wake: () => void;
  readonly channel: Channel;
  /** Null: it holds nothing. */
  readonly #reader: ChunkReader | null;
  readonly #p: WatchParams;
  readonly #source: WatchSource;
  #phase: "snapshot" | "backfill" | "live" | "over" = "backfill";
  /** The last event of the log that was taken or passed over. */
  #cursor: number;
  /** Read from the store and not taken yet. */
  #page: readonly WatchEvent[] = NOTHING;
  #next = 0;
  /** The page ends with the log. */
  #isLast = false;
  #limit = PAGE_EVENTS;
  #reading = false;
  /** The channel's, noted before a backfill: a change of it after that sends the watcher back to the store. */
  #epoch = -1;

  /** `wake` is called whenever there may be something to take, or it is over. */
  constructor(
    p: WatchParams,
    source: WatchSource,
    of: { channel: Channel; reader: ChunkReader | null },
    wake: () => void,
  ) {
    this.#p = p;
    this.#source = source;
    this.channel = of.channel;
    this.#reader = of.reader;
    this.wake = wake;
    this.#cursor = p.after ?? 0;
    if (p.snapshot) this.#phase = "snapshot";
  }

  get job(): number {
    return this.#p.job;
  }

  get over(): boolean {
    return this.#phase === "over";
  }

  /** It waits for the store: whether there is anything to take is not known yet. */
  get loading(): boolean {
    return this.#reading;
  }

  /** The id from which a watcher that has taken everything so far goes on; one of a filter may be beyond the last event that it was given. */
  get cursor(): number {
    return this.#cursor;
  }

  /** The next event; null: there is none now, or it is over. Events are shared between watchers: don't change them. */
  take(): WatchEvent | null {
    for (;;) {
      const event = this.#advance();
      if (event === null || this.#passes(event)) return event;
    }
  }

  /** Repeatable. */
  close(): void {
    if (this.#phase === "over") return;
    this.#phase = "over";
    this.#page = NOTHING;
    this.#reader?.leave();
    this.#source.leave(this);
  }

  #passes({ event }: WatchEvent): boolean {
    const { only } = this.#p;
    if (only === null || event === "job.snapshot" || event === "stream.reset" || event === "job.end") return true;
    return only.has(event);
  }

  #advance(): WatchEvent | null {
    for (;;) {
      if (this.#phase === "over" || this.#reading) return null;
      const event = this.#phase === "live" ? this.#fromChannel() : this.#fromPage();
      if (event === "moved on") continue;
      if (event !== null) this.#take(event);
      return event;
    }
  }

  #take(event: WatchEvent): void {
    if (event.event === "job.snapshot") return;
    this.#cursor = event.id;
    if (event.event === "job.chunk") this.#reader?.took(event.data.index);
    if (event.event === "job.end") this.close();
  }

  #fromPage(): WatchEvent | "moved on" | null {
    const event = this.#page[this.#next++];
    if (event !== undefined) return event;
    this.#page = NOTHING;
    this.#next = 0;
    if (this.#phase === "backfill" && (this.#isLast || this.channel.covers(this.#cursor))) {
      this.#isLast = false;
      if (this.#epoch < 0) this.#epoch = this.channel.epoch;
      this.#phase = "live";
      return "moved on";
    }
    this.#read();
    return null;
  }

  #fromChannel(): WatchEvent | "moved on" | null {
    const { channel } = this;
    const event = channel.at(this.#cursor + 1);
    if (event !== undefined) return event;
    if (channel.end === this.#cursor) {
      this.close();
      return null;
    }
    // An empty channel is one that nothing has been published to since the backfill.
    const isWhole = channel.epoch === this.#epoch && (channel.latest === 0 || channel.covers(this.#cursor));
    if (isWhole) {
      this.#reader?.caughtUp();
      return null;
    }
    this.#epoch = -1;
    this.#phase = "backfill";
    return "moved on";
  }

  #read(): void {
    this.#reading = true;
    if (this.#epoch < 0) this.#epoch = this.channel.epoch;
    const load = this.#phase === "snapshot" ? this.#loadSnapshot() : this.#loadPage();
    load
      .catch((error: unknown) => {
        if (!this.over) this.error = error;
        this.close();
      })
      .finally(() => {
        this.#reading = false;
        this.wake();
      });
  }

  /**
   * The job as of its newest event; of an ended job, as of the event before `job.result` and `job.end`, which follow. With a cursor the
   * id is never beyond it, so that ids ascend and a stream that is resumed from it misses nothing.
   */
  async #loadSnapshot(): Promise<void> {
    const { after, toJson } = this.#p;
    const record = await this.#record();
    const terminal = record.status === "succeeded" ? 2 : isFinal(record.status) ? 1 : 0;
    const id = after === null ? record.lastEvent - terminal : Math.min(after, record.lastEvent);
    const data = await toJson(record);
    if (this.over) return;
    this.#page = [{ id, event: "job.snapshot", data }];
    if (after === null) this.#cursor = id;
    this.#phase = "backfill";
  }

  async #loadPage(): Promise<void> {
    const { store } = this.#source;
    const cursor = this.#cursor;
    const limit = this.#limit;
    const range = await store.eventRange({ job: this.#p.job, after: cursor, limit });
    if (this.over) return;
    if (range === null) throw notFound(this.#p.job);
    if (range.ended && cursor === range.latest) return this.close();
    if (range.ended && cursor > range.latest) return this.#loadEnd(range.latest);
    const events = cut(range.events);
    this.#limit = events.length < range.events.length ? events.length : Math.min(PAGE_EVENTS, limit * 2);
    this.#isLast = range.events.length < limit && events.length === range.events.length;
    if (this.#isLast) this.channel.seed(events, range.latest);
    const reset = this.#isBehind(range) ? await this.#reset(range) : null;
    if (!this.over) this.#page = reset === null ? events : [reset, ...events];
  }

  /** For a cursor beyond the log's end (a crash may undo events that a watcher has seen): the end is told all the same. */
  async #loadEnd(latest: number): Promise<void> {
    const after = Math.max(0, latest - TERMINAL_EVENTS.size);
    const range = await this.#source.store.eventRange({ job: this.#p.job, after, limit: TERMINAL_EVENTS.size });
    if (!this.over) this.#page = (range?.events ?? []).filter(({ event }) => TERMINAL_EVENTS.has(event));
  }

  /** Of events that the window always keeps, none can have been lost. */
  #isBehind({ earliest }: EventRange): boolean {
    if (this.#cursor >= earliest - 1) return false;
    const { only } = this.#p;
    return only === null || [...only].some((type) => !TERMINAL_EVENTS.has(type));
  }

  async #reset({ earliest, latest }: EventRange): Promise<WatchEvent> {
    const job = await this.#p.toJson(await this.#record());
    return { id: earliest - 1, event: "stream.reset", data: { requested: this.#cursor, earliest, latest, job } };
  }

  async #record(): Promise<JobRecord> {
    const record = await this.#source.store.jobGet({ job: this.#p.job });
    if (record === null) throw notFound(this.#p.job);
    return record;
  }
}

/** As many of the first as a page may hold. */
function cut(events: JobEvent[]): JobEvent[] {
  let bytes = 0;
  const end = events.findIndex((event) => {
    bytes += eventBytes(event);
    return bytes > PAGE_BYTES;
  });
  return end === -1 ? events : events.slice(0, Math.max(1, end));
}

function notFound(job: number): AthanorError {
  return new AthanorError("job_not_found", `There is no ${formatId("jobs", job)}, or it has been deleted.`);
}
