import type { JobEvent } from "../../../src/protocol/event.ts";
import type { FinalJob, HandlerRecord, History } from "../history.ts";

/** The entries of the log itself. */
export function entriesOf({ events }: FinalJob): JobEvent[] {
  return events.filter((event): event is JobEvent => event.event !== "job.snapshot" && event.event !== "stream.reset");
}

/**
 * Attempts of the job that held it until their handler had returned, by the log: those that failed and were retried, and the one that ended
 * it. One that was lost may go on running after its job is no longer its own, so nothing is known of its end; nor of one whose job was
 * cancelled, which a rescue ends without it.
 */
export function heldAttempts(job: FinalJob): number[] {
  const held: number[] = [];
  let current = 0;
  for (const event of entriesOf(job)) {
    if (event.event === "job.running") current = event.data.attempt;
    if (event.event === "job.retrying") held.push(event.data.attempt);
    if (event.event === "job.end" && current > 0 && event.data.status !== "cancelled") held.push(current);
  }
  return held;
}

/** A time in which a handler ran that held its job for all of it. */
export interface Interval {
  job: string;
  attempt: number;
  key: string | null;
  from: number;
  to: number;
}

/**
 * What limits are promised for: a handler that ran from its start to its end while its attempt held the job, as the store counts it. Handlers
 * that never came to their end, and those of lost attempts, are left out.
 */
export function intervalsOf(history: History, name: string): Interval[] {
  const jobs = new Map(history.final.filter((job) => job.function === name).map((job) => [job.job, job]));
  const held = new Map([...jobs].map(([id, job]) => [id, new Set(heldAttempts(job))]));
  const starts = new Map<string, HandlerRecord>();
  const intervals: Interval[] = [];
  for (const record of history.records) {
    if (record.function !== name || !held.get(record.job)?.has(record.attempt)) continue;
    const id = `${record.job} ${record.attempt}`;
    if (record.type === "start") starts.set(id, record);
    const start = starts.get(id);
    if (record.type === "end" && start !== undefined) {
      const { job, attempt, key } = record;
      intervals.push({ job, attempt, key, from: start.at, to: record.at });
    }
  }
  return intervals.toSorted((a, b) => a.from - b.from);
}
