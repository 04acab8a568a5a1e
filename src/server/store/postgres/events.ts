import type { JobEvent, JobEventType, NewJobEvent } from "../../../protocol/event.ts";
import type { EventBatch, StoreSignal } from "../store.ts";
import type { Settled } from "./batch.ts";
import type { Database, Tx } from "./database.ts";
import { extendLog, hasSegments, type LogHead, type SealedSegment, type Segment } from "./log.ts";
import { storable } from "./rows.ts";

/** What a replica's work may log; all other events are made by the verbs that change the job. */
const APPENDABLE: ReadonlySet<JobEventType> = new Set(["job.progress", "job.log", "job.chunk"]);

interface HeadRow extends LogHead {
  status: string;
  fence: number;
}

interface OpenLog {
  before: HeadRow;
  head: HeadRow;
  segments: Segment[];
  sealed: SealedSegment[];
  progress: { progress: number; message: string | null } | null;
}

export async function appendBatch(
  db: Database,
  calls: EventBatch[][],
): Promise<{ settled: Settled<JobEvent[][]>[]; signals: StoreSignal[] }> {
  const wrong = calls.map((batches) => {
    return batches.flatMap(({ events }) => events).find(({ event }) => !APPENDABLE.has(event));
  });
  const jobs = [...new Set(calls.flatMap((batches) => batches.map(({ job }) => job)))];
  // Watchers, and generators that wait for their chunks, are told at the commit, and outlive a crash of the database: it may not forget these.
  return await db.write({ durable: true }, async (tx) => {
    const logs = await openLogs(tx, jobs);
    const settled: Settled<JobEvent[][]>[] = [];
    for (const [index, batches] of calls.entries()) {
      const refused = wrong[index];
      if (refused !== undefined) {
        const message = `${refused.event} cannot be appended to a log; the verbs of the store make it`;
        settled.push({ error: new Error(message) });
        continue;
      }
      const value: JobEvent[][] = [];
      for (const batch of batches) value.push(await append(tx, logs.get(batch.job), batch));
      settled.push({ value });
    }
    const grown = [...logs.values()].filter(({ before, head }) => head.last_event > before.last_event);
    if (grown.length > 0) save(tx, grown);
    const signals = grown.map(({ head }): StoreSignal => ({ type: "events", job: head.job }));
    return () => ({ settled, signals });
  });
}

async function openLogs(tx: Tx, jobs: number[]): Promise<Map<number, OpenLog>> {
  const heads = await tx.read<HeadRow>("eventHeads", { jobs });
  const long = heads.filter(hasSegments).map(({ job }) => job);
  const segments = long.length === 0 ? [] : await tx.read<Segment & { job: number }>("eventSegments", { jobs: long });
  return new Map(
    heads.map((head) => {
      const own = segments.filter(({ job }) => job === head.job);
      return [head.job, { before: head, head, segments: own, sealed: [], progress: null }];
    }),
  );
}

async function append(tx: Tx, log: OpenLog | undefined, { fence, events }: EventBatch): Promise<JobEvent[]> {
  if (log === undefined || log.head.status !== "running" || log.head.fence !== fence || events.length === 0) return [];
  const read = async ({ last }: Segment) => {
    const sealed = log.sealed.find((segment) => segment.last === last);
    return sealed?.lines ?? (await tx.get<{ lines: string }>("eventSegment", { job: log.head.job, last }))?.lines ?? "";
  };
  const step = await extendLog(log.head, events.map(clampProgress), [...log.segments, ...log.sealed], read);
  log.sealed.push(...step.sealed);
  log.head = { ...log.head, ...step.head };
  const newest = step.events.findLast((event) => event.event === "job.progress");
  if (newest !== undefined) log.progress = newest.data;
  return step.events;
}

function save(tx: Tx, logs: OpenLog[]): void {
  const rows = (of: object[]) => ({ rows: JSON.stringify(of) });
  const sealed = logs.flatMap((log) => log.sealed.filter(({ last }) => last >= log.head.first_event));
  if (sealed.length > 0) void tx.write("eventSeal", rows(sealed));
  const shortened = logs.filter(({ segments, head }) => segments.some(({ last }) => last < head.first_event));
  if (shortened.length > 0) {
    void tx.write("eventPrune", rows(shortened.map(({ head: { job, first_event } }) => ({ job, first_event }))));
  }
  const heads = logs.map(({ head: { job, first_event, last_event, tail } }) => ({
    job,
    first_event,
    last_event,
    tail,
  }));
  void tx.write("eventMark", rows(heads));
  const progress = logs.flatMap(({ head: { job }, progress: newest }) => {
    return newest === null
      ? []
      : { job, progress: newest.progress, message: newest.message && storable(newest.message) };
  });
  if (progress.length > 0) void tx.write("eventMarkProgress", rows(progress));
}

function clampProgress(event: NewJobEvent): NewJobEvent {
  if (event.event !== "job.progress") return event;
  const { progress, message } = event.data;
  return { event: event.event, data: { progress: Math.min(1, Math.max(0, progress || 0)), message } };
}
