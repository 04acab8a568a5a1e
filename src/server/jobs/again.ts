import { AthanorError } from "../../protocol/errors.ts";
import { isFinal } from "../../protocol/job.ts";
import { formatId } from "../../protocol/names.ts";
import type { JobRecord } from "../store/store.ts";
import type { SpawnOptions } from "./new-job.ts";
import { clockOf, type JobsOptions } from "./options.ts";
import { blobsOf, type StoredPayload } from "./payload.ts";

/** Throws why a job cannot be run once more as it was. */
export function checkRetry({ job, status }: JobRecord): void {
  const id = formatId("jobs", job);
  if (status === "running")
    throw new AthanorError("job_not_ended", `${id} is running: it can be retried once it has ended.`);
  if (status === "succeeded")
    throw new AthanorError("job_succeeded", `${id} has succeeded: there is nothing to retry.`);
}

/** Throws where a job has not ended, so that its input may not be run as another yet. */
export function checkReplay({ job, status }: JobRecord): void {
  if (!isFinal(status))
    throw new AthanorError(
      "job_not_ended",
      `${formatId("jobs", job)} is ${status}: it can be replayed once it has ended.`,
    );
}

/** The input of an earlier job for a new one. Its blobs are kept from now on, whatever becomes of the earlier job. */
export async function inputAgain(record: JobRecord, { blobs }: JobsOptions): Promise<StoredPayload> {
  const hashes = await blobsOf(record.input, blobs);
  for (const hash of hashes) {
    if (!(await blobs.touch(hash)))
      throw new AthanorError(
        "internal",
        `The file ${hash} of ${formatId("jobs", record.job)} is gone from the data folder.`,
      );
  }
  return { payload: record.input, blobs: hashes };
}

/** As the earlier job was queued, but for its delay: it runs now, and has as long to start as that had. */
export async function optionsAgain(record: JobRecord, options: JobsOptions): Promise<SpawnOptions> {
  const { job, priority, ttlS, expiresAt, createdAt, concurrencyKey, hasWebhook } = record;
  const webhook = hasWebhook ? await options.store.webhookGet({ job }) : null;
  return {
    priority,
    runAt: clockOf(options)(),
    delayMs: null,
    ttlS,
    expireS: expiresAt === null ? null : Math.max(1, (expiresAt - createdAt) / 1000),
    concurrencyKey: concurrencyKey?.key ?? null,
    webhook: webhook === null ? null : { url: webhook.url, secret: webhook.secret },
    parent: null,
  };
}
