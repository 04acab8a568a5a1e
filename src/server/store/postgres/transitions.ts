import type { CancelledJobs, JobChange, JobFilter, JobRecord } from "../store.ts";
import type { Database, Tx } from "./database.ts";
import { Jobs } from "./jobs.ts";
import type { QueueNames } from "./names.ts";
import { applyOutcome, ENDS, type Outcome } from "./outcomes.ts";
import { queueIds } from "./reads.ts";
import type { JobRow } from "./rows.ts";
import type { Told } from "./told.ts";

/** The ways of jobs out of `running` and `queued` that are not the end of an attempt (finish.ts): cancellation, expiry, rescue. */

const nothing = () => ({ value: null, signals: [] });

export async function jobCancel(
  db: Database,
  names: QueueNames,
  p: { job: number; now: number },
): Promise<Told<JobChange[] | null>> {
  return await db.write<Told<JobChange[] | null>>({ durable: true }, async (tx) => {
    const jobs = new Jobs({ tx, names, now: p.now });
    await jobs.lock([p.job]);
    const row = jobs.get(p.job);
    if (row === undefined) return nothing;
    await names.load([row.queue], tx);
    if (row.status !== "queued" && row.status !== "running") {
      const value = [{ job: jobs.record(p.job), events: [] }];
      return () => ({ value, signals: [] });
    }
    const value = await cancelTrees(jobs, tx, [p.job]);
    const signals = await jobs.save();
    return () => ({ value, signals });
  });
}

export async function jobCancelMany(
  db: Database,
  names: QueueNames,
  p: { filter: JobFilter; after: number; limit: number; now: number },
): Promise<Told<CancelledJobs>> {
  const { filter, after, limit, now } = p;
  const queues = await queueIds(db, filter);
  if (queues !== null && queues.length === 0) return { value: { changes: [], next: null }, signals: [] };
  const { status = null, concurrencyKey: key = null, parent = null } = filter;
  return await db.write({ durable: true }, async (tx) => {
    const wanted = { queues, status, key, parent, after, limit: limit + 1 };
    const more = await tx.read<{ job: number }>("jobActive", wanted);
    const found = more.slice(0, limit);
    const jobs = new Jobs({ tx, names, now });
    const changes = await cancelTrees(
      jobs,
      tx,
      found.map(({ job }) => job),
    );
    const signals = await jobs.save();
    const next = more.length > limit ? (found.at(-1)?.job ?? null) : null;
    return () => ({ value: { changes, next }, signals });
  });
}

/**
 * Cancels those that have not ended, and their children, be those in between ended or not, level by level: a child that is made meanwhile
 * waits for its parent's row. Told by number: a parent before its children.
 */
async function cancelTrees(jobs: Jobs, tx: Tx, roots: number[]): Promise<JobChange[]> {
  const changes = new Map<number, JobChange>();
  const seen = new Set(roots);
  await cancelAll(jobs, tx, roots, changes);
  for (let level = roots; level.length > 0; ) {
    const found = await tx.read<{ job: number; active: boolean }>("jobChildren", { parents: level });
    const fresh = found.filter(({ job }) => !seen.has(job));
    for (const { job } of fresh) seen.add(job);
    const active = fresh.flatMap((child) => (child.active ? child.job : []));
    await cancelAll(jobs, tx, active, changes);
    level = fresh.map(({ job }) => job);
  }
  return [...changes.values()].toSorted((a, b) => a.job.job - b.job.job);
}

async function cancelAll(jobs: Jobs, tx: Tx, numbers: number[], changes: Map<number, JobChange>): Promise<void> {
  const fresh = numbers.filter((job) => !changes.has(job));
  if (fresh.length === 0) return;
  await jobs.lock(fresh);
  const rows = fresh.flatMap((job) => jobs.get(job) ?? []).filter(isActive);
  await jobs.names.load(
    rows.map(({ queue }) => queue),
    tx,
  );
  for (const row of rows) changes.set(row.job, await cancelOne(jobs, row));
}

const isActive = ({ status }: JobRow) => status === "queued" || status === "running";

async function cancelOne(jobs: Jobs, row: JobRow): Promise<JobChange> {
  if (row.status === "queued") return await applyOutcome(jobs, row, { type: "cancel", error: ENDS.cancelledQueued });
  if (row.cancel_requested_at === null) await jobs.change(row.job, { cancel_requested_at: jobs.now }, []);
  return { job: jobs.record(row.job), events: [] };
}

export async function jobExpire(
  db: Database,
  names: QueueNames,
  p: { now: number; limit: number },
): Promise<Told<JobChange[]>> {
  const found = await db.read<{ job: number }>("jobExpiring", p);
  const expires = (row: JobRow) =>
    row.status === "queued" && row.attempt === 0 && row.expires_at !== null && row.expires_at <= p.now;
  return await changeAll(db, names, { ...p, found, holds: expires, outcome: { type: "expire", error: ENDS.expired } });
}

export async function jobRescue(
  db: Database,
  names: QueueNames,
  p: { server: string; owners: "expired" | "all"; now: number; limit: number },
): Promise<Told<JobChange[]>> {
  const { server, now, limit } = p;
  const found = await db.read<{ job: number }>("jobOrphans", { server, now, limit, all: p.owners === "all" });
  const lost = (row: JobRow) => row.status === "running" && row.owner !== server;
  const outcome: Outcome = { type: "lose", error: ENDS.serverLost, crashed: false };
  return await changeAll(db, names, { now, found, holds: lost, outcome });
}

/** The same outcome for all jobs that are still as they were found. */
async function changeAll(
  db: Database,
  names: QueueNames,
  p: { now: number; found: { job: number }[]; holds(row: JobRow): boolean; outcome: Outcome },
): Promise<Told<JobChange[]>> {
  if (p.found.length === 0) return { value: [], signals: [] };
  return await db.write({ durable: true }, async (tx) => {
    const jobs = new Jobs({ tx, names, now: p.now });
    const numbers = p.found.map(({ job }) => job).toSorted((a, b) => a - b);
    await jobs.lock(numbers);
    const rows = p.found.flatMap(({ job }) => jobs.get(job) ?? []).filter(p.holds);
    await names.load(
      rows.map(({ queue }) => queue),
      tx,
    );
    const value: JobChange[] = [];
    for (const row of rows) value.push(await applyOutcome(jobs, row, p.outcome));
    const signals = await jobs.save();
    return () => ({ value, signals });
  });
}

export async function jobRunNow(
  db: Database,
  names: QueueNames,
  p: { job: number; now: number },
): Promise<Told<JobRecord | null>> {
  return await db.write<Told<JobRecord | null>>({ durable: true }, async (tx) => {
    const jobs = new Jobs({ tx, names, now: p.now });
    await jobs.lock([p.job]);
    const row = jobs.get(p.job);
    if (row === undefined) return nothing;
    await names.load([row.queue], tx);
    if (row.hold === "delay") await endDelay(jobs, row);
    const value = jobs.record(p.job);
    const signals = await jobs.save();
    return () => ({ value, signals });
  });
}

async function endDelay(jobs: Jobs, row: JobRow): Promise<void> {
  const { job, queue, priority, concurrency_key: key, key_limit: limit } = row;
  if (key !== null) await jobs.keys.lock([{ queue, key }]);
  const part = key === null ? null : await jobs.keys.place({ queue, key, limit: limit ?? 1, priority, job });
  await jobs.change(job, { run_after: null, hold: part === "parked" ? "key" : null }, []);
}
