import type { VerbParams, WebhookDelivery, WebhookRecord } from "../store.ts";
import type { Connection } from "./connection.ts";
import { jobGet } from "./job-reads.ts";
import type { WebhookRow } from "./rows.ts";

/**
 *   waiting --the job ends--> due --webhookFinish--> delivered, failed
 *   due, delivered, failed --webhookAgain--> due now
 *   due --webhookClaim--> due at the end of the lease, one attempt on       due --webhookFinish with retryAt--> due then
 */

export function webhookClaim(db: Connection, p: VerbParams<"webhookClaim">): WebhookDelivery[] {
  const { now, limit, leaseMs } = p;
  const due = db.all<{ job: number }>("webhookClaimable", { now, limit, exceptHosts: JSON.stringify(p.exceptHosts) });
  return due.flatMap(({ job }) => {
    const record = jobGet(db, { job });
    if (record === null) return [];
    const { url, secret, attempts } = db.get("webhookStart", { job, until: now + leaseMs }) as WebhookRow;
    return [{ job: record, url, secret, attempt: attempts }];
  });
}

export function webhookFinish(db: Connection, p: VerbParams<"webhookFinish">): void {
  const { job, attempt, error } = p;
  const over = error === null ? "delivered" : "failed";
  const retryAt = p.retryAt === null ? null : Math.ceil(p.retryAt);
  db.run("webhookFinish", { job, attempt, error, retryAt, state: retryAt === null ? over : "due" });
}

export function webhookGet(db: Connection, p: VerbParams<"webhookGet">): WebhookRecord | null {
  const row = db.get<WebhookRow>("webhookGet", { job: p.job });
  if (row === undefined) return null;
  const { url, secret, state, attempts, error, next_at: nextAt } = row;
  return { url, secret, state, attempts, error, nextAt };
}

export function webhookAgain(db: Connection, p: VerbParams<"webhookAgain">): WebhookRecord | null {
  db.run("webhookAgain", { job: p.job, now: p.now });
  return webhookGet(db, p);
}

export function webhookNext(db: Connection, p: VerbParams<"webhookNext">): number | null {
  return (db.get("webhookNext", { exceptHosts: JSON.stringify(p.exceptHosts) }) as { next: number | null }).next;
}
