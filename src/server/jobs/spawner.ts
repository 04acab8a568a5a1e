import { SERVER_DEFAULTS } from "../../protocol/defaults.ts";
import { AthanorError } from "../../protocol/errors.ts";
import type { Json } from "../../protocol/json.ts";
import type { FunctionSpec } from "../../protocol/spec.ts";
import type { RunnableDeployment } from "../scheduler/deployment.ts";
import type { Group } from "../scheduler/group.ts";
import type { InsertedJob, JobRecord, NewJob } from "../store/store.ts";
import type { Dispatcher, Place } from "./dispatcher.ts";
import { NO_OPTIONS, newJob, type SpawnOptions } from "./new-job.ts";
import { clockOf, type JobsOptions } from "./options.ts";
import { callHash, type StoredPayload, storePayload } from "./payload.ts";

/** A call to be queued. */
export interface Call {
  /** The wire body, validated; media stand in it as MediaRef whose `$media` is an index of `attachments`. */
  body: Json;
  attachments: Uint8Array[];
  options?: SpawnOptions;
  /** Of the request that makes it, and no part of what a call must be to be the same as an earlier one. Default null: none. */
  traceparent?: string | null;
}

export interface Target {
  deployment: RunnableDeployment;
  fn: FunctionSpec;
  idempotencyKey: string | null;
}

export interface Inserted extends InsertedJob {
  /** A place was at hand: it does not wait. */
  atOnce: boolean;
}

/**
 * The way of calls into the queue, and past it: where a place is at hand that no other job waits for, the store starts a job in the step that inserts it.
 */
export class Spawner {
  readonly #options: JobsOptions;
  readonly #dispatcher: Dispatcher;
  readonly #now: () => number;
  readonly #retryAfterS: (app: string, name: string, group: Group) => number;

  constructor(
    options: JobsOptions,
    dispatcher: Dispatcher,
    retryAfterS: (app: string, name: string, group: Group) => number,
  ) {
    this.#options = options;
    this.#dispatcher = dispatcher;
    this.#now = clockOf(options);
    this.#retryAfterS = retryAfterS;
  }

  async spawn(target: Target, call: Call): Promise<Inserted> {
    const stored = this.#store(call);
    const input = stored instanceof Promise ? await stored : stored;
    const now = this.#now();
    return (await this.#insert(target, [this.#newJob(target, call, input, now)], now))[0] as Inserted;
  }

  /** The job is inserted by a step of the store that does more, or, where that finds it right, is not. */
  async spawnBy<R extends { inserted: InsertedJob | null }>(
    target: Target,
    call: Call,
    insert: (job: NewJob) => Promise<R>,
  ): Promise<R> {
    const result = await insert(this.#newJob(target, call, await this.#store(call), this.#now()));
    if (result.inserted !== null)
      this.#inserted(this.#options.scheduler.groupFor(target.deployment, target.fn), [result.inserted]);
    return result;
  }

  /** All or none, in one commit; with an idempotency key, all of the same earlier call. */
  async spawnMany(target: Target, calls: Call[]): Promise<Inserted[]> {
    const inputs: StoredPayload[] = [];
    for (const call of calls) {
      const stored = this.#store(call);
      inputs.push(stored instanceof Promise ? await stored : stored);
    }
    const now = this.#now();
    const jobs = calls.map((call, index) =>
      this.#newJob(target, call, inputs[index] as StoredPayload, now, { index, count: calls.length }),
    );
    return await this.#insert(target, jobs, now);
  }

  /** Another job with the input of an earlier one, which is named by the options' blobs as well. */
  async again(target: Target, of: JobRecord, input: StoredPayload, options: SpawnOptions): Promise<Inserted> {
    const key = target.idempotencyKey;
    const idempotency = key === null ? null : { key, inputHash: callHash(input.payload, `again ${of.job}`) };
    const { deployment, fn } = target;
    const now = this.#now();
    const { traceparent } = of;
    const job = newJob({ deployment, fn, input, options, idempotency, retryOf: of.job, traceparent, now });
    return (await this.#insert(target, [job], now))[0] as Inserted;
  }

  #store({ body, attachments }: Call): StoredPayload | Promise<StoredPayload> {
    return storePayload({
      value: body,
      attachments,
      blobs: this.#options.blobs,
      invalid: inputInvalid,
      maxBytes: SERVER_DEFAULTS.maxJobInputBytes,
    });
  }

  #newJob(
    { deployment, fn, idempotencyKey }: Target,
    { options = NO_OPTIONS, traceparent = null }: Call,
    input: StoredPayload,
    now: number,
    at?: { index: number; count: number },
  ): NewJob {
    const idempotency =
      idempotencyKey === null
        ? null
        : {
            // No header holds a tab, so that no other call's key is the same.
            key: at === undefined ? idempotencyKey : `${idempotencyKey}\t${at.index}`,
            inputHash: callHash(
              input.payload,
              (options === NO_OPTIONS ? "" : JSON.stringify(options)) + (at === undefined ? "" : ` of ${at.count}`),
            ),
          };
    return newJob({ deployment, fn, input, options, idempotency, retryOf: null, traceparent, now });
  }

  async #insert({ deployment, fn }: Target, jobs: NewJob[], now: number): Promise<Inserted[]> {
    const { store, scheduler } = this.#options;
    const due = jobs.reduce((count, { runAfter }) => count + (runAfter === null ? 1 : 0), 0);
    const group = scheduler.groupFor(deployment, fn);
    const place = due === 1 && jobs.length === 1 ? this.#dispatcher.takePlace(group, fn.name) : null;
    const insertion = store.jobInsertMany({ jobs, start: place?.start ?? null, now });
    // The claim joins the insertion's transaction where the store takes steps in the order of the calls; elsewhere it might come before it, and
    // find nothing.
    const claims = place === null && !store.shared && due > 0 && this.#dispatcher.hasRoom(group);
    if (claims) this.#dispatcher.due.raise(group, due);
    let inserted: InsertedJob[];
    try {
      inserted = await insertion;
    } catch (error) {
      place?.settle(null);
      throw this.#refused(error, fn.name, group);
    }
    // A group may have been let go in the meantime, so it is looked up again.
    this.#inserted(claims ? null : scheduler.groupFor(deployment, fn), inserted);
    if (place !== null) this.#settle(place, inserted[0] ?? null, now);
    return inserted.map((each) => ({
      ...each,
      atOnce: each.started !== null || (claims && !each.existing && each.position === 1),
    }));
  }

  #settle(place: Place, inserted: InsertedJob | null, now: number): void {
    const started = inserted?.started ?? null;
    place.settle(started);
    // Others are due that this server has not counted yet.
    if (started === null && inserted !== null && inserted.position > 1) this.#dispatcher.due.refreshAt(now);
  }

  #inserted(toRaise: Group | null, inserted: InsertedJob[]): void {
    const { due } = this.#dispatcher;
    let ready = 0;
    for (const { job, existing, started } of inserted) {
      if (existing) continue;
      this.#options.changed?.(job);
      if (job.status !== "queued" || started !== null) continue;
      if (job.runAfter !== null) due.expect(job.runAfter);
      else if (!job.keyWaits) ready++;
      if (job.expiresAt !== null) due.expect(job.expiresAt);
    }
    if (toRaise !== null && ready > 0) due.raise(toRaise, ready);
  }

  #refused(error: unknown, name: string, group: Group): unknown {
    if (!(error instanceof AthanorError) || error.code !== "queue_full") return error;
    const headers = { ...error.headers, "retry-after": String(this.#retryAfterS(group.deployment.app, name, group)) };
    return new AthanorError("queue_full", error.detail, { hint: error.hint, headers });
  }
}

function inputInvalid(detail: string): AthanorError {
  return new AthanorError("input_invalid", detail);
}
