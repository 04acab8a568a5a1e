import { WEBHOOK_DEFAULTS } from "../../protocol/defaults.ts";
import { formatId } from "../../protocol/names.ts";
import type { JobJson, WebhookBody, WebhookJson, WebhookType } from "../../protocol/wire.ts";
import { withKey } from "../jobs/links.ts";
import { payloadBlob } from "../jobs/payload.ts";
import type { JobRecord, WebhookRecord } from "../store/store.ts";
import { MAX_ATTEMPTS } from "./verdict.ts";

/**
 * What is POSTed at the job's end. It depends on the job and `origin` alone, so that each attempt sends the same. `toJson` shows a job as the
 * API does; `key` opens its links, which begin with `origin`.
 */
export async function webhookBody(p: {
  job: JobRecord;
  toJson(record: JobRecord): Promise<JobJson>;
  key: string;
  origin: string;
}): Promise<string> {
  const { job } = p;
  // Neither read nor expanded where it is too large anyway.
  const large = job.result !== null && (payloadBlob(job.result) !== null || isLong(job.result));
  const shown = await p.toJson(large ? { ...job, result: null } : job);
  const omitted = large || isLong(JSON.stringify(shown.result));
  const body: WebhookBody = {
    type: `job.${job.status}` as WebhookType,
    timestamp: new Date(job.finishedAt ?? job.statusSince).toISOString(),
    job: withKey(omitted ? { ...shown, result: null } : shown, formatId("jobs", job.job), p.key, p.origin),
    result_omitted: omitted,
  };
  return JSON.stringify(body);
}

function isLong(text: string): boolean {
  return Buffer.byteLength(text) > WEBHOOK_DEFAULTS.maxResultBytes;
}

/** The delivery as the API shows it. */
export function webhookJson({ url, state, attempts, error, nextAt }: WebhookRecord): WebhookJson {
  const { origin, pathname, search } = new URL(url);
  return {
    url: `${origin}${pathname}${search === "" ? "" : "?…"}`,
    state,
    attempts,
    max_attempts: MAX_ATTEMPTS,
    last_error: error,
    next_at: nextAt === null ? null : new Date(nextAt).toISOString(),
  };
}
