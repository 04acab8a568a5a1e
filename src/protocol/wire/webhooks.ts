import type { JobJson } from "./jobs.ts";

export type WebhookType = "job.succeeded" | "job.failed" | "job.cancelled" | "job.timed_out" | "job.expired";

/** What a webhook POSTs at a job's end. The same bytes in each attempt. */
export interface WebhookBody {
  type: WebhookType;
  /** When the job ended, ISO 8601. */
  timestamp: string;
  /** Its links are whole URLs, and open it without a token. */
  job: JobJson;
  /** The result is too large to come along: `job.result` is null, and `job.links.result` leads to it. */
  result_omitted: boolean;
}

/** The delivery of a job's webhook, of `GET /v1/jobs/:id/webhook`. */
export interface WebhookJson {
  /** Without its query, which may be secret. */
  url: string;
  /** `waiting`: the job has not ended. */
  state: "waiting" | "due" | "delivered" | "failed";
  /** Attempts so far. */
  attempts: number;
  /** After so many it is given up. */
  max_attempts: number;
  /** Why the last attempt failed. */
  last_error: string | null;
  next_at: string | null;
}
