import type { JobChange, JobOutcome, StoreSignal } from "../store.ts";
import type { Settled } from "./batch.ts";
import type { Database } from "./database.ts";
import { Jobs, pruneAt, signalsOf } from "./jobs.ts";
import { extendLog, hasSegments } from "./log.ts";
import type { QueueNames } from "./names.ts";
import { applyOutcome, success } from "./outcomes.ts";
import { type JobRow, toJob } from "./rows.ts";

/** The ends of attempts. */

export interface FinishCall {
  job: number;
  fence: number;
  outcome: JobOutcome;
  now: number;
}

interface Finished {
  settled: Settled<JobChange | null>[];
  signals: StoreSignal[];
}

export async function finishBatch(db: Database, names: QueueNames, calls: FinishCall[]): Promise<Finished> {
  return await db.write({ durable: true }, async (tx) => {
    const settled: Settled<JobChange | null>[] = [];
    const jobs = new Jobs({ tx, names, now: Math.max(...calls.map(({ now }) => now)) });
    await jobs.lock(calls.map(({ job }) => job));
    await names.load(
      calls.flatMap(({ job }) => jobs.get(job)?.queue ?? []),
      tx,
    );
    for (const { job, fence, outcome, now } of calls) {
      jobs.now = now;
      const row = jobs.get(job);
      const held = row !== undefined && row.status === "running" && row.fence === fence;
      settled.push({ value: held ? await applyOutcome(jobs, row, outcome) : null });
    }
    const signals = await jobs.save();
    return () => ({ settled, signals });
  });
}

/** What a success makes of a row that is known. */
export interface Success {
  before: JobRow;
  after: JobRow;
  events: JobChange["events"];
}

/** Null where more than the row would change with it, or where it is not a success of the attempt that the row is of. */
export async function successOf({ fence, outcome, now }: FinishCall, before: JobRow): Promise<Success | null> {
  if (outcome.type !== "succeed" || outcome.resultBlobs.length > 0 || before.fence !== fence) return null;
  if (before.concurrency_key !== null || before.has_webhook || hasSegments(before)) return null;
  const { change, added } = success(outcome.result, now);
  const { events, head, sealed } = await extendLog({ ...before, ...change }, added, [], async () => "");
  return sealed.length > 0 ? null : { before, after: { ...before, ...change, ...head }, events };
}

/**
 * Writes successes where the rows are still as they are known to be, without reading them first. Null of one whose row is not: `finishBatch`
 * tells what holds of it.
 */
export async function succeedBatch(db: Database, names: QueueNames, successes: Success[]): Promise<Finished> {
  const sorted = successes.toSorted((a, b) => a.before.job - b.before.job);
  const rows = JSON.stringify(sorted.map(toWrite));
  const written = await db.write({ durable: true }, async (tx) => {
    let jobs: Set<number> | null = null;
    const note = (found: { job: number }[]) => {
      jobs = new Set(found.map(({ job }) => job));
    };
    tx.write<{ job: number }>("jobSucceed", { rows }).then(note, () => {});
    return () => jobs;
  });
  // The answer was lost with that to the commit, which has happened.
  const ended = written ?? (await stillWritten(db, sorted));
  await names.load(successes.map(({ after }) => after.queue));
  const settled = successes.map(({ after, events }): Settled<JobChange | null> => {
    return { value: ended.has(after.job) ? { job: toJob(after, names.name(after.queue)), events } : null };
  });
  const told = successes.filter(({ after }) => ended.has(after.job));
  return { settled, signals: told.flatMap((one) => signalsOf(one, names)) };
}

/** Nobody else ends an attempt as a success. */
async function stillWritten(db: Database, successes: Success[]): Promise<Set<number>> {
  const fences = new Map(successes.map(({ after }) => [after.job, after.fence]));
  const found = await db.read<JobRow>("jobsGet", { jobs: [...fences.keys()] });
  const own = found.filter(({ job, status, fence }) => status === "succeeded" && fences.get(job) === fence);
  return new Set(own.map(({ job }) => job));
}

function toWrite({ before, after }: Success): object {
  const { job, fence, first_event, last_event, tail, result } = after;
  const log = { known_event: before.last_event, first_event, last_event, tail };
  return { job, fence, ...log, result, now: after.finished_at, prune_at: pruneAt(after) };
}
