import { createHash } from "node:crypto";
import { QUEUE_DEFAULTS } from "../../protocol/defaults.ts";
import { AthanorError } from "../../protocol/errors.ts";
import { isFinal, type Waiting } from "../../protocol/job.ts";
import type { Json } from "../../protocol/json.ts";
import { formatId } from "../../protocol/names.ts";
import type { FunctionSpec } from "../../protocol/spec.ts";
import type { JobJson } from "../../protocol/wire.ts";
import type { RunnableDeployment } from "../scheduler/deployment.ts";
import type { InsertedJob, JobChange, JobRecord } from "../store/store.ts";
import { Dispatcher } from "./dispatcher.ts";
import { jobJson } from "./json.ts";
import { expandMedia, hasMedia, storeMedia } from "./media.ts";
import type { JobsOptions } from "./options.ts";
import { Waiters } from "./waiters.ts";
import { waitingOf } from "./waiting.ts";

const DRAIN_MS = 10_000;

export interface SpawnJob {
  deployment: RunnableDeployment;
  fn: FunctionSpec;
  /** The wire body, validated; media stand in it as MediaRef whose `$media` is an index of `attachments`. */
  body: Json;
  attachments: Uint8Array[];
  idempotencyKey: string | null;
}

/**
 * Jobs from their insertion to their end.
 *
 *   stopped --start--> running: takes up what an earlier server left, then dispatches
 *   running --stop-->  stopped: no new jobs; those that run end, or go back to the queue
 */
export class Jobs implements AsyncDisposable {
  readonly #options: JobsOptions;
  readonly #now: () => number;
  readonly #waiters = new Waiters();
  readonly #dispatcher: Dispatcher;
  #running = false;

  constructor(options: JobsOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#dispatcher = new Dispatcher(options, (change) => this.#announce(change));
  }

  /** Takes up what an earlier server left: requeues its running jobs, and starts to run what is queued. Repeatable. */
  async start(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    const rescued = await this.#options.store.jobRescue({
      server: this.#dispatcher.owner,
      owners: "all",
      now: this.#now(),
      limit: Number.MAX_SAFE_INTEGER,
    });
    if (rescued.length > 0)
      this.#options.log.info({ jobs: rescued.length }, "jobs of an earlier server taken up again");
    for (const change of rescued) this.#announce(change);
    await this.#dispatcher.start();
  }

  /** Takes no more jobs, gives those that run `drainMs` to end, puts the rest back in the queue. Repeatable. Call before Scheduler.stop. */
  async stop(): Promise<void> {
    if (!this.#running) return;
    this.#running = false;
    await this.#dispatcher.stop(this.#options.drainMs ?? DRAIN_MS);
  }

  /** Resolves once the job is on disk. Rejects with queue_full, idempotency_conflict, storage_full, shutting_down. */
  async spawn({ deployment, fn, body, attachments, idempotencyKey }: SpawnJob): Promise<InsertedJob> {
    if (!this.#running)
      throw new AthanorError("shutting_down", "The server is stopping and takes no more jobs.", {
        headers: { "retry-after": "5" },
      });
    const invalid = (detail: string): AthanorError => new AthanorError("input_invalid", detail);
    const { text, hashes } = await storeMedia({ value: body, attachments, blobs: this.#options.blobs, invalid });
    const insertion = this.#options.store.jobInsertMany({
      jobs: [
        {
          app: deployment.app,
          function: fn.name,
          deployment: deployment.number,
          input: text,
          inputBlobs: hashes,
          queueSize: fn.queue?.size ?? QUEUE_DEFAULTS.size,
          ttlS: fn.queue?.ttlS ?? QUEUE_DEFAULTS.ttlS,
          eventsWindow: fn.events.window,
          eventsWindowBytes: fn.events.windowBytes,
          priority: fn.priority,
          runAfter: null,
          expiresAt: null,
          concurrencyKey: null,
          parent: null,
          retryOf: null,
          webhook: null,
          maxAttempts: fn.retries.max + 1,
          idempotency: idempotencyKey === null ? null : { key: idempotencyKey, inputHash: sha256(text) },
        },
      ],
      now: this.#now(),
    });
    // With room at hand the job is claimed in the very transaction that inserts it. Where that inserts nothing, the claim finds nothing.
    const group = this.#options.scheduler.groupFor(deployment, fn);
    const atOnce = this.#dispatcher.hasRoom(group);
    if (atOnce) this.#dispatcher.due.raise(group, 1);
    const inserted = (await insertion)[0] as InsertedJob;
    if (!inserted.existing) this.#options.changed?.(inserted.job);
    // A group may have been let go in the meantime, so it is looked up again.
    if (!atOnce && !inserted.existing) this.#dispatcher.due.raise(this.#options.scheduler.groupFor(deployment, fn), 1);
    return inserted;
  }

  /** A queued job ends at once; a running one is told to stop and ends soon after. Rejects with job_not_found, job_ended. */
  async cancel(job: number): Promise<JobRecord> {
    const change = (await this.#options.store.jobCancel({ job, now: this.#now() }))?.[0];
    if (change === undefined) throw notFound(job);
    const { status } = change.job;
    if (isFinal(status) && change.events.length === 0) {
      throw new AthanorError("job_ended", `${formatId("jobs", job)} has ended already, as ${status}.`);
    }
    this.#announce(change);
    if (status === "running") this.#dispatcher.attempts.cancel(job);
    else this.#dispatcher.due.lowered();
    return change.job;
  }

  /** The app's jobs have been deleted: what still runs of them is killed. */
  dropApp(app: string): void {
    this.#dispatcher.dropApp(app);
  }

  /** The job once it has ended, or as it is after `timeoutMs` or when the signal aborts. Rejects with job_not_found. */
  async wait(p: { job: number; timeoutMs: number; signal: AbortSignal }): Promise<JobRecord> {
    // Listening begins before the look, so that an end between the two is not missed.
    const { ended, leave } = this.#waiters.wait(p);
    try {
      const record = await this.#get(p.job);
      if (isFinal(record.status)) return record;
      return (await ended) ?? (await this.#get(p.job));
    } finally {
      leave();
    }
  }

  /**
   * Calls once, when a job that was just inserted has ended: its insertion and this call must stand in one turn, so that nothing can come
   * between. Returns what ends the listening.
   */
  onEnd(job: number, listener: (record: JobRecord) => void): () => void {
    return this.#waiters.listen(job, listener);
  }

  async toJson(record: JobRecord): Promise<JobJson> {
    const result = record.result === null ? null : await this.#expandText(record.job, record.result);
    return jobJson(record, result, await this.#waiting(record));
  }

  /** A value of the job as the API shows it: each MediaRef becomes a MediaJson. For `job.result` events. */
  async expand(job: number, value: Json): Promise<Json> {
    return expandMedia(job, value, this.#options.blobs);
  }

  async #expandText(job: number, text: string): Promise<Json> {
    const value = JSON.parse(text) as Json;
    return hasMedia(text) ? this.expand(job, value) : value;
  }

  async #waiting(record: JobRecord): Promise<Waiting | null> {
    if (record.status !== "queued") return null;
    const { store, scheduler } = this.#options;
    const position = await store.jobPosition({ job: record.job });
    // It has started since the record was read.
    if (position === null) return null;
    const group = scheduler.peek(record.deployment, record.function);
    const noCapacity = group === undefined ? null : (scheduler.noCapacity(group)?.detail ?? null);
    return waitingOf({ record, position, noCapacity, ready: group?.has("ready") ?? false, now: this.#now() });
  }

  async #get(job: number): Promise<JobRecord> {
    const record = await this.#options.store.jobGet({ job });
    if (record === null) throw notFound(job);
    return record;
  }

  #announce({ job, events }: JobChange): void {
    if (events.length > 0) {
      this.#options.events.publish(job.job, events);
      this.#options.changed?.(job);
    }
    this.#waiters.notify(job);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

function notFound(job: number): AthanorError {
  return new AthanorError("job_not_found", `There is no ${formatId("jobs", job)}.`);
}

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");
