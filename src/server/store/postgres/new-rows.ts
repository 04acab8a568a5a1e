import type { NewJobEvent } from "../../../protocol/event.ts";
import type { JobStart, NewJob } from "../store.ts";
import { PLACES_PER_JOB } from "./jobs.ts";
import { encode, extendLog } from "./log.ts";
import { type JobRow, storable } from "./rows.ts";

/** A job that is to be made. */
export interface Planned {
  job: NewJob;
  queue: number;
  now: number;
  hold: JobRow["hold"];
  position: number;
  /** Its parent is not to go on, and so it ends at once. */
  cancelled: boolean;
  /** It begins as running. */
  start: JobStart | null;
}

type Log = Pick<JobRow, "first_event" | "last_event" | "tail">;

/** What the statement `jobInsert` takes of a job. */
export async function toInsert(planned: Planned, ord: number): Promise<object> {
  const { job, queue, now, hold, start } = planned;
  return {
    ...{ ord, queue, deployment: job.deployment, hold, priority: job.priority, input: job.input, now },
    ...(start === null
      ? { status: "queued", starts: 0, ...queuedLog(planned) }
      : { status: "running", starts: 1, ...(await startedLog(planned, start)), ...holderOf(start, now) }),
    key: job.concurrencyKey === null ? null : storable(job.concurrencyKey.key),
    key_limit: job.concurrencyKey?.limit ?? null,
    max_attempts: job.maxAttempts,
    run_after: start === null ? ceil(job.runAfter) : null,
    expires_at: ceil(job.expiresAt),
    ttl_s: job.ttlS,
    events_window: job.eventsWindow,
    events_window_bytes: job.eventsWindowBytes,
    parent: job.parent,
    retry_of: job.retryOf,
    traceparent: job.traceparent,
    blobs: job.inputBlobs.length === 0 ? null : job.inputBlobs,
    idempotency_key: job.idempotency === null ? null : storable(job.idempotency.key),
    input_hash: job.idempotency?.inputHash ?? null,
    webhook_url: job.webhook?.url ?? null,
    webhook_host: job.webhook === null ? null : new URL(job.webhook.url).host,
    webhook_secret: job.webhook?.secret ?? null,
  };
}

/** What the database holds of a job that was just made, where it was not started. */
export function queuedRow(planned: Planned, number: number): JobRow {
  const { job, queue, now, hold } = planned;
  return {
    ...{
      job: number,
      queue,
      deployment: job.deployment,
      status: "queued",
      hold,
      priority: job.priority,
      place: PLACES_PER_JOB * number,
    },
    concurrency_key: job.concurrencyKey === null ? null : storable(job.concurrencyKey.key),
    key_limit: job.concurrencyKey?.limit ?? null,
    ...{ input: job.input, result: null, error: null, progress: 0, message: null, attempt: 0 },
    ...{ max_attempts: job.maxAttempts, lost_count: 0, crash_count: 0, fence: 0, replica: null, owner: null },
    ...{ run_after: ceil(job.runAfter), expires_at: ceil(job.expiresAt), cancel_requested_at: null, created_at: now },
    ...{ started_at: null, finished_at: null, status_since: now, ttl_s: job.ttlS, events_window: job.eventsWindow },
    ...{ events_window_bytes: job.eventsWindowBytes, ...queuedLog(planned) },
    ...{ parent: job.parent, retry_of: job.retryOf, traceparent: job.traceparent, has_webhook: job.webhook !== null },
  };
}

/** The same of one that was started. */
export function startedRow(queued: JobRow, start: JobStart): JobRow {
  const running = { status: "running", attempt: 1, fence: 1, run_after: null, last_event: 2 } as const;
  return { ...queued, ...running, ...holderOf(start, queued.created_at) };
}

function holderOf({ replica, owner }: JobStart, now: number) {
  return { replica, owner, started_at: now };
}

function queuedLog({ position }: Planned): Log {
  const queued: NewJobEvent = { event: "job.queued", data: { position } };
  return { first_event: 1, last_event: 1, tail: `${encode(queued)}\n` };
}

async function startedLog(planned: Planned, { replica }: JobStart): Promise<Log> {
  const { eventsWindow: events_window, eventsWindowBytes: events_window_bytes } = planned.job;
  const head = { job: 0, events_window, events_window_bytes, ...queuedLog(planned) };
  const running: NewJobEvent = { event: "job.running", data: { attempt: 1, replica_id: replica } };
  return (await extendLog(head, [running], [], async () => "")).head;
}

function ceil(time: number | null): number | null {
  return time === null ? null : Math.ceil(time);
}
