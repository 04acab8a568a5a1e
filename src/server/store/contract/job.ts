import type { JobError, JobStatus } from "../../../protocol/job.ts";

/**
 * Text of a job's input or result: JSON, or `@` and the SHA-256 (hex) of the blob that holds the JSON, which no JSON begins with. To the
 * store it is only text, but for `job.result` events, whose `blob` it then is.
 */
export type Payload = string;

export interface NewJob {
  app: string;
  function: string;
  deployment: number;
  /** The wire body. */
  input: Payload;
  /** SHA-256 hex of blobs that the input names. */
  inputBlobs: string[];
  /** Jobs of this function that may be queued at once; see QueueSpec.size. */
  queueSize: number;
  ttlS: number;
  eventsWindow: number;
  eventsWindowBytes: number;
  maxAttempts: number;
  idempotency: { key: string; inputHash: string } | null;
  /** Higher starts sooner. */
  priority: number;
  /** Not claimed before this time; null: at once. */
  runAfter: number | null;
  /** Expires where its first attempt has not started by then; null: never. */
  expiresAt: number | null;
  /** At most `limit` jobs of the function with this key run at a time. Where jobs of a key differ in it, that of the job that would start holds. */
  concurrencyKey: { key: string; limit: number } | null;
  /** The job whose code made this one; it is cancelled with it. */
  parent: number | null;
  retryOf: number | null;
  /** The trace that it belongs to, as W3C Trace Context writes it; null: none. */
  traceparent: string | null;
  webhook: { url: string; secret: string } | null;
}

export interface InsertedJob {
  /** As it was queued. */
  job: JobRecord;
  existing: boolean;
  position: number;
  /** As it runs, where the same step has started it. */
  started: JobRecord | null;
}

/** Where a job that is inserted may run at once. */
export interface JobStart {
  limit: number;
  /** As in ClaimFunction. */
  concurrency: number | null;
  replica: string;
  /** The server that runs it: its lease holds for it. */
  owner: string;
}

export interface JobRecord {
  job: number;
  app: string;
  function: string;
  deployment: number;
  status: JobStatus;
  input: Payload;
  /** Null until it succeeded. */
  result: Payload | null;
  error: JobError | null;
  progress: number;
  message: string | null;
  /** Attempts started so far, lost ones too: `attempt - lostCount` is what counts against `maxAttempts`. */
  attempt: number;
  maxAttempts: number;
  /** Times that the attempt was lost with its replica or server. */
  lostCount: number;
  /** Of these, times that its replica died under it. */
  crashCount: number;
  /** Grows with each claim; a write under an older fence is refused. */
  fence: number;
  replica: string | null;
  /** Not claimed before this time; null: at once. */
  runAfter: number | null;
  expiresAt: number | null;
  cancelRequestedAt: number | null;
  createdAt: number;
  startedAt: number | null;
  finishedAt: number | null;
  /** Since when it has been in its present status. */
  statusSince: number;
  ttlS: number;
  eventsWindow: number;
  eventsWindowBytes: number;
  /** The newest event's id. */
  lastEvent: number;
  priority: number;
  concurrencyKey: { key: string; limit: number } | null;
  /** It is queued and waits for its concurrency key to have room. */
  keyWaits: boolean;
  parent: number | null;
  retryOf: number | null;
  traceparent: string | null;
  /** There is a webhook for its end; see webhookGet. */
  hasWebhook: boolean;
}
