import type { JobStatus } from "../../protocol/job.ts";
import type { AppSpec, ScheduleSpec } from "../../protocol/spec.ts";
import type { DeploymentError, DeploymentRecord, JobRecord, ScheduleRecord } from "./store.ts";

/** Rows as both databases have them, and what the contract makes of them. Where SQLite keeps text for JSON or 0 and 1, it reads these first. */

export interface DeploymentRow {
  deployment: number;
  app: string;
  digest: string;
  spec: AppSpec;
  upload_blob: string | null;
  status: DeploymentRecord["status"];
  error: DeploymentError | null;
  created_at: number;
}

export interface ScheduleRow {
  app: string;
  function: string;
  spec: ScheduleSpec;
  next_at: number;
  paused: boolean;
  last_at: number | null;
  last_job: number | null;
}

/** The app and function of a queue. */
export interface QueueName {
  app: string;
  function: string;
}

/** The columns of `jobs` that are the same in both. */
export interface JobColumns {
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
  traceparent: string | null;
  events_window: number;
  events_window_bytes: number;
  first_event: number;
  last_event: number;
  progress: number;
  message: string | null;
  result: string | null;
}

/** What of a job each database keeps in its own way. */
type JobOwn = Pick<JobRecord, "input" | "error" | "hasWebhook">;

export function toDeployment(row: DeploymentRow): DeploymentRecord {
  const { deployment, app, digest, spec, status, error } = row;
  return { deployment, app, digest, spec, uploadBlob: row.upload_blob, status, error, createdAt: row.created_at };
}

export function toJob(row: JobColumns, name: QueueName, { input, error, hasWebhook }: JobOwn): JobRecord {
  const { concurrency_key: key, key_limit: limit } = row;
  return {
    job: row.job,
    app: name.app,
    function: name.function,
    deployment: row.deployment,
    status: row.status,
    input,
    result: row.result,
    error,
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
    concurrencyKey: key === null || limit === null ? null : { key, limit },
    keyWaits: row.hold === "key",
    parent: row.parent,
    retryOf: row.retry_of,
    traceparent: row.traceparent,
    hasWebhook,
  };
}

export function toSchedule(row: ScheduleRow): ScheduleRecord {
  const { app, function: name, spec, paused } = row;
  return { app, function: name, spec, nextAt: row.next_at, paused, lastAt: row.last_at, lastJob: row.last_job };
}
