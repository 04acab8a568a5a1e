import { randomUUID } from "node:crypto";
import type { Group, Replica } from "../scheduler/group.ts";
import type { JobChange, JobRecord, JobStart } from "../store/store.ts";
import { allot } from "./allot.ts";
import { Attempts } from "./attempts.ts";
import { DueJobs } from "./due.ts";
import { Meter } from "./meter.ts";
import { clockOf, type JobsOptions } from "./options.ts";
import type { Pauses } from "./pauses.ts";

/** Jobs taken by one claim; the rest follow in the next. */
const MAX_CLAIM = 256;
const CLAIM_RETRY_MS = 500;

export interface DispatchListener {
  /** Committed. */
  changed(change: JobChange): void;
  /** It ran here, and may have ended by another's doing, or by an answer of the store that was lost. */
  released(job: number): void;
}

/** A place on a replica, taken for a job that is just being inserted. */
export interface Place {
  start: JobStart;
  /** Call once: the job as it runs, or null where it was not started. */
  settle(started: JobRecord | null): void;
}

/**
 * Takes due jobs to replicas that have room.
 *
 *   job due --pump--> claim under way --claimed--> attempt runs (attempts.ts) --place free--> pump
 *   job new, with a place and none due --takePlace--> insertion under way --started--> attempt runs
 *
 * A claim joins the transaction of whatever else was written in the same turn: the insertion of the job that it takes, or the end of the job
 * whose place it fills.
 */
export class Dispatcher {
  /** Owner of the jobs that this server claims now; a job whose owner has no lease has lost its server. */
  readonly owner: () => string;
  readonly due: DueJobs;
  readonly attempts: Attempts;
  readonly meter = new Meter();
  readonly #options: JobsOptions;
  readonly #now: () => number;
  readonly #listener: DispatchListener;
  readonly #claims = new Set<Promise<void>>();
  readonly #toPump = new Set<Group>();
  /** Set while claims fail: none is tried before it fires. */
  #retryTimer: NodeJS.Timeout | null = null;
  #running = false;

  constructor(options: JobsOptions, pauses: Pauses, listener: DispatchListener) {
    this.#options = options;
    const name = randomUUID();
    this.owner = options.owner ?? (() => name);
    this.#now = clockOf(options);
    this.#listener = listener;
    this.due = new DueJobs(options, pauses, {
      pump: (group) => this.#pumpSoon(group),
      expired: (change) => listener.changed(change),
    });
    this.attempts = new Attempts(options, {
      placeFree: (record, replica) => this.#placeFree(record, replica),
      ended: (change, record, { group }) => this.#ended(change, record, group),
      released: ({ job }) => listener.released(job),
      unblocked: () => void this.due.refresh(),
    });
    options.scheduler.places.onRoom((group) => this.#pumpSoon(group));
  }

  async start(): Promise<void> {
    this.#running = true;
    this.attempts.start();
    this.due.start();
    await this.due.refresh();
  }

  /** No new claims; attempts have `drainMs`, then those that are left go back to the queue. */
  async stop(drainMs: number): Promise<void> {
    this.#running = false;
    this.due.stop();
    await Promise.all(this.#claims);
    if (this.#retryTimer !== null) clearTimeout(this.#retryTimer);
    this.#retryTimer = null;
    await this.attempts.stop(drainMs);
  }

  /** True where a replica could take one more job of the group at once. */
  hasRoom(group: Group): boolean {
    return this.#mayClaim && group.allowed > 0 && this.due.mayRun(group) && group.leastLoaded() !== null;
  }

  /**
   * The place of a job that is inserted by the very next step; null where there is none, where jobs wait for it that are due already, or where
   * the function's rate decides.
   */
  takePlace(group: Group, name: string): Place | null {
    if (group.dueJobs > 0 || !this.hasRoom(group)) return null;
    const limits = group.claimOf(name);
    if (limits === undefined || limits.rate !== null) return null;
    const replica = group.leastLoaded();
    if (replica === null) return null;
    const owner = this.owner();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#options.scheduler.places.take(replica, 1);
    this.#watch(promise);
    const settle = (started: JobRecord | null): void => {
      // The lease was lost on the way: it is taken up again like all that was started under it.
      if (started !== null && owner === this.owner()) this.attempts.run(started, replica);
      else this.#options.scheduler.places.give(replica, 1);
      resolve();
    };
    const { concurrency } = limits;
    return { start: { limit: 1, concurrency, replica: replica.session.id, owner }, settle };
  }

  /** Kills what runs of the app, whose jobs are in the store no more. */
  dropApp(app: string): void {
    this.attempts.abandonApp(app);
    void this.due.refresh();
  }

  get #mayClaim(): boolean {
    return this.#running && this.#retryTimer === null && !this.attempts.blocked;
  }

  /** Once for all that happens in a row, and still in this turn: places that several answers free are filled by one claim. */
  #pumpSoon(group: Group): void {
    if (this.#toPump.size === 0) {
      queueMicrotask(() => {
        // Where a limit makes the jobs of two deployments wait for each other, those that were accepted by the older one go first.
        const groups = [...this.#toPump].toSorted((a, b) => a.deployment.number - b.deployment.number);
        this.#toPump.clear();
        for (const each of groups) this.#pump(each);
      });
    }
    this.#toPump.add(group);
  }

  /** Gives the group's due jobs to its replicas with room; asks for more replicas where that is not enough. */
  #pump(group: Group): void {
    if (!this.#mayClaim || group.dueJobs <= 0) return;
    let left = Math.min(group.dueJobs, MAX_CLAIM);
    for (const replicas of group.inOrder()) {
      const loads = replicas.map(({ load }) => load);
      for (const [index, places] of allot(loads, group.concurrency, left).entries()) {
        const replica = replicas[index];
        if (replica === undefined || places === 0) continue;
        this.#claim(replica, places);
        left -= places;
      }
    }
    if (group.dueJobs > 0) this.#options.scheduler.replan(group);
  }

  #claim(replica: Replica, places: number): void {
    const { group } = replica;
    // First no longer due, then under way: in between they would be both.
    group.dueJobs -= places;
    this.#options.scheduler.places.take(replica, places);
    this.#watch(this.#claimNow(replica, places, group.dueVersion));
  }

  #watch(claim: Promise<void>): void {
    const claimed = this.attempts.claiming();
    this.#claims.add(claim);
    void claim.finally(() => {
      this.#claims.delete(claim);
      claimed();
    });
  }

  async #claimNow(replica: Replica, places: number, version: number): Promise<void> {
    const { group, session } = replica;
    const owner = this.owner();
    let taken = 0;
    try {
      const { jobs: records, retryAt } = await this.#options.store.jobClaim({
        deployment: group.deployment.number,
        functions: group.claims,
        limit: places,
        replica: session.id,
        owner,
        now: this.#now(),
      });
      // The lease was lost on the way: they are taken up again like all that was claimed under it.
      if (owner !== this.owner()) records.length = 0;
      taken = records.length;
      for (const record of records) this.attempts.run(record, replica);
      // Fewer than asked: there are no more, unless some were added since.
      if (taken < places && owner === this.owner()) this.due.cameShort(group, version, this.#limitedElsewhere(group));
      if (retryAt !== null) this.due.hold(group, retryAt);
    } catch (error) {
      this.#options.log.error(
        { app: group.deployment.app, functions: group.functionNames, err: error },
        "jobs could not be claimed; tried again",
      );
      this.#retryTimer ??= setTimeout(() => {
        this.#retryTimer = null;
        void this.due.refresh();
      }, CLAIM_RETRY_MS);
      this.due.raise(group, places);
    }
    this.#options.scheduler.places.giveUnused(replica, places - taken);
    if (group.dueJobs > 0) this.#pumpSoon(group);
  }

  /** A limit of a function of the group may be used up by jobs that are not the group's own. */
  #limitedElsewhere(group: Group): boolean {
    if (group.claims.every(({ concurrency }) => concurrency === null)) return false;
    return this.#options.store.shared || this.#others(group).some((other) => other.load > 0);
  }

  /** Groups of the same functions, of other deployments. */
  #others(group: Group): Group[] {
    const { app } = group.deployment;
    const same = (other: Group) => other.functionNames.some((name) => group.functionNames.includes(name));
    return [...this.#options.scheduler.groups()].filter(
      (other) => other !== group && other.deployment.app === app && same(other),
    );
  }

  /** The job's end stands in the store before any claim that is made from now on. */
  #placeFree(record: JobRecord, replica: Replica): void {
    const { group } = replica;
    this.#options.scheduler.places.give(replica, 1);
    this.due.freed(record.app, record.function, "here");
    if (record.concurrencyKey === null) return;
    // One that waited for the key may run.
    if (!group.forgotten) this.due.raise(group, 1);
    if (this.#others(group).length > 0) this.due.refreshAt(this.#now());
  }

  #ended(change: JobChange, record: JobRecord, group: Group): void {
    const { job } = change;
    const now = this.#now();
    if (record.startedAt !== null) this.meter.ran(job.app, job.function, Math.max(0, now - record.startedAt), now);
    this.#listener.changed(change);
    if (job.status !== "queued") return;
    if (job.runAfter !== null && job.runAfter > now) this.due.expect(job.runAfter);
    else if (group.forgotten) void this.due.refresh();
    else this.due.raise(group, 1);
  }
}
