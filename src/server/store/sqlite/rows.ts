import type { JobStatus } from "../../../protocol/job.ts";
import type { DeploymentRecord, JobRecord, ScheduleRecord, WebhookRecord } from "../store.ts";
import type { Connection } from "./connection.ts";

/** The rows of the tables, and what the contract makes of them. */

export interface DeploymentRow {
  deployment: number;
  app: string;
  digest: string;
  spec: string;
  status: DeploymentRecord["status"];
  error: string | null;
  created_at: number;
  upload_blob: string | null;
}

export interface JobRow {
  job: number;
  queue: number;
  deployment: number;
  status: JobStatus;
  hold: "delay" | "key" | null;
  priority: number;
  place: number;
  attempt: number;
  max_attempts: number;
  lost_count: number;
  crash_count: number;
  fence: number;
  replica: string | null;
  owner: string | null;
  run_after: number | null;
  expires_at: number | null;
  cancel_requested_at: number | null;
  created_at: number;
  started_at: number | null;
  finished_at: number | null;
  status_since: number;
  ttl_s: number;
  concurrency_key: string | null;
  key_limit: number | null;
  parent: number | null;
  retry_of: number | null;
  webhook: 0 | 1;
  events_window: number;
  events_window_bytes: number;
  first_event: number;
  last_event: number;
  tail_first: number;
  segment_bytes: number;
  progress: number;
  message: string | null;
  error: string | null;
  input: string | null;
  log: string;
  result: string | null;
}

/** The columns of `jobs` in their order, which whole rows are read by: to make an object of named columns takes SQLite as long again. */
export const JOB_COLUMNS = [
  "job",
  "queue",
  "deployment",
  "status",
  "hold",
  "priority",
  "place",
  "attempt",
  "max_attempts",
  "lost_count",
  "crash_count",
  "fence",
  "replica",
  "owner",
  "run_after",
  "expires_at",
  "cancel_requested_at",
  "created_at",
  "started_at",
  "finished_at",
  "status_since",
  "ttl_s",
  "concurrency_key",
  "key_limit",
  "parent",
  "retry_of",
  "webhook",
  "events_window",
  "events_window_bytes",
  "first_event",
  "last_event",
  "tail_first",
  "segment_bytes",
  "progress",
  "message",
  "error",
  "input",
  "log",
  "result",
] as const satisfies (keyof JobRow)[];

export function jobRow(values: unknown[]): JobRow {
  const [
    job,
    queue,
    deployment,
    status,
    hold,
    priority,
    place,
    attempt,
    max_attempts,
    lost_count,
    crash_count,
    fence,
    replica,
    owner,
    run_after,
    expires_at,
    cancel_requested_at,
    created_at,
    started_at,
    finished_at,
    status_since,
    ttl_s,
    concurrency_key,
    key_limit,
    parent,
    retry_of,
    webhook,
    events_window,
    events_window_bytes,
    first_event,
    last_event,
    tail_first,
    segment_bytes,
    progress,
    message,
    error,
    input,
    log,
    result,
  ] = values;
  return {
    job,
    queue,
    deployment,
    status,
    hold,
    priority,
    place,
    attempt,
    max_attempts,
    lost_count,
    crash_count,
    fence,
    replica,
    owner,
    run_after,
    expires_at,
    cancel_requested_at,
    created_at,
    started_at,
    finished_at,
    status_since,
    ttl_s,
    concurrency_key,
    key_limit,
    parent,
    retry_of,
    webhook,
    events_window,
    events_window_bytes,
    first_event,
    last_event,
    tail_first,
    segment_bytes,
    progress,
    message,
    error,
    input,
    log,
    result,
  } as JobRow;
}

interface ScheduleRow {
  app: string;
  function: string;
  spec: string;
  next_at: number;
  paused: 0 | 1;
  last_at: number | null;
  last_job: number | null;
}

export interface WebhookRow {
  url: string;
  secret: string;
  state: WebhookRecord["state"];
  attempts: number;
  error: string | null;
  next_at: number | null;
}

export function toDeployment(row: DeploymentRow): DeploymentRecord {
  return {
    deployment: row.deployment,
    app: row.app,
    digest: row.digest,
    spec: JSON.parse(row.spec),
    status: row.status,
    error: row.error === null ? null : JSON.parse(row.error),
    createdAt: row.created_at,
    uploadBlob: row.upload_blob,
  };
}

export function toJob(db: Connection, row: JobRow): JobRecord {
  const name = db.queueName(row.queue);
  return {
    job: row.job,
    app: name.app,
    function: name.function,
    deployment: row.deployment,
    status: row.status,
    input: row.input ?? longInput(db, row.job),
    result: row.result,
    error: row.error === null ? null : JSON.parse(row.error),
    progress: row.progress,
    message: row.message,
    attempt: row.attempt,
    maxAttempts: row.max_attempts,
    lostCount: row.lost_count,
    crashCount: row.crash_count,
    fence: row.fence,
    replica: row.replica,
    runAfter: row.run_after,
    expiresAt: row.expires_at,
    cancelRequestedAt: row.cancel_requested_at,
    createdAt: row.created_at,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
    statusSince: row.status_since,
    ttlS: row.ttl_s,
    eventsWindow: row.events_window,
    eventsWindowBytes: row.events_window_bytes,
    lastEvent: row.last_event,
    priority: row.priority,
    concurrencyKey: keyOf(row),
    keyWaits: row.hold === "key",
    parent: row.parent,
    retryOf: row.retry_of,
    hasWebhook: row.webhook === 1,
  };
}

export function toSchedule(row: unknown): ScheduleRecord {
  const { app, function: name, spec, next_at, paused, last_at, last_job } = row as ScheduleRow;
  return {
    ...{ app, function: name, spec: JSON.parse(spec), nextAt: next_at, paused: paused === 1 },
    ...{ lastAt: last_at, lastJob: last_job },
  };
}

function longInput(db: Connection, job: number): string {
  return (db.get("jobInput", { job }) as { input: string }).input;
}

function keyOf(row: JobRow): { key: string; limit: number } | null {
  if (row.concurrency_key === null || row.key_limit === null) return null;
  return { key: row.concurrency_key, limit: row.key_limit };
}
