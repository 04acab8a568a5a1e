import type { JobError, JobStatus, Waiting } from "../job.ts";
import type { Json } from "../json.ts";
import type { Problem } from "./answers.ts";

/** A job as the API shows it. Times are ISO 8601; `progress` is 0 to 1. */
export interface JobJson {
  job_id: string;
  app: string;
  function: string;
  deployment_id: string;
  status: JobStatus;
  progress: number;
  message: string | null;
  attempt: number;
  created_at: string;
  started_at: string | null;
  finished_at: string | null;
  execution_time_s: number | null;
  result: Json;
  error: JobError | null;
  waiting: Waiting | null;
  priority: number;
  concurrency_key: string | null;
  /** The job whose code spawned this one. */
  parent_id: string | null;
  /** The job that this one was made from, by `retry` or `replay`. */
  retry_of: string | null;
  /** Not started before; null: at once. */
  run_at: string | null;
  /** Expires where it has not started by then. */
  expires_at: string | null;
  links: { self: string; events: string; result: string; cancel: string };
}

/** Body of `POST /v1/apps/:app/functions/:fn/jobs`. `args` are the wire parameters in order, `kwargs` by name. */
export interface SpawnRequest {
  args?: Json[];
  kwargs?: { [name: string]: Json };
  options?: SpawnOptionsJson;
  /** The trace that the call belongs to, in place of the request's header of that name. */
  traceparent?: string;
}

/** How one call is queued. Absent: as the function's own options say. */
export interface SpawnOptionsJson {
  /** A whole number from -1000 to 1000; higher starts sooner. */
  priority?: number;
  delay_s?: number;
  /** ISO 8601; in place of `delay_s`. */
  run_at?: string;
  ttl_s?: number;
  expire_s?: number;
  concurrency_key?: string;
  /** POSTed to at the job's end. The secret signs the body, and is never shown again. */
  webhook?: { url: string; secret: string };
}

/** Body of `POST /v1/apps/:app/functions/:fn/jobs/batch`: all are enqueued, or none. */
export interface SpawnManyRequest {
  calls: SpawnRequest[];
}

export interface SpawnManyResult {
  /** In the order of the calls. */
  job_ids: string[];
}

/** Body of `POST /v1/jobs/cancel`: all that fit every part that is given; at least one part, or `all`. */
export interface CancelManyRequest {
  app?: string;
  function?: string;
  status?: ("queued" | "running")[];
  concurrency_key?: string;
  parent_id?: string;
  all?: boolean;
}

export interface CancelManyResult {
  /** Jobs that were queued, and have ended. */
  cancelled: number;
  /** Jobs that run, and are being stopped. */
  stopping: number;
}

/**
 * Body of `POST /v1/calls`: calls of any functions in one request. Each is accepted or refused for itself, in order; those that are accepted are
 * on disk together. The answer is a line of JSON (`application/x-ndjson`) for each call, as it comes, and begins once all are on disk.
 */
export interface CallsRequest {
  calls: CallRequest[];
}

export interface CallRequest extends SpawnRequest {
  app: string;
  function: string;
  /** As the header Idempotency-Key of a single call. */
  idempotency_key?: string;
  /** Answered once the job has ended, or as it is when the request's `Prefer: wait=N` is over; false: at once. */
  wait?: boolean;
  /** The caller will read the events with `?hold=true`: until it comes, chunks are held as if it were there. */
  stream?: boolean;
}

/** `call` is the index of the call in the request. */
export type CallAnswer = { call: number; job: JobJson } | { call: number; problem: Problem };
