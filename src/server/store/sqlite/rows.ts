import * as rows from "../rows.ts";
import type { DeploymentRecord, JobRecord, ScheduleRecord, WebhookRecord } from "../store.ts";
import type { Connection } from "./connection.ts";

/** Rows as SQLite has them. */

export type DeploymentRow = Omit<rows.DeploymentRow, "spec" | "error"> & { spec: string; error: string | null };

type ScheduleRow = Omit<rows.ScheduleRow, "spec" | "paused"> & { spec: string; paused: 0 | 1 };

export interface JobRow extends rows.JobColumns {
  webhook: 0 | 1;
  tail_first: number;
  segment_bytes: number;
  error: string | null;
  /** Null: it is long, and stands in a table of its own. */
  input: string | null;
  log: string;
}

export interface WebhookRow {
  url: string;
  secret: string;
  state: WebhookRecord["state"];
  attempts: number;
  error: string | null;
  next_at: number | null;
}

/** Of the values of a whole row, in their order: to make an object of named columns takes SQLite as long again. */
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

/** The columns of `jobs` in their order, which whole rows are read by. */
export const JOB_COLUMNS: readonly string[] = Object.keys(jobRow([]));

export function toDeployment(row: DeploymentRow): DeploymentRecord {
  return rows.toDeployment({
    ...row,
    spec: JSON.parse(row.spec),
    error: row.error === null ? null : JSON.parse(row.error),
  });
}

export function toJob(db: Connection, row: JobRow): JobRecord {
  return rows.toJob(row, db.queueName(row.queue), {
    input: row.input ?? longInput(db, row.job),
    error: row.error === null ? null : JSON.parse(row.error),
    hasWebhook: row.webhook === 1,
  });
}

export function toSchedule(row: unknown): ScheduleRecord {
  const schedule = row as ScheduleRow;
  return rows.toSchedule({ ...schedule, spec: JSON.parse(schedule.spec), paused: schedule.paused === 1 });
}

function longInput(db: Connection, job: number): string {
  return (db.get("jobInput", { job }) as { input: string }).input;
}
