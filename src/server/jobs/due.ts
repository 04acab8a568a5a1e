import { Alarm } from "../alarm.ts";
import type { RunnableDeployment } from "../scheduler/deployment.ts";
import type { Group } from "../scheduler/group.ts";
import type { JobCount } from "../store/store.ts";
import type { JobsOptions } from "./options.ts";

/** Reads of the store by timers keep at least this apart. */
const MIN_REFRESH_GAP_MS = 25;
const RETRY_MS = 5000;
/** Jobs that left the queue unclaimed are noticed so late. */
const LAZY_MS = 1000;

/**
 * How many jobs each group could run now, kept in memory so that the store is asked for jobs only when there are some. A count may be
 * too high (a claim then comes back short and corrects it), but never too low: whatever adds a due job raises it afterwards.
 * Counting the store anew puts it right. Jobs that wait for a retry are counted when they become due, by one timer at the next such time.
 */
export class DueJobs {
  readonly #options: JobsOptions;
  readonly #now: () => number;
  readonly #pump: (group: Group) => void;
  readonly #alarm: Alarm;
  #refreshing: Promise<void> | null = null;
  #again = false;
  #running = false;

  constructor(options: JobsOptions, pump: (group: Group) => void) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#pump = pump;
    this.#alarm = new Alarm({ now: this.#now, ring: () => void this.refresh() });
  }

  start(): void {
    this.#running = true;
  }

  stop(): void {
    this.#running = false;
    this.#alarm.clear();
  }

  raise(group: Group, jobs: number): void {
    group.dueJobs += jobs;
    group.dueVersion++;
    this.#pump(group);
  }

  /** Counts anew at that time or before, though not at once. */
  refreshAt(at: number): void {
    if (this.#running) this.#alarm.at(Math.max(at, this.#now() + MIN_REFRESH_GAP_MS));
  }

  /** Jobs have left the queue without a claim: counts anew, soon. */
  lowered(): void {
    this.refreshAt(this.#now() + LAZY_MS);
  }

  /** Counts what the store has due, of every group, and sets the timer for what becomes due next. Never rejects. */
  refresh(): Promise<void> {
    if (this.#refreshing !== null) {
      this.#again = true;
      return this.#refreshing;
    }
    this.#refreshing = this.#refresh().finally(() => {
      this.#refreshing = null;
      if (!this.#again) return;
      this.#again = false;
      void this.refresh();
    });
    return this.#refreshing;
  }

  async #refresh(): Promise<void> {
    if (!this.#running) return;
    this.#alarm.clear();
    const { store, log } = this.#options;
    const versions = new Map(Array.from(this.#options.scheduler.groups(), (group) => [group, group.dueVersion]));
    try {
      const now = this.#now();
      const due = await this.#byGroup(await store.jobCounts({ now }));
      for (const group of new Set([...versions.keys(), ...due.keys()])) {
        this.#set(group, due.get(group) ?? 0, versions.get(group) ?? 0);
      }
      const next = await store.jobNextDue({ now });
      if (next !== null) this.refreshAt(next);
    } catch (error) {
      log.error({ err: error }, "the queue could not be read; tried again");
      this.refreshAt(this.#now() + RETRY_MS);
    }
  }

  async #byGroup(counts: JobCount[]): Promise<Map<Group, number>> {
    const groups = new Map<Group, number>();
    for (const { deployment, function: name, due } of counts) {
      if (due === 0) continue;
      const group = await this.#groupOf(deployment, name);
      if (group !== null) groups.set(group, (groups.get(group) ?? 0) + due);
    }
    return groups;
  }

  async #groupOf(number: number, name: string): Promise<Group | null> {
    const { scheduler, deployments, log } = this.#options;
    const known = scheduler.peek(number, name);
    if (known !== undefined) return known;
    let deployment: RunnableDeployment;
    try {
      deployment = await deployments.get(number);
    } catch (error) {
      log.error({ deployment: number, err: error }, "jobs wait for a deployment that cannot be loaded");
      this.refreshAt(this.#now() + RETRY_MS);
      return null;
    }
    const fn = deployment.fn(name);
    return fn === undefined ? null : scheduler.groupFor(deployment, fn);
  }

  /** Where jobs were added since `version`, while the store was read, they may be in the count or not: the higher number holds. */
  #set(group: Group, due: number, version: number): void {
    if (group.forgotten) {
      this.#again ||= due > 0;
      return;
    }
    const before = group.dueJobs;
    const count = group.dueVersion === version ? due : Math.max(due, before);
    group.dueJobs = count;
    if (count > before) group.dueVersion++;
    if (count < before) this.#options.scheduler.replan(group);
    // Even where the count is as it was: what held the jobs back may be over.
    if (count > 0) this.#pump(group);
  }
}
