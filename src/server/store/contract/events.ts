import type { JobEvent, NewJobEvent } from "../../../protocol/event.ts";

/** The log of each job. */
export interface EventVerbs {
  /**
   * Appends to the logs of running jobs, and keeps `progress` and `message` of the job in step with `job.progress`. A batch whose fence is
   * not the job's current one, or whose job is not running, is dropped and comes back empty. Prunes to the window, in events and in bytes of
   * their data as JSON in UTF-8; the newest is kept whatever its size, and the events that end a log count for nothing.
   */
  eventAppend(p: { batches: EventBatch[]; now: number }): Promise<JobEvent[][]>;
  /** Retained events with id > `after`, ascending, at most `limit`; null where there is no such job. */
  eventRange(p: { job: number; after: number; limit: number }): Promise<EventRange | null>;
}

export interface EventBatch {
  job: number;
  fence: number;
  events: NewJobEvent[];
}

export interface EventRange {
  events: JobEvent[];
  /** The oldest retained event's id outside the always-kept terminal ones; 1 while nothing was dropped. */
  earliest: number;
  latest: number;
  /** The job has ended: no event follows `latest`. */
  ended: boolean;
}
