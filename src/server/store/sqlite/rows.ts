import type { JobEvent, JobEventType } from "../../../protocol/event.ts";
import type { JobStatus } from "../../../protocol/job.ts";
import type { DeploymentRecord, JobRecord } from "../store.ts";

export interface DeploymentRow {
  deployment: number;
  app: string;
  digest: string;
  spec: string;
  status: DeploymentRecord["status"];
  error: string | null;
  created_at: number;
}

/** A row of `jobs`. */
export interface JobRow {
  job: number;
  app: string;
  function: string;
  deployment: number;
  status: JobStatus;
  error: string | null;
  progress: number;
  message: string | null;
  attempt: number;
  max_attempts: number;
  lost_count: number;
  fence: number;
  replica: string | null;
  run_after: number | null;
  cancel_requested_at: number | null;
  created_at: number;
  started_at: number | null;
  finished_at: number | null;
  status_since: number;
  ttl_s: number;
  events_window: number;
  first_event: number;
  last_event: number;
}

export interface FullJobRow extends JobRow {
  input: string;
  result: string | null;
}

export interface EventRow {
  id: number;
  event: JobEventType;
  data: string;
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
    uploadBlob: null,
  };
}

export const NOT_STORED_YET = {
  crashCount: 0,
  expiresAt: null,
  eventsWindowBytes: 16 * 1024 * 1024,
  priority: 0,
  concurrencyKey: null,
  keyWaits: false,
  parent: null,
  retryOf: null,
  hasWebhook: false,
};

export function toJob(row: FullJobRow): JobRecord {
  return {
    job: row.job,
    app: row.app,
    function: row.function,
    deployment: row.deployment,
    status: row.status,
    input: row.input,
    result: row.result,
    error: row.error === null ? null : JSON.parse(row.error),
    progress: row.progress,
    message: row.message,
    attempt: row.attempt,
    maxAttempts: row.max_attempts,
    lostCount: row.lost_count,
    fence: row.fence,
    replica: row.replica,
    runAfter: row.run_after,
    cancelRequestedAt: row.cancel_requested_at,
    createdAt: row.created_at,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
    statusSince: row.status_since,
    ttlS: row.ttl_s,
    eventsWindow: row.events_window,
    lastEvent: row.last_event,
    ...NOT_STORED_YET,
  };
}

export function toEvent(row: EventRow): JobEvent {
  return { id: row.id, event: row.event, data: JSON.parse(row.data) } as JobEvent;
}
