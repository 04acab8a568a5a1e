import type { JobEvent } from "../../../protocol/event.ts";
import { isFinal, type JobStatus } from "../../../protocol/job.ts";
import type { EventRange, JobCount, JobFilter, JobRecord, KeyRecord, QueueRecord, StoreSignal } from "../store.ts";
import { wake } from "./claim.ts";
import type { Database } from "./database.ts";
import { decode, decodeTail } from "./log.ts";
import type { QueueNames } from "./names.ts";
import { type JobRow, toJob } from "./rows.ts";
import type { Told } from "./told.ts";

/** What changes nothing. */

export async function jobGet(db: Database, names: QueueNames, p: { job: number }): Promise<JobRecord | null> {
  const [record] = await toRecords(names, await db.read<JobRow>("jobGet", { job: p.job }));
  return record ?? null;
}

async function toRecords(names: QueueNames, rows: JobRow[]): Promise<JobRecord[]> {
  await names.load(rows.map(({ queue }) => queue));
  return rows.map((row) => toJob(row, names.name(row.queue)));
}

/** The queues that a filter names; null: any. */
export async function queueIds(db: Database, { app, function: name }: JobFilter): Promise<number[] | null> {
  if (app === undefined && name === undefined) return null;
  const rows = await db.read<{ queue: number }>("queueIds", { app: app ?? null, function: name ?? null });
  return rows.map(({ queue }) => queue);
}

export async function jobList(
  db: Database,
  names: QueueNames,
  p: JobFilter & { before?: number; limit: number },
): Promise<JobRecord[]> {
  let queues = await queueIds(db, p);
  if (queues?.length === 0) return [];
  const page = { before: p.before ?? Number.MAX_SAFE_INTEGER, limit: p.limit, status: p.status ?? null };
  const { concurrencyKey: key, parent } = p;
  if (key !== undefined) {
    queues ??= (await db.read<{ queue: number }>("queueIds", { app: null, function: null })).map(({ queue }) => queue);
    return await toRecords(
      names,
      await db.read<JobRow>("jobListOfKey", { ...page, queues, key, parent: parent ?? null }),
    );
  }
  if (parent !== undefined)
    return await toRecords(names, await db.read<JobRow>("jobListOfParent", { ...page, queues, parent }));
  return await toRecords(names, await plainList(db, page, queues));
}

async function plainList(
  db: Database,
  page: { before: number; limit: number; status: JobStatus[] | null },
  queues: number[] | null,
): Promise<JobRow[]> {
  const [only, ...others] = page.status ?? [];
  if (only === "running" && others.length === 0) return await db.read("jobListRunning", { ...page, queues });
  const rare = only !== undefined && isFinal(only) && only !== "succeeded";
  if (rare && others.length === 0) return await db.read("jobListUnsuccessful", { ...page, queues, status: only });
  return queues === null ? await db.read("jobListAll", page) : await db.read("jobListOfQueues", { ...page, queues });
}

export async function jobPosition(db: Database, p: { job: number }): Promise<number | null> {
  const row = await db.get<JobRow>("jobGet", p);
  if (row === undefined || row.status !== "queued") return null;
  const { queue, place, job } = row;
  const rank = -row.priority;
  if (row.hold === "key") return 1 + Number((await db.get<{ ready: number }>("jobsReady", { queue, rank }))?.ready);
  return 1 + Number((await db.get<{ ahead: number }>("jobsAhead", { queue, rank, place, job }))?.ahead);
}

/** Delays that are over are ended first, so that what waits for a key and what is ready is told apart. */
export async function jobCounts(db: Database, names: QueueNames, p: { now: number }): Promise<Told<JobCount[]>> {
  const signals: StoreSignal[] = [];
  while ((await db.get("delayedAny", p)) !== undefined) {
    const woken = await db.write({ durable: false }, async (tx) => {
      const told = await wake(tx, names, p.now);
      return () => told;
    });
    signals.push(...woken);
    // Others are at it.
    if (woken.length === 0) break;
  }
  return { value: await db.read<JobCount>("jobCounts", p), signals };
}

export async function jobNextDue(db: Database, p: { now: number }): Promise<number | null> {
  return (await db.get<{ due: number | null }>("jobNextDue", p))?.due ?? null;
}

export async function queueList(db: Database, p: { app?: string }): Promise<QueueRecord[]> {
  return await db.read<QueueRecord>("queueList", { app: p.app ?? null });
}

export async function keyList(
  db: Database,
  p: { app: string; function: string; after?: string; limit: number },
): Promise<KeyRecord[]> {
  const found = await db.get<{ queue: number }>("queueGet", { app: p.app, function: p.function });
  if (found === undefined) return [];
  const rows = await db.read<Omit<KeyRecord, "limit"> & { key_limit: number }>("keyList", {
    queue: found.queue,
    after: p.after ?? null,
    limit: p.limit,
  });
  return rows.map(({ key, queued, running, key_limit: limit }) => ({ key, queued, running, limit }));
}

interface RangeRow {
  status: JobStatus;
  first_event: number;
  last_event: number;
  tail: string;
  result: string | null;
  segments: { first: number; lines: string }[] | null;
}

export async function eventRange(
  db: Database,
  p: { job: number; after: number; limit: number },
): Promise<EventRange | null> {
  const events: JobEvent[] = [];
  for (let after = p.after; ; ) {
    const row = await db.get<RangeRow>("eventRange", { job: p.job, after });
    if (row === undefined) return null;
    const { first_event: earliest, last_event: latest } = row;
    const range = { earliest, latest, ended: isFinal(row.status) };
    // Between two pages the window may have moved past what was to come next.
    if (events.length > 0 && earliest > after + 1) return { events, ...range };
    const segments = (row.segments ?? []).flatMap(({ first, lines }) => decode(lines, first, row.result));
    const page = [...segments, ...decodeTail(row, row.result)].filter(({ id }) => id > after && id >= earliest);
    events.push(...contiguous(page));
    const last = events.at(-1)?.id ?? latest;
    if (events.length >= p.limit || last >= latest || last <= after) {
      return { events: events.slice(0, p.limit), ...range };
    }
    after = last;
  }
}

/** Where there are more segments than one page takes, the tail is not next to them. */
function contiguous(events: JobEvent[]): JobEvent[] {
  const gap = events.findIndex(({ id }, index) => index > 0 && id !== (events[index - 1]?.id ?? 0) + 1);
  return gap === -1 ? events : events.slice(0, gap);
}
