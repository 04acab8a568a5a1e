import type { JobError, JobStatus } from "./job.ts";
import type { Json } from "./json.ts";
import type { JobJson } from "./wire.ts";

/** The data of each type of event in a job's log. */
export interface JobEventData {
  "job.queued": { position: number };
  "job.running": { attempt: number; replica_id: string };
  "job.progress": { progress: number; message: string | null };
  "job.log": { stream: "stdout" | "stderr"; line: string; at: string };
  "job.chunk": { index: number; value: Json };
  "job.retrying": { attempt: number; delay_s: number; error: JobError };
  /** `blob`, inside the server alone: the SHA-256 of the blob that holds the value, which is then null. */
  "job.result": { value: Json; blob?: string };
  "job.end": { status: JobStatus; error?: JobError };
}

export type JobEventType = keyof JobEventData;

export const JOB_EVENT_TYPES = [
  "job.queued",
  "job.running",
  "job.progress",
  "job.log",
  "job.chunk",
  "job.retrying",
  "job.result",
  "job.end",
] as const satisfies JobEventType[];

/** One entry of a job's log, numbered from 1 with no gaps. */
export type JobEvent = { [T in JobEventType]: { id: number; event: T; data: JobEventData[T] } }[JobEventType];

/** An entry before it has its number. */
export type NewJobEvent = { [T in JobEventType]: { event: T; data: JobEventData[T] } }[JobEventType];

/** What a watcher is sent: the log's entries and two kinds that the log does not hold. */
export type WatchEvent =
  | JobEvent
  /** The job as of event `id`; only when asked for, and then first. */
  | { id: number; event: "job.snapshot"; data: JobJson }
  /** The cursor fell behind the retained window; the stream goes on from `earliest`. Its id is `earliest - 1`. */
  | {
      id: number;
      event: "stream.reset";
      data: { requested: number; earliest: number; latest: number; job: JobJson };
    };

/** Events that the window never drops. */
export const TERMINAL_EVENTS: ReadonlySet<JobEventType> = new Set(["job.result", "job.end"]);
