import type { JobColumns } from "../rows.ts";

/** A row of `jobs` as SQLite has it. */
export interface JobRow extends JobColumns {
  webhook: 0 | 1;
  tail_first: number;
  segment_bytes: number;
  error: string | null;
  /** Null: it is long, and stands in a table of its own. */
  input: string | null;
  log: string;
}

/** Of the values of a whole row, in their order: to make an object of named columns takes SQLite as long again. */
export function jobRow(values: unknown[]): JobRow {
  let at = 0;
  return {
    job: values[at++],
    queue: values[at++],
    deployment: values[at++],
    status: values[at++],
    hold: values[at++],
    priority: values[at++],
    place: values[at++],
    attempt: values[at++],
    max_attempts: values[at++],
    lost_count: values[at++],
    crash_count: values[at++],
    fence: values[at++],
    replica: values[at++],
    owner: values[at++],
    run_after: values[at++],
    expires_at: values[at++],
    cancel_requested_at: values[at++],
    created_at: values[at++],
    started_at: values[at++],
    finished_at: values[at++],
    status_since: values[at++],
    ttl_s: values[at++],
    concurrency_key: values[at++],
    key_limit: values[at++],
    parent: values[at++],
    retry_of: values[at++],
    webhook: values[at++],
    events_window: values[at++],
    events_window_bytes: values[at++],
    first_event: values[at++],
    last_event: values[at++],
    tail_first: values[at++],
    segment_bytes: values[at++],
    progress: values[at++],
    message: values[at++],
    error: values[at++],
    input: values[at++],
    log: values[at++],
    result: values[at++],
    traceparent: values[at++],
  } as JobRow;
}

/** The columns of `jobs` in their order, which whole rows are read by. */
export const JOB_COLUMNS: readonly string[] = Object.keys(jobRow([]));
