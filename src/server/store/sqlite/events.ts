import type { JobEvent, JobEventType, NewJobEvent } from "../../../protocol/event.ts";
import { isFinal, type JobStatus } from "../../../protocol/job.ts";
import type { EventBatch, EventRange } from "../store.ts";
import type { Connection } from "./connection.ts";
import { appendToLog, type LogHead, splitLines, toEvent } from "./log.ts";

interface EventJobRow extends LogHead {
  status: JobStatus;
  fence: number;
}

/** What a replica's work may log; all other events are made by the verbs that change the job. */
const APPENDABLE: ReadonlySet<JobEventType> = new Set(["job.progress", "job.log", "job.chunk"]);

export function eventAppend(db: Connection, p: { batches: EventBatch[]; now: number }): JobEvent[][] {
  for (const { events } of p.batches) {
    const wrong = events.find(({ event }) => !APPENDABLE.has(event));
    if (wrong !== undefined)
      throw new Error(`${wrong.event} cannot be appended to a log; the verbs of the store make it`);
  }
  return p.batches.map((batch) => appendBatch(db, batch));
}

function appendBatch(db: Connection, batch: EventBatch): JobEvent[] {
  const { job } = batch;
  const head = db.get<EventJobRow>("logHead", { job });
  if (head === undefined || head.status !== "running" || head.fence !== batch.fence || batch.events.length === 0)
    return [];
  const added = batch.events.map(clampProgress);
  appendToLog(db, head, added);
  const progress = added.findLast((event) => event.event === "job.progress");
  if (progress !== undefined) db.run("logProgress", { job, ...progress.data });
  return added.map((event, index) => ({ id: head.last_event + 1 + index, ...event }) as JobEvent);
}

function clampProgress(event: NewJobEvent): NewJobEvent {
  if (event.event !== "job.progress") return event;
  const { progress, message } = event.data;
  return { event: event.event, data: { progress: Math.min(1, Math.max(0, progress || 0)), message } };
}

interface LogRow {
  status: JobStatus;
  first_event: number;
  last_event: number;
  tail_first: number;
  log: string;
  result: string | null;
}

export function eventRange(db: Connection, p: { job: number; after: number; limit: number }): EventRange | null {
  const row = db.get<LogRow>("logRead", { job: p.job });
  if (row === undefined) return null;
  const ended = isFinal(row.status);
  const from = Math.max(p.after + 1, row.first_event);
  const to = Math.min(row.last_event, from + p.limit - 1);
  const events: JobEvent[] = [];
  const take = (first: number, text: string) => {
    const lines = splitLines(text);
    for (let id = Math.max(from, first); id <= to && id < first + lines.length; id++)
      events.push(toEvent(id, lines[id - first] as string, row.result));
  };
  if (from < row.tail_first) for (const part of segments(db, p.job, from, to)) take(part.first, part.data);
  if (to >= row.tail_first) take(row.tail_first, row.log);
  return { events, earliest: row.first_event, latest: row.last_event, ended };
}

function* segments(db: Connection, job: number, from: number, to: number): Generator<{ first: number; data: string }> {
  for (let id = from; id <= to; ) {
    const part = db.get<{ first: number; last: number; data: string }>("segmentAt", { job, id });
    if (part === undefined || part.last < id) return;
    yield part;
    id = part.last + 1;
  }
}
