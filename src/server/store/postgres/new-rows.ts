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

/** What a row holds of the job's log. */
export type Log = Pick<JobRow, "first_event" | "last_event" | "tail">;

/** What the statement `jobInsert` takes of a job; what is null is left out. */
export async function toInsert(planned: Planned, number: number): Promise<Log & Record<string, unknown>> {
  const { job, queue, now, hold, start } = planned;
  return {
    ...{ job: number, queue, deployment: job.deployment, priority: job.priority, input: job.input, now },
    ...(hold === null ? {} : { hold }),
    ...(start === null
      ? { status: "queued", starts: 0, run_after: ceil(job.runAfter) ?? undefined, ...queuedLog(planned) }
      : { status: "running", starts: 1, ...(await startedLog(planned, start)), ...holderOf(start, now) }),
    ...keyOf(job),
    max_attempts: job.maxAttempts,
    expires_at: ceil(job.expiresAt) ?? undefined,
    ttl_s: job.ttlS,
    events_window: job.eventsWindow,
    events_window_bytes: job.eventsWindowBytes,
    parent: job.parent ?? undefined,
    retry_of: job.retryOf ?? undefined,
    traceparent: job.traceparent ?? undefined,
    webhook_url: job.webhook?.url,
  };
}

/** What `jobInsertKeys` takes. */
export function toKeys({ job, queue, now }: Planned, number: number): object[] {
  if (job.idempotency === null) return [];
  return [{ queue, key: storable(job.idempotency.key), input_hash: job.idempotency.inputHash, job: number, now }];
}

/** What `jobInsertRest` takes, of a job that has any of it. */
export function toRest({ job, queue, hold, start }: Planned, number: number): object[] {
  const { expiresAt, inputBlobs, webhook } = job;
  if (hold === null && inputBlobs.length === 0 && webhook === null && (expiresAt === null || start !== null)) return [];
  return [
    {
      ...{ job: number, queue, deployment: job.deployment, priority: job.priority, ...keyOf(job), hold },
      ...{ status: start === null ? "queued" : "running", run_after: ceil(job.runAfter), expires_at: ceil(expiresAt) },
      blobs: inputBlobs.length === 0 ? null : inputBlobs,
      ...(webhook === null
        ? {}
        : { webhook_url: webhook.url, webhook_host: new URL(webhook.url).host, webhook_secret: webhook.secret }),
    },
  ];
}

function keyOf({ concurrencyKey }: NewJob) {
  return concurrencyKey === null ? {} : { key: storable(concurrencyKey.key), key_limit: concurrencyKey.limit };
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

/** The same of one that was started, with its log. */
export function startedRow(queued: JobRow, start: JobStart, { first_event, last_event, tail }: Log): JobRow {
  const running = { status: "running", attempt: 1, fence: 1, run_after: null, first_event, last_event, tail } as const;
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
