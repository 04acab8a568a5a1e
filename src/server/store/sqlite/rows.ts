import * as rows from "../rows.ts";
import type { DeploymentRecord, JobRecord, ScheduleRecord, WebhookRecord } from "../store.ts";
import type { Connection } from "./connection.ts";
import type { JobRow } from "./job-row.ts";

/** Rows as SQLite has them. */

export type DeploymentRow = Omit<rows.DeploymentRow, "spec" | "error"> & { spec: string; error: string | null };

type ScheduleRow = Omit<rows.ScheduleRow, "spec" | "paused"> & { spec: string; paused: 0 | 1 };

export interface WebhookRow {
  url: string;
  secret: string;
  state: WebhookRecord["state"];
  attempts: number;
  error: string | null;
  next_at: number | null;
}

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
