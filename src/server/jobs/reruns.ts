import { AthanorError } from "../../protocol/errors.ts";
import { isFinal } from "../../protocol/job.ts";
import type { Json } from "../../protocol/json.ts";
import { formatId } from "../../protocol/names.ts";
import type { JobRecord } from "../store/store.ts";
import type { SpawnOptions } from "./new-job.ts";
import { clockOf, type JobsOptions } from "./options.ts";
import { blobsOf, payloadText, type StoredPayload } from "./payload.ts";
import type { Inserted, Spawner, Target } from "./spawner.ts";

/** `inserted` null: it is the job itself, due now. */
export interface Retried {
  record: JobRecord;
  inserted: Inserted | null;
}

export interface ReplayTarget extends Target {
  /** Throws where the function does not take the input. */
  check(body: Json): void;
}

/** The input of a job once more: it is never opened again itself, since `job.end` is the last entry of its log. */
export class Reruns {
  readonly #options: JobsOptions;
  readonly #spawner: Spawner;
  readonly #due: () => void;

  /** `due` is called when a job that was delayed is due. */
  constructor(options: JobsOptions, spawner: Spawner, due: () => void) {
    this.#options = options;
    this.#spawner = spawner;
    this.#due = due;
  }

  async retry(job: number, idempotencyKey: string | null): Promise<Retried> {
    const record = await this.#get(job);
    const id = formatId("jobs", job);
    if (record.status === "queued") return { record: await this.#runNow(record), inserted: null };
    if (record.status === "running")
      throw new AthanorError("job_not_ended", `${id} is running: it can be retried once it has ended.`);
    if (record.status === "succeeded")
      throw new AthanorError("job_succeeded", `${id} has succeeded: there is nothing to retry.`);
    const deployment = await this.#options.deployments.get(record.deployment);
    const fn = deployment.fn(record.function);
    if (fn === undefined) throw new Error(`${id} is of no function of its deployment`);
    const inserted = await this.#again({ deployment, fn, idempotencyKey }, record);
    return { record: inserted.job, inserted };
  }

  async replay(job: number, find: (record: JobRecord) => ReplayTarget): Promise<Inserted> {
    const record = await this.#get(job);
    if (!isFinal(record.status)) {
      const why = `${formatId("jobs", job)} is ${record.status}: it can be replayed once it has ended.`;
      throw new AthanorError("job_not_ended", why);
    }
    const target = find(record);
    target.check(JSON.parse(await payloadText(record.input, this.#options.blobs)) as Json);
    return await this.#again(target, record);
  }

  async #again(target: Target, record: JobRecord): Promise<Inserted> {
    const [input, options] = await Promise.all([inputOf(record, this.#options), optionsOf(record, this.#options)]);
    return await this.#spawner.again(target, record, input, options);
  }

  async #runNow({ job }: JobRecord): Promise<JobRecord> {
    const record = await this.#options.store.jobRunNow({ job, now: clockOf(this.#options)() });
    if (record === null) throw notFound(job);
    this.#due();
    return record;
  }

  async #get(job: number): Promise<JobRecord> {
    const record = await this.#options.store.jobGet({ job });
    if (record === null) throw notFound(job);
    return record;
  }
}

function notFound(job: number): AthanorError {
  return new AthanorError("job_not_found", `There is no ${formatId("jobs", job)}.`);
}

/** The input of an earlier job for a new one. Its blobs are kept from now on, whatever becomes of the earlier job. */
async function inputOf(record: JobRecord, { blobs }: JobsOptions): Promise<StoredPayload> {
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
async function optionsOf(record: JobRecord, options: JobsOptions): Promise<SpawnOptions> {
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
