import { type JobEvent, type JobEventType, type NewJobEvent, TERMINAL_EVENTS } from "../../../protocol/event.ts";
import { isFinal, type JobStatus } from "../../../protocol/job.ts";
import type { EventBatch, EventRange } from "../store.ts";
import type { Connection } from "./connection.ts";
import { type EventRow, toEvent } from "./rows.ts";

/** The part of a job's row that its log needs. */
export interface LogHead {
  first_event: number;
  last_event: number;
  events_window: number;
}

interface EventJobRow extends LogHead {
  status: JobStatus;
  fence: number;
}

/** What a replica's work may log; all other events are made by the verbs that change the job. */
const APPENDABLE: ReadonlySet<JobEventType> = new Set(["job.progress", "job.log", "job.chunk"]);

export function eventAppend(db: Connection, p: { batches: EventBatch[]; now: number }): JobEvent[][] {
  return p.batches.map((batch) => appendBatch(db, batch));
}

function appendBatch(db: Connection, batch: EventBatch): JobEvent[] {
  const head = db.get<EventJobRow>("eventJob", { job: batch.job });
  if (head === undefined || head.status !== "running" || head.fence !== batch.fence || batch.events.length === 0)
    return [];
  const wrong = batch.events.find(({ event }) => !APPENDABLE.has(event));
  if (wrong !== undefined)
    throw new Error(`${wrong.event} cannot be appended to a log; the verbs of the store make it`);
  const { job } = batch;
  const step = extendLog(head, batch.events.map(clampProgress));
  storeEvents(db, job, head, step);
  const { events, first, last } = step;
  const progress = events.findLast((event) => event.event === "job.progress");
  if (progress === undefined) db.run("eventMark", { job, first, last });
  else db.run("eventMarkProgress", { job, first, last, ...progress.data });
  return events;
}

/** What adding events makes of a log: the events with their numbers, and the ids of the oldest retained and the newest. */
export interface LogStep {
  events: JobEvent[];
  first: number;
  last: number;
}

export function extendLog(head: LogHead, added: NewJobEvent[]): LogStep {
  const events = added.map((event, index) => ({ id: head.last_event + 1 + index, ...event }) as JobEvent);
  const last = head.last_event + events.length;
  return { events, first: Math.max(head.first_event, windowStart(last, head.events_window, events)), last };
}

/** Stores those events that the window will hold, and drops those that have left it. The caller moves the ids in the job's row. */
export function storeEvents(db: Connection, job: number, before: LogHead, { events, first }: LogStep): void {
  for (const event of events) if (event.id >= first) insertEvent(db, job, event);
  if (first > before.first_event) db.run("eventPrune", { job, first });
}

/** The oldest id that is kept: the window's, or an older terminal event's. Terminal events are the last of a log, so what is kept has no gap. */
function windowStart(last: number, window: number, added: JobEvent[]): number {
  const terminal = added.find(({ event }) => TERMINAL_EVENTS.has(event))?.id ?? last;
  return Math.min(last - window + 1, terminal);
}

export function insertEvent(db: Connection, job: number, { id, event, data }: JobEvent): void {
  db.run("eventInsert", { job, id, event, data: event === "job.result" ? null : JSON.stringify(data) });
}

function clampProgress(event: NewJobEvent): NewJobEvent {
  if (event.event !== "job.progress") return event;
  const { progress, message } = event.data;
  return { event: event.event, data: { progress: Math.min(1, Math.max(0, progress || 0)), message } };
}

export function eventRange(db: Connection, p: { job: number; after: number; limit: number }): EventRange | null {
  const head = db.get<EventJobRow>("eventJob", { job: p.job });
  if (head === undefined) return null;
  const events = db.all<EventRow>("eventRange", p).map(toEvent);
  return { events, earliest: head.first_event, latest: head.last_event, ended: isFinal(head.status) };
}
