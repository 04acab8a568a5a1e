import { randomUUID } from "node:crypto";
import { AthanorError } from "../../protocol/errors.ts";
import type { Json } from "../../protocol/json.ts";
import { runningEvent } from "../events.ts";
import type { Group, Replica } from "../scheduler/group.ts";
import type { JobChange, JobOutcome, JobRecord } from "../store/store.ts";
import { allot } from "./allot.ts";
import { Attempt, type AttemptAnswer } from "./attempt.ts";
import { DueJobs } from "./due.ts";
import { Finisher } from "./finisher.ts";
import type { JobsOptions } from "./jobs.ts";
import { storeMedia } from "./media.ts";
import { type AttemptEnd, outcomeOf } from "./outcome.ts";

/** Jobs taken by one claim; the rest follow in the next. */
const MAX_CLAIM = 256;
const CLAIM_RETRY_MS = 500;

/**
 * Takes due jobs to replicas that have room, and sees each attempt to its end.
 *
 *   job due --pump--> claim under way --claimed--> attempt runs --answer--> outcome written --> room again: pump
 *
 * A claim joins the transaction of whatever else was written in the same turn: the insertion of the job that it takes, or the end of the job
 * whose place it fills.
 */
export class Dispatcher {
  /** Owner of the jobs that this server runs; a job with another owner has lost its server. */
  readonly owner = randomUUID();
  readonly due: DueJobs;
  readonly #options: JobsOptions;
  readonly #now: () => number;
  readonly #onChange: (change: JobChange) => void;
  readonly #finisher: Finisher;
  readonly #attempts = new Map<number, Attempt>();
  /** Ends of attempts under way, their writing included. */
  readonly #ends = new Set<Promise<void>>();
  readonly #claims = new Set<Promise<void>>();
  readonly #toPump = new Set<Group>();
  /** Replicas that died under a job among others, by job. */
  readonly #crashes = new Map<number, number>();
  /** Cancelled between their claim and its answer. */
  readonly #cancelledEarly = new Set<number>();
  #retryTimer: NodeJS.Timeout | null = null;
  #running = false;

  constructor(options: JobsOptions, onChange: (change: JobChange) => void) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#onChange = onChange;
    this.due = new DueJobs(options, (group) => this.#pumpSoon(group));
    const unblocked = (): void => void this.due.refresh();
    this.#finisher = new Finisher({ store: options.store, log: options.log, now: this.#now, unblocked });
    options.scheduler.onRoom((group) => this.#pumpSoon(group));
  }

  async start(): Promise<void> {
    this.#running = true;
    this.#finisher.start();
    this.due.start();
    await this.due.refresh();
  }

  /** No new claims; attempts have `drainMs`, then those that are left go back to the queue. */
  async stop(drainMs: number): Promise<void> {
    this.#running = false;
    this.due.stop();
    if (this.#retryTimer !== null) clearTimeout(this.#retryTimer);
    this.#retryTimer = null;
    await Promise.all(this.#claims);
    await this.#allEnded(drainMs);
    await Promise.all([...this.#attempts.values()].map((attempt) => attempt.abandon()));
    this.#finisher.stop();
    await Promise.all(this.#ends);
  }

  /** Once for all that happens in a row, and still in this turn: places that several answers free are filled by one claim. */
  #pumpSoon(group: Group): void {
    if (this.#toPump.size === 0) {
      queueMicrotask(() => {
        const groups = [...this.#toPump];
        this.#toPump.clear();
        for (const each of groups) this.#pump(each);
      });
    }
    this.#toPump.add(group);
  }

  /** Gives the group's due jobs to its replicas with room; asks for more replicas where that is not enough. */
  #pump(group: Group): void {
    if (!this.#running || group.dueJobs <= 0 || this.#finisher.blocked) return;
    const replicas = group.replicas.filter(({ state, session }) => state === "ready" && session.state === "ready");
    const loads = replicas.map(({ load }) => load);
    const shares = allot(loads, group.concurrency, Math.min(group.dueJobs, MAX_CLAIM));
    for (const [index, places] of shares.entries()) {
      const replica = replicas[index];
      if (replica !== undefined && places > 0) this.#claim(replica, places);
    }
    if (group.dueJobs > 0) this.#options.scheduler.replan(group);
  }

  /** True where a replica could take one more job of the group at once. */
  hasRoom(group: Group): boolean {
    return this.#running && !this.#finisher.blocked && group.leastLoaded() !== null;
  }

  /** Stops the code of a running job whose cancellation the store has noted. */
  cancelRunning(job: number): void {
    const attempt = this.#attempts.get(job);
    if (attempt === undefined) this.#cancelledEarly.add(job);
    else attempt.stop("cancelled");
  }

  /** Kills what runs of the app, whose jobs are in the store no more. */
  dropApp(app: string): void {
    for (const attempt of this.#attempts.values()) if (attempt.record.app === app) void attempt.abandon();
    void this.due.refresh();
  }

  #claim(replica: Replica, places: number): void {
    const { group } = replica;
    this.#options.scheduler.take(replica, places);
    group.dueJobs -= places;
    const claim = this.#claimNow(replica, places, group.dueVersion);
    this.#claims.add(claim);
    void claim.finally(() => this.#claims.delete(claim));
  }

  async #claimNow(replica: Replica, places: number, version: number): Promise<void> {
    const { group, session } = replica;
    let taken = 0;
    try {
      const records = await this.#options.store.jobClaim({
        deployment: group.deployment.number,
        functions: group.functionNames,
        limit: places,
        replica: session.id,
        owner: this.owner,
        now: this.#now(),
      });
      taken = records.length;
      for (const record of records) this.#run(record, replica);
      // Fewer than asked: there are no more, unless some were added since.
      if (taken < places && group.dueVersion === version) group.dueJobs = 0;
    } catch (error) {
      this.#options.log.error(
        { app: group.deployment.app, functions: group.functionNames, err: error },
        "jobs could not be claimed; tried again",
      );
      this.due.raise(group, places);
      this.#retryTimer ??= setTimeout(() => {
        this.#retryTimer = null;
        void this.due.refresh();
      }, CLAIM_RETRY_MS);
    }
    this.#options.scheduler.give(replica, places - taken);
    if (group.dueJobs > 0) this.#pumpSoon(group);
  }

  #run(record: JobRecord, replica: Replica): void {
    const { events, blobs, cancelGraceMs } = this.#options;
    const fn = replica.group.group.functions.find(({ name }) => name === record.function);
    if (fn === undefined) throw new Error(`the store gave a job of ${record.function} to ${replica.session.id}`);
    const grace = cancelGraceMs === undefined ? {} : { cancelGraceMs };
    const attempt = new Attempt({ record, fn, session: replica.session, events, blobs, ...grace });
    this.#attempts.set(record.job, attempt);
    events.publish(record.job, [runningEvent(record)]);
    if (this.#cancelledEarly.delete(record.job)) attempt.stop("cancelled");
    const end = this.#see(attempt, replica);
    this.#ends.add(end);
    void end.finally(() => this.#ends.delete(end));
  }

  /** From the opening of the call to the stored end of the attempt. */
  async #see(attempt: Attempt, replica: Replica): Promise<void> {
    const { record } = attempt;
    const { scheduler, events } = this.#options;
    const answer = await attempt.run();
    // Not waited for: its write stands in the store's queue before the end's does, and shares its transaction.
    if (attempt.logged) events.flush(record.job).catch(() => {});
    let crashes = 0;
    if (answer.type === "lost" && !answer.alone && answer.exit.reason !== "stopped")
      crashes = this.#countCrash(record.job);
    // The end is written before the place is given away, so that the job that takes it is claimed after that.
    let given = false;
    const giveBack = (): void => {
      if (!given) scheduler.give(replica, 1);
      given = true;
    };
    const change = await this.#finisher.finish(record, (now) => this.#outcome(attempt, answer, crashes, now), giveBack);
    this.#attempts.delete(record.job);
    this.#cancelledEarly.delete(record.job);
    if (change !== null) this.#changed(change, replica.group);
  }

  #countCrash(job: number): number {
    const crashes = (this.#crashes.get(job) ?? 0) + 1;
    this.#crashes.set(job, crashes);
    return crashes;
  }

  #outcome(attempt: Attempt, answer: AttemptAnswer, crashes: number, now: number): JobOutcome | Promise<JobOutcome> {
    const { record, fn, stopping } = attempt;
    const facts = {
      stopping,
      attempt: record.attempt - record.lostCount,
      maxAttempts: record.maxAttempts,
      crashes,
      retries: fn.retries,
      timeoutS: fn.timeoutS,
      now,
      random: Math.random(),
    };
    if (answer.type !== "result" || stopping !== null) {
      const end: AttemptEnd = answer.type === "result" ? { type: "notRun", why: "It was stopped." } : answer;
      return outcomeOf({ ...facts, end });
    }
    return this.#storeResult(answer.value, answer.media).then((end) => outcomeOf({ ...facts, end }));
  }

  async #storeResult(value: Json, attachments: Uint8Array[]): Promise<AttemptEnd> {
    const invalid = (detail: string): AthanorError => new AthanorError("output_invalid", detail);
    try {
      const { text, hashes } = await storeMedia({ value, attachments, blobs: this.#options.blobs, invalid });
      return { type: "result", result: text, resultBlobs: hashes };
    } catch (error) {
      if (!(error instanceof AthanorError) || error.code !== "output_invalid") throw error;
      return { type: "error", error: { code: error.code, message: error.detail }, retryable: false };
    }
  }

  #changed(change: JobChange, group: Group): void {
    const { job } = change;
    if (job.status !== "queued") this.#crashes.delete(job.job);
    this.#onChange(change);
    if (job.status !== "queued") return;
    if (job.runAfter !== null && job.runAfter > this.#now()) this.due.refreshAt(job.runAfter);
    else if (group.forgotten) void this.due.refresh();
    else this.due.raise(group, 1);
  }

  async #allEnded(drainMs: number): Promise<void> {
    if (this.#ends.size === 0) return;
    let timer: NodeJS.Timeout | undefined;
    const over = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, drainMs);
    });
    await Promise.race([Promise.all(this.#ends), over]);
    clearTimeout(timer);
  }
}
