import type { JobRecord } from "./job.ts";

/** Webhooks: due once their job has ended; they live as long as their job, which is kept until its delivery is over. */
export interface WebhookVerbs {
  /**
   * Takes due deliveries, the longest due first, but none to `exceptHosts` (as `new URL(url).host` has them), which have enough under way. With
   * the claim an attempt counts; the delivery is due again at `now + leaseMs` unless it is finished before.
   */
  webhookClaim(p: { now: number; limit: number; leaseMs: number; exceptHosts: string[] }): Promise<WebhookDelivery[]>;
  /** D. Of the attempt that webhookClaim gave. `retryAt` null: it is over: delivered, or given up where there is an `error`. */
  webhookFinish(p: {
    job: number;
    attempt: number;
    retryAt: number | null;
    error: string | null;
    now: number;
  }): Promise<void>;
  webhookGet(p: { job: number }): Promise<WebhookRecord | null>;
  /**
   * D. Once more, now: a webhook that is due, delivered or failed is due at `now`; its attempts go on being counted. One whose job has not ended
   * is returned as it is; null where there is none.
   */
  webhookAgain(p: { job: number; now: number }): Promise<WebhookRecord | null>;
  /** When the next delivery is due to a host that is none of these; null: none waits. */
  webhookNext(p: { exceptHosts: string[] }): Promise<number | null>;
}

export interface WebhookDelivery {
  job: JobRecord;
  url: string;
  secret: string;
  /** 1 for the first. */
  attempt: number;
}

export interface WebhookRecord {
  url: string;
  /** For a job that is made from this one; shown to nobody. */
  secret: string;
  /** `waiting`: the job has not ended. */
  state: "waiting" | "due" | "delivered" | "failed";
  attempts: number;
  /** Why the last attempt failed. */
  error: string | null;
  nextAt: number | null;
}
