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
    traceparent,
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
    traceparent,
  } as JobRow;
}

/** The columns of `jobs` in their order, which whole rows are read by. */
export const JOB_COLUMNS: readonly string[] = Object.keys(jobRow([]));
