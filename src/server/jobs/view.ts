import { SERVER_DEFAULTS } from "../../protocol/defaults.ts";
import type { JobEventData } from "../../protocol/event.ts";
import type { Waiting } from "../../protocol/job.ts";
import type { Json } from "../../protocol/json.ts";
import type { JobJson } from "../../protocol/wire.ts";
import type { Group } from "../scheduler/group.ts";
import type { JobRecord, Payload, QueueRecord } from "../store/store.ts";
import { jobJson } from "./json.ts";
import { expandMedia, hasMedia } from "./media.ts";
import { type Meter, type Pace, retryAfterS } from "./meter.ts";
import { clockOf, type JobsOptions } from "./options.ts";
import type { Pauses } from "./pauses.ts";
import { payloadText } from "./payload.ts";
import type { Inserted } from "./spawner.ts";
import { waitingOf } from "./waiting.ts";

/** How jobs look to whoever asks, and why those that wait do so. */
export class JobView {
  readonly #options: JobsOptions;
  readonly #pauses: Pauses;
  readonly #meter: Meter;
  readonly #now: () => number;

  constructor(options: JobsOptions, pauses: Pauses, meter: Meter) {
    this.#options = options;
    this.#pauses = pauses;
    this.#meter = meter;
    this.#now = clockOf(options);
  }

  async toJson(record: JobRecord): Promise<JobJson> {
    const queued = record.status === "queued";
    return this.#json(record, queued ? await this.#options.store.queueList({ app: record.app }) : []);
  }

  /** Of a list: where many jobs wait, each one's position is not counted. */
  async toJsonMany(records: JobRecord[]): Promise<JobJson[]> {
    const queued = records.some(({ status }) => status === "queued");
    const queues = queued ? await this.#options.store.queueList({}) : [];
    return await Promise.all(records.map((record) => this.#json(record, queues, SERVER_DEFAULTS.maxCountedPositions)));
  }

  /** Of a job that was just made, without asking the store. */
  inserted({ job, position, existing, atOnce }: Inserted): JobJson | Promise<JobJson> {
    if (existing || job.status !== "queued") return this.toJson(job);
    return jobJson(job, null, atOnce ? null : this.#waitingAt(job, position, null));
  }

  /** A value of the job as the API shows it: each MediaRef becomes a MediaJson. For `job.chunk` events. */
  expand(job: number, value: Json): Promise<Json> {
    return expandMedia(job, value, this.#options.blobs);
  }

  /** The value of a `job.result` event as the API shows it, wherever it is stored. */
  expandResult(job: number, { value, blob }: JobEventData["job.result"]): Promise<Json> {
    return blob === undefined ? this.expand(job, value) : this.#expandPayload(job, `@${blob}`);
  }

  /** The JSON of an input or a result. */
  payloadText(payload: Payload): Promise<string> {
    return payloadText(payload, this.#options.blobs);
  }

  /** For a full queue: seconds until there should be a place. */
  retryAfterS(app: string, name: string, group: Group): number {
    return retryAfterS(this.#pace(app, name, group, group.load));
  }

  async #json(
    record: JobRecord,
    queues: QueueRecord[],
    maxCounted: number = Number.POSITIVE_INFINITY,
  ): Promise<JobJson> {
    const [result, waiting] = await Promise.all([
      record.result === null ? null : this.#expandPayload(record.job, record.result),
      record.status === "queued" ? this.#waiting(record, queues, maxCounted) : null,
    ]);
    return jobJson(record, result, waiting);
  }

  async #expandPayload(job: number, payload: Payload): Promise<Json> {
    const text = await this.payloadText(payload);
    const value = JSON.parse(text) as Json;
    return hasMedia(text) ? this.expand(job, value) : value;
  }

  async #waiting(record: JobRecord, queues: QueueRecord[], maxCounted: number): Promise<Waiting | null> {
    const { job, app, function: name } = record;
    const queue = queues.find((each) => each.app === app && each.function === name) ?? null;
    if (queue !== null && queue.queued > maxCounted) return this.#waitingAt(record, null, queue);
    const position = await this.#options.store.jobPosition({ job });
    // It has started since the record was read.
    return position === null ? null : this.#waitingAt(record, position, queue);
  }

  /** `queue` null: as far as this server knows. */
  #waitingAt(record: JobRecord, position: number | null, queue: QueueRecord | null): Waiting {
    const { scheduler } = this.#options;
    const { app, deployment, function: name } = record;
    const group = scheduler.peek(deployment, name);
    const running = queue?.running ?? group?.load ?? 0;
    return waitingOf({
      record,
      position,
      paused: queue?.paused ?? this.#pauses.has(app, name),
      running,
      concurrency: group?.claimOf(name)?.concurrency ?? null,
      heldUntil: group?.heldUntil ?? 0,
      noCapacity: group === undefined ? null : (scheduler.noCapacity(group)?.detail ?? null),
      ready: group?.has("ready") ?? false,
      pace: this.#pace(app, name, group, running),
      now: this.#now(),
    });
  }

  #pace(app: string, name: string, group: Group | undefined, running: number): Pace {
    const claim = group?.claimOf(name);
    const rate = claim?.rate ?? null;
    const places = group === undefined ? 0 : group.replicas.length * group.concurrency;
    return {
      meanMs: this.#meter.meanMs(app, name, this.#now()),
      places: Math.min(claim?.concurrency ?? Number.POSITIVE_INFINITY, Math.max(running, places)),
      rate: rate === null ? null : { limit: rate.limit, perS: rate.perMs / 1000 },
    };
  }
}
