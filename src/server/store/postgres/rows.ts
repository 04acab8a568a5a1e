import type { JobError } from "../../../protocol/job.ts";
import * as rows from "../rows.ts";
import type { JobRecord } from "../store.ts";

/** A row of `jobs`. */
export interface JobRow extends rows.JobColumns {
  input: string;
  error: JobError | null;
  tail: string;
  has_webhook: boolean;
}

export function toJob(row: JobRow, name: rows.QueueName): JobRecord {
  return rows.toJob(row, name, { input: row.input, error: row.error, hasWebhook: row.has_webhook });
}

/** PostgreSQL's text cannot hold the character NUL. */
export function storable(text: string): string {
  return text.includes("\0") ? text.replaceAll("\0", "\ufffd") : text;
}
