import type { WebhookDelivery, WebhookRecord } from "../store.ts";
import type { Database } from "./database.ts";
import type { QueueNames } from "./names.ts";
import { type JobRow, storable, toJob } from "./rows.ts";

interface TakenRow {
  job: number;
  url: string;
  secret: string;
  attempts: number;
}

export async function webhookClaim(
  db: Database,
  names: QueueNames,
  p: { now: number; limit: number; leaseMs: number; exceptHosts: string[] },
): Promise<WebhookDelivery[]> {
  const { now, limit, exceptHosts } = p;
  return await db.write({ durable: false }, async (tx) => {
    const taken = await tx.write<TakenRow>("webhookTake", { now, limit, exceptHosts, leaseUntil: now + p.leaseMs });
    const jobs = await tx.read<JobRow>("jobsGet", { jobs: taken.map(({ job }) => job) });
    await names.load(
      jobs.map(({ queue }) => queue),
      tx,
    );
    const rows = new Map(jobs.map((row) => [row.job, row]));
    const deliveries = taken.flatMap(({ job, url, secret, attempts: attempt }) => {
      const row = rows.get(job);
      return row === undefined ? [] : { job: toJob(row, names.name(row.queue)), url, secret, attempt };
    });
    return () => deliveries;
  });
}

export async function webhookFinish(
  db: Database,
  p: { job: number; attempt: number; retryAt: number | null; error: string | null },
): Promise<void> {
  const { job, attempt, retryAt } = p;
  await db.write({ durable: true }, async (tx) => {
    void tx.write("webhookFinish", { job, attempt, retryAt, error: p.error === null ? null : storable(p.error) });
    return () => {};
  });
}

export async function webhookGet(db: Database, p: { job: number }): Promise<WebhookRecord | null> {
  const row = await db.get<Omit<WebhookRecord, "nextAt"> & { next_at: number | null }>("webhookGet", p);
  if (row === undefined) return null;
  const { url, secret, state, attempts, error, next_at: nextAt } = row;
  return { url, secret, state, attempts, error, nextAt };
}

export async function webhookAgain(db: Database, p: { job: number; now: number }): Promise<WebhookRecord | null> {
  await db.write({ durable: true }, async (tx) => {
    void tx.write("webhookAgain", { job: p.job, now: p.now });
    return () => {};
  });
  return await webhookGet(db, { job: p.job });
}

export async function webhookNext(db: Database, p: { exceptHosts: string[] }): Promise<number | null> {
  return (await db.get<{ next_at: number | null }>("webhookNext", p))?.next_at ?? null;
}
