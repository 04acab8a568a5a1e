import { AthanorError } from "../../protocol/errors.ts";
import { isFinal } from "../../protocol/job.ts";
import { formatId } from "../../protocol/names.ts";
import type { CancelManyResult, JobJson } from "../../protocol/wire.ts";
import type { InsertedJob, JobChange, JobFilter, JobRecord, NewJob, QueueRecord } from "../store/store.ts";
import { Canceller } from "./canceller.ts";
import { Dispatcher } from "./dispatcher.ts";
import { clockOf, type JobsOptions } from "./options.ts";
import { Pauses } from "./pauses.ts";
import { type ReplayTarget, Reruns, type Retried } from "./reruns.ts";
import { Signals } from "./signals.ts";
import { type Call, type Inserted, Spawner, type Target } from "./spawner.ts";
import { JobView } from "./view.ts";
import { Waiters } from "./waiters.ts";

export { NO_OPTIONS, type SpawnOptions } from "./new-job.ts";
export type { Call, Inserted, Target } from "./spawner.ts";

const DRAIN_MS = 10_000;
/** Jobs that one step of a rescue takes up. */
const RESCUE_STEP = 500;

/**
 * Jobs from their insertion to their end.
 *
 *   stopped --start--> running: takes up what an earlier server left, then dispatches
 *   running --stop-->  stopped: no new jobs; those that run end, or go back to the queue
 *
 * Parts: calls into the queue (spawner.ts), jobs once more (reruns.ts), jobs to replicas (dispatcher.ts), what stops them (canceller.ts), what other servers do (signals.ts),
 * how jobs look, and why they wait (view.ts).
 */
export class Jobs implements AsyncDisposable {
  /** Jobs as the API shows them. */
  readonly view: JobView;
  readonly #options: JobsOptions;
  readonly #now: () => number;
  readonly #waiters = new Waiters();
  readonly #pauses: Pauses;
  readonly #dispatcher: Dispatcher;
  readonly #spawner: Spawner;
  readonly #reruns: Reruns;
  readonly #canceller: Canceller;
  readonly #signals: Signals;
  #running = false;

  constructor(options: JobsOptions) {
    this.#options = options;
    this.#now = clockOf(options);
    this.#pauses = new Pauses(options.store);
    const announce = (change: JobChange): void => this.#announce(change);
    this.#dispatcher = new Dispatcher(options, this.#pauses, {
      changed: announce,
      released: (job) => void this.#signals.look([job]),
    });
    this.view = new JobView(options, this.#pauses, this.#dispatcher.meter);
    this.#spawner = new Spawner(options, this.#dispatcher, (app, name, group) =>
      this.view.retryAfterS(app, name, group),
    );
    this.#reruns = new Reruns(options, this.#spawner, () => void this.#dispatcher.due.refresh());
    this.#canceller = new Canceller(options, this.#dispatcher, announce);
    this.#signals = new Signals(options, this.#dispatcher, this.#waiters);
  }

  /** Takes up what an earlier server left, where there is no other that may be running it, and starts to run what is queued. Repeatable. */
  async start(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    this.#signals.start();
    if (!this.#options.store.shared) await this.#rescueAll();
    await this.#pauses.load();
    await this.#dispatcher.start();
  }

  /** Takes no more jobs, gives those that run `drainMs` to end, puts the rest back in the queue. Repeatable. Call before Scheduler.stop. */
  async stop(): Promise<void> {
    if (!this.#running) return;
    this.#running = false;
    await this.#dispatcher.stop(this.#options.drainMs ?? DRAIN_MS);
    this.#signals.stop();
  }

  /** Resolves once the job is on disk. Rejects with queue_full, idempotency_conflict, storage_full, shutting_down. */
  async spawn(p: Target & Call): Promise<Inserted> {
    this.#mustRun();
    return await this.#spawner.spawn(p, p);
  }

  /** As spawn, where the store inserts the job in a step with something else; `inserted` null: it has not. */
  async spawnBy<R extends { inserted: InsertedJob | null }>(
    target: Target,
    call: Call,
    insert: (job: NewJob) => Promise<R>,
  ): Promise<R> {
    this.#mustRun();
    return await this.#spawner.spawnBy(target, call, insert);
  }

  /** As spawn: all or none. */
  async spawnMany(p: Target & { calls: Call[] }): Promise<Inserted[]> {
    this.#mustRun();
    return await this.#spawner.spawnMany(p, p.calls);
  }

  /**
   * A queued job that waits for a delay is due now; one that has ended without success runs again as a new job of the same deployment, with the
   * same input and options. Rejects with job_not_found, job_not_ended (it runs), job_succeeded.
   */
  async retry(job: number, idempotencyKey: string | null): Promise<Retried> {
    this.#mustRun();
    return await this.#reruns.retry(job, idempotencyKey);
  }

  /** An ended job's input as a new job of another version of its function. `check` throws where that does not take it. */
  async replay(job: number, find: (record: JobRecord) => ReplayTarget): Promise<Inserted> {
    this.#mustRun();
    return await this.#reruns.replay(job, find);
  }

  /** With the jobs that its code has made: queued ones end at once, running ones are told to stop. Rejects with job_not_found, job_ended. */
  cancel(job: number): Promise<JobRecord> {
    return this.#canceller.cancel(job);
  }

  /** All queued and running jobs that the filter takes, and the jobs that these have made. */
  cancelMany(filter: JobFilter): Promise<CancelManyResult> {
    return this.#canceller.cancelMany(filter);
  }

  /** Of a paused queue nothing is started; what runs goes on. */
  async pause(p: { app: string; function: string; paused: boolean }): Promise<QueueRecord> {
    const queue = await this.#options.store.queuePause({ ...p, now: this.#now() });
    this.#pauses.set(queue);
    await this.#dispatcher.due.refresh();
    return queue;
  }

  /** The app's jobs have been deleted: what still runs of them is killed. */
  dropApp(app: string): void {
    this.#dispatcher.dropApp(app);
  }

  /** The server's lease ran out: its jobs may be others' by now. What runs is killed at once. */
  async leaseLost(): Promise<void> {
    await this.#dispatcher.attempts.abandonAll();
  }

  /** Jobs of lost servers that the store has put back in the queue, or ended. */
  rescued(changes: JobChange[]): void {
    if (changes.length === 0) return;
    this.#options.log.info({ jobs: changes.length }, "jobs of a lost server taken up again");
    for (const change of changes) this.#announce(change);
    void this.#dispatcher.due.refresh();
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

  /** The job whose code runs on the replica; undefined where it is no longer there. */
  runningOn(job: number, replicaId: string): JobRecord | undefined {
    const record = this.#dispatcher.attempts.get(job);
    return record?.replica === replicaId ? record : undefined;
  }

  toJson(record: JobRecord): Promise<JobJson> {
    return this.view.toJson(record);
  }

  async #rescueAll(): Promise<void> {
    const { store, log } = this.#options;
    let rescued = 0;
    for (let count = RESCUE_STEP; count === RESCUE_STEP; ) {
      const changes = await store.jobRescue({
        server: this.#dispatcher.owner(),
        owners: "all",
        now: this.#now(),
        limit: RESCUE_STEP,
      });
      for (const change of changes) this.#announce(change);
      count = changes.length;
      rescued += count;
    }
    if (rescued > 0) log.info({ jobs: rescued }, "jobs of an earlier server taken up again");
  }

  #mustRun(): void {
    if (this.#running) return;
    throw new AthanorError("shutting_down", "The server is stopping and takes no more jobs.", {
      headers: { "retry-after": "5" },
    });
  }

  async #get(job: number): Promise<JobRecord> {
    const record = await this.#options.store.jobGet({ job });
    if (record !== null) return record;
    throw new AthanorError("job_not_found", `There is no ${formatId("jobs", job)}.`);
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
