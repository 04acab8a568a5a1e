import { Alarm } from "../alarm.ts";
import { Looking } from "../looking.ts";
import type { Group } from "../scheduler/group.ts";
import type { JobChange, JobCount } from "../store/store.ts";
import { clockOf, type JobsOptions } from "./options.ts";
import type { Pauses } from "./pauses.ts";

/** Reads of the store by timers keep at least this apart. */
const MIN_REFRESH_GAP_MS = 25;
const RETRY_MS = 5000;
/** A deployment that another server was given may have to be made here first, packages installed; the others' jobs do not wait for it. */
const LOAD_PATIENCE_MS = 200;
/** Jobs that left the queue unclaimed are noticed so late. */
const LAZY_MS = 1000;
/** Jobs that other servers have queued are counted so late; the first of them is claimed at once. */
const SIGNALLED_MS = 100;
/** Where this server has no replica for them: who queued them mostly has one, or starts it. */
const UNATTENDED_MS = 1000;
const EXPIRE_STEP = 500;

export interface DueListener {
  /** The group has due jobs. */
  pump(group: Group): void;
  /** Jobs that did not start in time. */
  expired(change: JobChange): void;
}

/**
 * How many jobs each group could run now, kept in memory so that the store is asked for jobs only when there are some. A count may be
 * too high (a claim then comes back short and corrects it), but never too low: whatever adds a due job raises it afterwards.
 * Counting the store anew puts it right. What becomes due later, or expires, is seen to by one timer at the next such time.
 *
 * Jobs that a limit of their function keeps waiting are not counted, or replicas would be started for them: the group is held back, and is
 * raised by one whenever a job of the function ends (`freed`). Under a rate limit nothing is counted until it lets the next one start.
 */
export class DueJobs {
  readonly #options: JobsOptions;
  readonly #pauses: Pauses;
  readonly #now: () => number;
  readonly #listener: DueListener;
  readonly #alarm: Alarm;
  /** Groups that may have due jobs which only a limit of their function keeps from running. */
  readonly #heldBack = new Set<Group>();
  /** When the next job becomes due or expires. */
  #next = Number.POSITIVE_INFINITY;
  /** Deployments that are being loaded. */
  readonly #coming = new Set<number>();
  readonly #refreshing = new Looking(() => this.#refresh());
  #running = false;

  constructor(options: JobsOptions, pauses: Pauses, listener: DueListener) {
    this.#options = options;
    this.#pauses = pauses;
    this.#now = clockOf(options);
    this.#listener = listener;
    this.#alarm = new Alarm({ now: this.#now, ring: () => void this.refresh() });
  }

  start(): void {
    this.#running = true;
    // What expired while no server ran.
    this.#next = 0;
  }

  stop(): void {
    this.#running = false;
    this.#alarm.clear();
  }

  /** Jobs have been added that may run now. */
  raise(group: Group, jobs: number): void {
    if (this.#isHeld(group)) return;
    const wanted = group.dueJobs + jobs;
    const { allowed } = group;
    group.dueJobs = Math.min(wanted, Math.max(allowed, group.dueJobs));
    if (wanted > allowed) this.#setHeldBack(group, true);
    group.dueVersion++;
    this.#listener.pump(group);
  }

  /** A job of the function has ended, here or elsewhere: one that its limits kept waiting may run. */
  freed(app: string, name: string, where: "here" | "elsewhere"): void {
    for (const group of this.#heldBack) {
      if (group.forgotten) {
        // Its jobs are there all the same: they are counted for the group that stands in its place.
        this.#setHeldBack(group, false);
        this.refreshAt(this.#now());
      } else if (group.deployment.app !== app || !group.functionNames.includes(name)) continue;
      else if (where === "elsewhere" && group.replicas.length === 0) this.refreshAt(this.#now() + UNATTENDED_MS);
      else this.raise(group, 1);
    }
  }

  /** A claim has found fewer jobs than it asked for. `more`: others may be due that a limit of their function keeps waiting. */
  cameShort(group: Group, version: number, more: boolean): void {
    // What was raised since the claim was made, it may not have seen.
    if (group.dueVersion !== version) return;
    group.dueJobs = 0;
    this.#setHeldBack(group, more);
  }

  #setHeldBack(group: Group, heldBack: boolean): void {
    group.heldBack = heldBack;
    if (heldBack) this.#heldBack.add(group);
    else this.#heldBack.delete(group);
  }

  /** No job of the group may start before that time. */
  hold(group: Group, until: number): void {
    if (group.claims.length === 1) {
      group.heldUntil = until;
      group.dueJobs = 0;
    }
    this.refreshAt(until);
  }

  /** Jobs become due or expire at that time. */
  expect(at: number): void {
    this.#next = Math.min(this.#next, at);
    this.refreshAt(at);
  }

  /** Neither paused nor held by a rate limit. */
  mayRun(group: Group): boolean {
    return !this.#isHeld(group);
  }

  /** Counts anew at that time or before, though not at once. */
  refreshAt(at: number): void {
    if (this.#running) this.#alarm.at(Math.max(at, this.#now() + MIN_REFRESH_GAP_MS));
  }

  /** Jobs have left the queue without a claim: counts anew, soon. */
  lowered(): void {
    this.refreshAt(this.#now() + LAZY_MS);
  }

  /**
   * Another server has made jobs of the function due. Where a replica for them is here, one is claimed at once, the others as soon as they are
   * counted; else one is started only where they still wait after a while, so that one call does not start a replica on every server.
   */
  signalled(deployment: number, name: string): void {
    const group = this.#options.scheduler.peek(deployment, name);
    const attended = group !== undefined && group.replicas.length > 0;
    if (attended) this.raise(group, 1);
    this.refreshAt(this.#now() + (attended ? SIGNALLED_MS : UNATTENDED_MS));
  }

  /** Counts what the store has due, of every group, and sets the timer for what becomes due next. Never rejects. */
  refresh(): Promise<void> {
    return this.#refreshing.now();
  }

  async #refresh(): Promise<void> {
    if (!this.#running) return;
    this.#alarm.clear();
    const { store, scheduler, log } = this.#options;
    const versions = new Map(Array.from(scheduler.groups(), (group) => [group, group.dueVersion]));
    try {
      if (this.#next <= this.#now()) await this.#expire();
      const now = this.#now();
      const next = await store.jobNextDue({ now });
      this.#next = next ?? Number.POSITIVE_INFINITY;
      if (store.shared) await this.#pauses.load();
      const due = await this.#byGroup(await store.jobCounts({ now }));
      for (const group of new Set([...versions.keys(), ...due.keys()])) {
        const { jobs, heldBack } = due.get(group) ?? { jobs: 0, heldBack: false };
        const version = versions.get(group) ?? 0;
        if (heldBack) this.#setHeldBack(group, true);
        // What was raised while the store was read may be held back.
        else if (group.dueVersion === version) this.#setHeldBack(group, false);
        this.#set(group, jobs, version);
      }
      for (const { heldUntil } of scheduler.groups()) if (heldUntil > now) this.refreshAt(heldUntil);
      if (next !== null) this.refreshAt(next);
    } catch (error) {
      log.error({ err: error }, "the queue could not be read; tried again");
      this.refreshAt(this.#now() + RETRY_MS);
    }
  }

  async #expire(): Promise<void> {
    for (let count = EXPIRE_STEP; count === EXPIRE_STEP; ) {
      const changes = await this.#options.store.jobExpire({ now: this.#now(), limit: EXPIRE_STEP });
      for (const change of changes) this.#listener.expired(change);
      count = changes.length;
    }
  }

  async #byGroup(counts: JobCount[]): Promise<Map<Group, { jobs: number; heldBack: boolean }>> {
    const groups = new Map<Group, { jobs: number; heldBack: boolean }>();
    for (const { app, deployment, function: name, due } of counts) {
      if (due === 0) continue;
      const group = await this.#groupOf(deployment, name);
      if (group === null) continue;
      const limit = group.claimOf(name)?.concurrency ?? null;
      const room = limit === null ? due : Math.max(0, limit - runningOf(counts, app, name));
      const before = groups.get(group);
      groups.set(group, {
        jobs: (before?.jobs ?? 0) + (this.#isHeld(group) ? 0 : Math.min(due, room)),
        heldBack: before?.heldBack === true || due > room,
      });
    }
    return groups;
  }

  #isHeld({ heldUntil, deployment, functionNames }: Group): boolean {
    if (heldUntil > this.#now()) return true;
    return this.#pauses.size > 0 && functionNames.every((name) => this.#pauses.has(deployment.app, name));
  }

  async #groupOf(number: number, name: string): Promise<Group | null> {
    const { scheduler, deployments, log } = this.#options;
    const known = scheduler.peek(number, name);
    if (known !== undefined) return known;
    if (this.#coming.has(number)) return null;
    this.#coming.add(number);
    const getting = deployments
      .get(number)
      .catch((error: unknown) => {
        log.error({ deployment: number, err: error }, "jobs wait for a deployment that cannot be loaded");
        this.refreshAt(this.#now() + RETRY_MS);
        return null;
      })
      .finally(() => this.#coming.delete(number));
    const deployment = await within(getting, LOAD_PATIENCE_MS);
    if (deployment === null) {
      void getting.then((late) => late !== null && this.refreshAt(this.#now()));
      return null;
    }
    const fn = deployment.fn(name);
    return fn === undefined ? null : scheduler.groupFor(deployment, fn);
  }

  /** Where jobs were added since `version`, while the store was read, they may be in the count or not: the higher number holds. */
  #set(group: Group, due: number, version: number): void {
    if (group.forgotten) {
      if (due > 0) void this.refresh();
      return;
    }
    const before = group.dueJobs;
    const count = group.dueVersion === version ? due : Math.max(due, before);
    group.dueJobs = count;
    if (count > before) group.dueVersion++;
    if (count < before) this.#options.scheduler.replan(group);
    // Even where the count is as it was: what held the jobs back may be over.
    if (count > 0) this.#listener.pump(group);
  }
}

/** Over all deployments of the app. */
function runningOf(counts: JobCount[], app: string, name: string): number {
  let running = 0;
  for (const count of counts) if (count.app === app && count.function === name) running += count.running;
  return running;
}

/** What the promise gives; null where it takes longer. */
async function within<T>(promise: Promise<T>, timeoutMs: number): Promise<T | null> {
  const { promise: late, resolve } = Promise.withResolvers<null>();
  const timer = setTimeout(() => resolve(null), timeoutMs);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
