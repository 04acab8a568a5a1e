import { AthanorError } from "../../protocol/errors.ts";
import type { Json } from "../../protocol/json.ts";
import { runningEvent } from "../events/event-log.ts";
import type { Replica } from "../scheduler/group.ts";
import type { JobChange, JobOutcome, JobRecord } from "../store/store.ts";
import { Attempt } from "./attempt.ts";
import { Finisher } from "./finisher.ts";
import { clockOf, type JobsOptions } from "./options.ts";
import { type AttemptAnswer, type AttemptEnd, outcomeOf } from "./outcome.ts";
import { storePayload } from "./payload.ts";

export interface AttemptsListener {
  /** The attempt's place on its replica may be given to another; the job itself no longer counts against any limit. */
  placeFree(record: JobRecord, replica: Replica): void;
  /** The attempt's end is stored. */
  ended(change: JobChange, record: JobRecord, replica: Replica): void;
  /** The attempt is over, and the job not this server's any more: how it ended, if it has, the store knows. */
  released(record: JobRecord): void;
  /** Ends can be stored again: `blocked` no more. */
  unblocked(): void;
}

/**
 * The attempts under way, each from its claim to its stored end.
 *
 *   claimed --run()--> running --the replica's answer, or its loss--> ending --its end is stored--> over
 *
 * The end is issued to the store before the place is given away, so that the job that takes it is claimed after that; stored, where others may wait
 * for it by a limit and the store is a shared one.
 */
export class Attempts {
  readonly #options: JobsOptions;
  readonly #listener: AttemptsListener;
  readonly #finisher: Finisher;
  readonly #byJob = new Map<number, Attempt>();
  /** Those running or ending. */
  readonly #open = new Set<Promise<void>>();
  /** Told to stop while claims were under way, one of which may have taken the job. */
  readonly #cancelledEarly = new Set<number>();
  #claims = 0;

  constructor(options: JobsOptions, listener: AttemptsListener) {
    this.#options = options;
    this.#listener = listener;
    this.#finisher = new Finisher({
      store: options.store,
      log: options.log,
      now: clockOf(options),
      unblocked: () => listener.unblocked(),
    });
  }

  /** Ends cannot be stored just now: none should be made. */
  get blocked(): boolean {
    return this.#finisher.blocked;
  }

  start(): void {
    this.#finisher.start();
  }

  /** What runs has `drainMs` to end; then its replicas are killed, and what cannot be stored is given up. */
  async stop(drainMs: number): Promise<void> {
    await this.#allOver(drainMs);
    await this.abandonAll();
    this.#finisher.stop();
    await Promise.all(this.#open);
  }

  /** A job that was claimed for the replica, on a place that was taken for it. */
  run(record: JobRecord, replica: Replica): void {
    const { events, blobs, cancelGraceMs } = this.#options;
    const fn = replica.group.group.functions.find(({ name }) => name === record.function);
    if (fn === undefined) throw new Error(`the store gave a job of ${record.function} to ${replica.session.id}`);
    const grace = cancelGraceMs === undefined ? {} : { cancelGraceMs };
    const attempt = new Attempt({ record, fn, session: replica.session, events, blobs, ...grace });
    this.#byJob.set(record.job, attempt);
    events.publish(record.job, [runningEvent(record)]);
    this.#options.changed?.(record);
    if (this.#cancelledEarly.delete(record.job)) attempt.stop("cancelled");
    const over = this.#see(attempt, replica);
    this.#open.add(over);
    void over.finally(() => this.#open.delete(over));
  }

  /** Stops the code of a running job whose cancellation the store has noted. */
  cancel(job: number): void {
    const attempt = this.#byJob.get(job);
    if (attempt !== undefined) attempt.stop("cancelled");
    else if (this.#claims > 0) this.#cancelledEarly.add(job);
  }

  /** A claim is under way; call what is returned once its jobs are running. */
  claiming(): () => void {
    this.#claims++;
    return () => {
      this.#claims--;
      if (this.#claims === 0) this.#cancelledEarly.clear();
    };
  }

  /** The attempt under way of the job. */
  get(job: number): JobRecord | undefined {
    return this.#byJob.get(job)?.record;
  }

  /** Cancellations may have been missed: asks the store for those of the jobs that run. Never rejects. */
  async recheck(): Promise<void> {
    for (const { record, stopping } of [...this.#byJob.values()]) {
      if (stopping !== null) continue;
      try {
        const stored = await this.#options.store.jobGet({ job: record.job });
        if (stored?.fence === record.fence && stored.cancelRequestedAt !== null) this.cancel(record.job);
      } catch (error) {
        this.#options.log.error({ job: record.job, err: error }, "whether a job is to be cancelled could not be read");
      }
    }
  }

  /** Kills all that runs: the jobs may be other servers' by now, and nothing that these attempts write is taken. */
  async abandonAll(): Promise<void> {
    await Promise.all([...this.#byJob.values()].map((attempt) => attempt.abandon()));
  }

  /** Kills what runs of the app. */
  abandonApp(app: string): void {
    for (const attempt of this.#byJob.values()) if (attempt.record.app === app) void attempt.abandon();
  }

  /** From the opening of the call to the stored end of the attempt. */
  async #see(attempt: Attempt, replica: Replica): Promise<void> {
    const { record } = attempt;
    const { chaos } = this.#options;
    const answer = await (chaos?.attempt(record, () => attempt.run()) ?? attempt.run());
    let free = false;
    const giveBack = (): void => {
      if (free) return;
      free = true;
      this.#listener.placeFree(record, replica);
    };
    const prepare = (now: number): JobOutcome | Promise<JobOutcome> => {
      const outcome = this.#outcome(attempt, answer, now);
      return outcome instanceof Promise
        ? outcome.then((stored) => this.#flushed(attempt, stored))
        : this.#flushed(attempt, outcome);
    };
    const change = await this.#finisher.finish(record, prepare, this.#claimsMayOvertake(attempt) ? () => {} : giveBack);
    giveBack();
    this.#byJob.delete(record.job);
    if (change !== null) this.#listener.ended(change, record, replica);
    else this.#listener.released(record);
  }

  /**
   * Not waited for: the write of what was logged stands in the store's queue before the end's does, and shares its transaction. Where chunks are
   * among it, it may have to wait for a write of those before, and the end waits too.
   */
  #flushed({ record, logged, chunked }: Attempt, outcome: JobOutcome): JobOutcome | Promise<JobOutcome> {
    if (!logged) return outcome;
    const over = outcome.type === "retry" || outcome.type === "lose" ? "attempt" : "job";
    const written = this.#options.events.flush(record.job, over).catch(() => {});
    return chunked ? written.then(() => outcome) : outcome;
  }

  /**
   * A shared store keeps no order of calls: the claim for the place could come before the end, and find the limit still used up. Nothing would
   * tell it to look again.
   */
  #claimsMayOvertake({ record, fn }: Attempt): boolean {
    return this.#options.store.shared && (fn.limits.concurrency !== null || record.concurrencyKey !== null);
  }

  #outcome(attempt: Attempt, answer: AttemptAnswer, now: number): JobOutcome | Promise<JobOutcome> {
    const { record, fn, stopping } = attempt;
    const facts = {
      stopping,
      attempt: record.attempt - record.lostCount,
      maxAttempts: record.maxAttempts,
      crashCount: record.crashCount,
      retries: fn.retries,
      timeoutS: fn.timeoutS,
      now,
      random: Math.random(),
    };
    if (answer.type !== "result" || stopping !== null) {
      const end: AttemptEnd = answer.type === "result" ? { type: "notRun", why: "It was stopped." } : answer;
      return outcomeOf({ ...facts, end });
    }
    // What a generator made is its result: it is stored first, or the attempt has not succeeded yet.
    const made = attempt.chunked ? this.#options.events.flush(record.job) : Promise.resolve();
    return made.then(() => this.#storeResult(answer.value, answer.media)).then((end) => outcomeOf({ ...facts, end }));
  }

  async #storeResult(value: Json, attachments: Uint8Array[]): Promise<AttemptEnd> {
    const invalid = (detail: string): AthanorError => new AthanorError("output_invalid", detail);
    try {
      const { payload, blobs } = await storePayload({ value, attachments, blobs: this.#options.blobs, invalid });
      return { type: "result", result: payload, resultBlobs: blobs };
    } catch (error) {
      if (!(error instanceof AthanorError) || error.code !== "output_invalid") throw error;
      return { type: "error", error: { code: error.code, message: error.detail }, retryable: false };
    }
  }

  async #allOver(drainMs: number): Promise<void> {
    if (this.#open.size === 0) return;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, drainMs);
    });
    await Promise.race([Promise.all(this.#open), late]);
    clearTimeout(timer);
  }
}
