import { randomUUID } from "node:crypto";
import type { Group, Replica } from "../scheduler/group.ts";
import type { JobChange } from "../store/store.ts";
import { allot } from "./allot.ts";
import { Attempts } from "./attempts.ts";
import { DueJobs } from "./due.ts";
import type { JobsOptions } from "./options.ts";

/** Jobs taken by one claim; the rest follow in the next. */
const MAX_CLAIM = 256;
const CLAIM_RETRY_MS = 500;

/**
 * Takes due jobs to replicas that have room.
 *
 *   job due --pump--> claim under way --claimed--> attempt runs (attempts.ts) --place free--> pump
 *
 * A claim joins the transaction of whatever else was written in the same turn: the insertion of the job that it takes, or the end of the job
 * whose place it fills.
 */
export class Dispatcher {
  /** Owner of the jobs that this server runs; a job with another owner has lost its server. */
  readonly owner = randomUUID();
  readonly due: DueJobs;
  readonly attempts: Attempts;
  readonly #options: JobsOptions;
  readonly #now: () => number;
  readonly #onChange: (change: JobChange) => void;
  readonly #claims = new Set<Promise<void>>();
  readonly #toPump = new Set<Group>();
  /** Set while claims fail: none is tried before it fires. */
  #retryTimer: NodeJS.Timeout | null = null;
  #running = false;

  constructor(options: JobsOptions, onChange: (change: JobChange) => void) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#onChange = onChange;
    this.due = new DueJobs(options, (group) => this.#pumpSoon(group));
    this.attempts = new Attempts(options, {
      placeFree: (replica) => options.scheduler.give(replica, 1),
      ended: (change, { group }) => this.#ended(change, group),
      unblocked: () => void this.due.refresh(),
    });
    options.scheduler.onRoom((group) => this.#pumpSoon(group));
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
    return this.#mayClaim && group.leastLoaded() !== null;
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
        const groups = [...this.#toPump];
        this.#toPump.clear();
        for (const each of groups) this.#pump(each);
      });
    }
    this.#toPump.add(group);
  }

  /** Gives the group's due jobs to its replicas with room; asks for more replicas where that is not enough. */
  #pump(group: Group): void {
    if (!this.#mayClaim || group.dueJobs <= 0) return;
    const replicas = group.replicas.filter(({ state, session }) => state === "ready" && session.takesCalls);
    const loads = replicas.map(({ load }) => load);
    const shares = allot(loads, group.concurrency, Math.min(group.dueJobs, MAX_CLAIM));
    for (const [index, places] of shares.entries()) {
      const replica = replicas[index];
      if (replica !== undefined && places > 0) this.#claim(replica, places);
    }
    if (group.dueJobs > 0) this.#options.scheduler.replan(group);
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
      const { jobs: records } = await this.#options.store.jobClaim({
        deployment: group.deployment.number,
        functions: group.functionNames.map((name) => ({ name, concurrency: null, rate: null })),
        limit: places,
        replica: session.id,
        owner: this.owner,
        now: this.#now(),
      });
      taken = records.length;
      for (const record of records) this.attempts.run(record, replica);
      // Fewer than asked: there are no more, unless some were added since.
      if (taken < places && group.dueVersion === version) group.dueJobs = 0;
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
    this.#options.scheduler.give(replica, places - taken);
    if (group.dueJobs > 0) this.#pumpSoon(group);
  }

  #ended(change: JobChange, group: Group): void {
    const { job } = change;
    this.#onChange(change);
    if (job.status !== "queued") return;
    if (job.runAfter !== null && job.runAfter > this.#now()) this.due.refreshAt(job.runAfter);
    else if (group.forgotten) void this.due.refresh();
    else this.due.raise(group, 1);
  }
}
