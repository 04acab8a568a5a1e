import { AthanorError } from "../../protocol/errors.ts";
import { type JobEvent, TERMINAL_EVENTS, type WatchEvent } from "../../protocol/event.ts";
import { isFinal } from "../../protocol/job.ts";
import { formatId } from "../../protocol/names.ts";
import type { JobJson } from "../../protocol/wire.ts";
import type { JobRecord, Store } from "../store/store.ts";
import type { Channel, Watcher } from "./channel.ts";

export interface WatchParams {
  job: number;
  /** The last event id that the watcher has; 0: none, from the first. Null: no cursor was given, the same as 0 but for snapshots. */
  after: number | null;
  /** First a `job.snapshot`, then, unless `after` is a number, only what comes after it. */
  snapshot: boolean;
  toJson(record: JobRecord): Promise<JobJson>;
  signal: AbortSignal;
}

export interface WatchSource {
  store: Pick<Store, "eventRange" | "jobGet">;
  channel: Channel;
  watcher: Watcher;
  /** True once the watcher must stop: its signal has aborted, or the log is closing. */
  stopped(): boolean;
}

const PAGE_EVENTS = 200;
const ENDED = Symbol("ended");

/**
 * One watcher's way through a job's log:
 *
 *   snapshot (when asked) -> backfill --read to the end of the log--> cutover -> live
 *   live --the channel no longer has what comes next--> backfill
 *   any --job.end sent, or stopped--> done
 *
 * The watcher joined the channel before its first read, so nothing committed in between is lost: at the cutover the channel either
 * goes on where the read stopped, or the store is read again.
 */
export async function* watchJob(p: WatchParams, source: WatchSource): AsyncGenerator<WatchEvent> {
  let cursor: number | typeof ENDED = p.after ?? 0;
  if (p.snapshot) {
    const snapshot = await takeSnapshot(p, source);
    if (p.after === null) cursor = snapshot.id;
    yield snapshot;
  }
  while (cursor !== ENDED && !source.stopped()) {
    // Noted before the read: a change of it after that sends the watcher back to the store.
    const { epoch } = source.channel;
    if (!source.channel.covers(cursor)) cursor = yield* backfill(p, source, cursor);
    if (cursor !== ENDED) cursor = yield* live(source, cursor, epoch);
  }
}

/**
 * The job as of its newest event; of an ended job, as of the event before `job.result` and `job.end`, which follow. With a cursor the
 * id is never beyond it, so that ids ascend and a stream that is resumed from it misses nothing.
 */
async function takeSnapshot(p: WatchParams, { store }: WatchSource): Promise<WatchEvent & { event: "job.snapshot" }> {
  const record = await existing(store, p.job);
  const terminal = record.status === "succeeded" ? 2 : isFinal(record.status) ? 1 : 0;
  const id = p.after === null ? record.lastEvent - terminal : Math.min(p.after, record.lastEvent);
  return { id, event: "job.snapshot", data: await p.toJson(record) };
}

/** Reads the store from the cursor to the end of the log. Returns the new cursor. */
async function* backfill(
  p: WatchParams,
  source: WatchSource,
  from: number,
): AsyncGenerator<WatchEvent, number | typeof ENDED> {
  let cursor = from;
  while (!source.stopped()) {
    const range = await source.store.eventRange({ job: p.job, after: cursor, limit: PAGE_EVENTS });
    if (range === null) throw notFound(p.job);
    if (range.ended && cursor > range.latest) return yield* terminalEvents(p.job, source, range.latest);
    if (range.ended && cursor === range.latest) return ENDED;
    const isLast = range.events.length < PAGE_EVENTS;
    if (isLast) source.channel.seed(range.events);
    if (cursor < range.earliest - 1) {
      const { earliest, latest } = range;
      const job = await p.toJson(await existing(source.store, p.job));
      yield { id: earliest - 1, event: "stream.reset", data: { requested: cursor, earliest, latest, job } };
    }
    for (const event of range.events) {
      if (source.stopped()) return ENDED;
      yield event;
      if (event.event === "job.end") return ENDED;
      cursor = event.id;
    }
    if (isLast) return cursor;
  }
  return ENDED;
}

/** For a cursor beyond the log's end (a crash may undo events that a watcher has seen): the end is told all the same. */
async function* terminalEvents(
  job: number,
  { store }: WatchSource,
  latest: number,
): AsyncGenerator<JobEvent, typeof ENDED> {
  const range = await store.eventRange({
    job,
    after: Math.max(0, latest - TERMINAL_EVENTS.size),
    limit: TERMINAL_EVENTS.size,
  });
  yield* (range?.events ?? []).filter(({ event }) => TERMINAL_EVENTS.has(event));
  return ENDED;
}

/** Sends what the channel has and waits for more, until the end or until the channel has moved past the cursor. */
async function* live(
  { channel, watcher, stopped }: WatchSource,
  from: number,
  epoch: number,
): AsyncGenerator<JobEvent, number | typeof ENDED> {
  let cursor = from;
  while (!stopped()) {
    const event = channel.at(cursor + 1);
    if (event !== undefined) {
      yield event;
      if (event.event === "job.end") return ENDED;
      cursor = event.id;
      continue;
    }
    if (channel.end === cursor) return ENDED;
    if (channel.epoch !== epoch) return cursor;
    // An empty channel is one that nothing has been published to since the backfill.
    if (channel.latest > 0 && !channel.covers(cursor)) return cursor;
    await new Promise<void>((resolve) => {
      watcher.wake = resolve;
    });
  }
  return ENDED;
}

async function existing(store: Pick<Store, "jobGet">, job: number): Promise<JobRecord> {
  const record = await store.jobGet({ job });
  if (record === null) throw notFound(job);
  return record;
}

function notFound(job: number): AthanorError {
  return new AthanorError("job_not_found", `There is no ${formatId("jobs", job)}, or it has been deleted.`);
}
