/**
 * Makes the jobs of schedules. The schedules are the store's: a deployment that goes live brings its own, and each knows when its next tick is.
 *
 *   waiting --the next tick has come, a signal, the lead is taken--> looking
 *   looking --each schedule whose tick has come: moved on to its next, with a job or without, in one step--> waiting
 *   any     --stop()--> stopped
 *
 * Only the server with the lead looks. That two think they have it for a moment does no harm: a schedule is moved from the very tick that
 * was seen, so the second finds it gone.
 */
import { SCHEDULE_LIMITS } from "../../protocol/defaults.ts";
import { AthanorError } from "../../protocol/errors.ts";
import { formatId } from "../../protocol/names.ts";
import { nextTick } from "../../schedule/ticks.ts";
import { Alarm } from "../alarm.ts";
import type { Jobs, Target } from "../jobs/jobs.ts";
import type { Log } from "../log.ts";
import { Looking } from "../looking.ts";
import type { ScheduleRecord, Store } from "../store/store.ts";
import { decideTick } from "./decide.ts";

/** The store is looked at so often in any case: a signal may have been missed, or the clock been set. */
const MAX_WAIT_MS = 30_000;
const RETRY_MS = 1000;
const PER_LOOK = 100;

export interface SchedulesOptions {
  store: Pick<
    Store,
    "clock" | "subscribe" | "scheduleList" | "schedulePause" | "scheduleDue" | "scheduleNext" | "scheduleFire"
  >;
  jobs: Pick<Jobs, "spawnBy">;
  log: Pick<Log, "info" | "warn" | "error">;
  /** This server has the lead of the store's. */
  leads(): boolean;
  /** The function of the app's live deployment; null where this server does not know of it, or not yet. */
  find(app: string, name: string): Omit<Target, "idempotencyKey"> | null;
}

export class Schedules {
  readonly #options: SchedulesOptions;
  readonly #alarm: Alarm;
  readonly #looking = new Looking(() => this.#look());
  #running = false;
  #unsubscribe = (): void => {};

  constructor(options: SchedulesOptions) {
    this.#options = options;
    this.#alarm = new Alarm({ now: () => options.store.clock(), ring: () => this.wake() });
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#unsubscribe = this.#options.store.subscribe(({ type }) => {
      if (type === "schedules" || type === "deployments" || type === "missed") this.wake();
    });
    this.wake();
  }

  async stop(): Promise<void> {
    this.#running = false;
    this.#unsubscribe();
    this.#alarm.clear();
    await this.#looking.over();
  }

  /** A tick may have come, or the next one may be another: there was a deployment, or this server has taken the lead. */
  wake(): void {
    if (this.#running) void this.#looking.now();
  }

  list(app?: string): Promise<ScheduleRecord[]> {
    return this.#options.store.scheduleList(app === undefined ? {} : { app });
  }

  /** Throws schedule_not_found. */
  async get(app: string, name: string): Promise<ScheduleRecord> {
    const found = (await this.list(app)).find((record) => record.function === name);
    if (found === undefined) throw notFound(app, name);
    return found;
  }

  /** No ticks until it is resumed, whatever is deployed meanwhile. Throws schedule_not_found. */
  async pause(app: string, name: string): Promise<ScheduleRecord> {
    const { store } = this.#options;
    const record = await store.schedulePause({ app, function: name, paused: true, now: store.clock() });
    if (record === null) throw notFound(app, name);
    return record;
  }

  /** Its next tick is the first from now on: those of the pause are none that it missed. Throws schedule_not_found. */
  async resume(app: string, name: string): Promise<ScheduleRecord> {
    const { store } = this.#options;
    const found = await this.get(app, name);
    if (!found.paused) return found;
    const now = store.clock();
    const nextAt = nextTick(found.spec, { after: now, phase: found.nextAt });
    const record = await store.schedulePause({ app, function: name, paused: false, nextAt, now });
    if (record === null) throw notFound(app, name);
    this.wake();
    return record;
  }

  async #look(): Promise<void> {
    const { store, log, leads } = this.#options;
    this.#alarm.clear();
    if (!this.#running || !leads()) return;
    let failed = false;
    try {
      for (let due = PER_LOOK; due === PER_LOOK && !failed && this.#running; ) {
        const records = await store.scheduleDue({ now: store.clock(), limit: PER_LOOK });
        for (const record of records) failed = !(await this.#tick(record)) || failed;
        due = records.length;
      }
      const next = (await store.scheduleNext()) ?? Number.POSITIVE_INFINITY;
      const now = store.clock();
      // What failed is due still.
      if (this.#running) this.#alarm.at(failed ? now + RETRY_MS : Math.min(next, now + MAX_WAIT_MS));
    } catch (error) {
      log.error({ err: error }, "the schedules could not be read; tried again");
      if (this.#running) this.#alarm.at(store.clock() + RETRY_MS);
    }
  }

  /** False: the schedule is where it was, and is to be tried again. */
  async #tick(record: ScheduleRecord): Promise<boolean> {
    const { store, jobs, log, find } = this.#options;
    const { app, function: name, nextAt: from, spec } = record;
    const now = store.clock();
    const { run, nextAt } = decideTick(spec, { from, now, lateMs: SCHEDULE_LIMITS.lateMs });
    const tick = { app, function: name, from, nextAt, now };
    const fields = { app, function: name, tick: new Date(from).toISOString() };
    try {
      if (!run) {
        const { fired } = await store.scheduleFire({ ...tick, job: null });
        if (fired) log.info({ ...fields, next: new Date(nextAt).toISOString() }, "missed ticks of a schedule skipped");
        return true;
      }
      const target = find(app, name);
      if (target === null) return false;
      const fire = await jobs.spawnBy({ ...target, idempotencyKey: null }, { body: {}, attachments: [] }, (job) =>
        store.scheduleFire({ ...tick, job }),
      );
      if (!fire.fired) return true;
      if (fire.inserted === null) log.warn(fields, "the queue of a scheduled function is full: the tick is skipped");
      else log.info({ ...fields, job: formatId("jobs", fire.inserted.job.job) }, "scheduled run");
      return true;
    } catch (error) {
      log.error({ ...fields, err: error }, "the tick of a schedule failed; tried again");
      return false;
    }
  }
}

function notFound(app: string, name: string): AthanorError {
  const [of, what] = [app, name].map((text) => JSON.stringify(text.slice(0, 100)));
  return new AthanorError("schedule_not_found", `the app ${of} has no scheduled function ${what}`);
}
