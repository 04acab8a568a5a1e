import type { JobEvent, WatchEvent } from "../protocol/event.ts";
import type { JobJson } from "../protocol/wire.ts";
import type { EventBatch, JobRecord, Store } from "./store/store.ts";

export interface EventLogParams {
  store: Pick<Store, "eventAppend" | "eventRange" | "jobGet">;
  /** A pino logger fits. */
  log: { warn(fields: object, message: string): void };
  /** Milliseconds since 1970; the clock unless given. */
  now?: () => number;
}

export interface WatchParams {
  job: number;
  /** The last event id that the watcher has; 0: none, from the first. Null: no cursor was given, the same as 0 but for snapshots. */
  after: number | null;
  /** First a `job.snapshot`, then, unless `after` is a number, only what comes after it. */
  snapshot: boolean;
  toJson(record: JobRecord): Promise<JobJson>;
  signal: AbortSignal;
}

export class EventLog {
  constructor(_p: EventLogParams) {}

  /** Queues events for the log: returns at once, never throws; order within a job is kept. */
  append(_batch: EventBatch, _eventsWindow?: number): void {
    throw new Error("not written yet");
  }

  /** Resolves once all that was appended for the job is committed (or dropped). Call before `jobFinish`. */
  flush(_job: number): Promise<void> {
    throw new Error("not written yet");
  }

  /** Hands watchers the events that a verb of the store has committed (JobChange.events). A missed id is read from the store. */
  publish(_job: number, _events: JobEvent[]): void {
    throw new Error("not written yet");
  }

  /** Makes every watcher look at the store again; after deleting an app or jobs. */
  refresh(): void {
    throw new Error("not written yet");
  }

  /** Events from the cursor on, then live ones; returns after `job.end` or when the signal aborts. Throws `job_not_found`. */
  watch(_p: WatchParams): AsyncGenerator<WatchEvent> {
    throw new Error("not written yet");
  }

  /** Writes what is pending and ends all watchers. */
  stop(): Promise<void> {
    throw new Error("not written yet");
  }
}

/** The `job.running` event that a claim logged, for publish(). */
export function runningEvent(record: JobRecord): JobEvent {
  const data = { attempt: record.attempt, replica_id: record.replica ?? "" };
  return { id: record.lastEvent, event: "job.running", data };
}
