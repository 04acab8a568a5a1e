import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { deploymentOf, functionSpec } from "../../../test/harness/specs.ts";
import { AthanorError } from "../../protocol/errors.ts";
import type { ScheduleSpec } from "../../protocol/spec.ts";
import type { InsertedJob, NewJob, ScheduleRecord, StoreSignal } from "../store/store.ts";
import { Schedules, type SchedulesOptions } from "./schedules.ts";

const NOON = Date.parse("2026-11-24T12:00:00Z");
const MINUTE_MS = 60_000;
const HOURLY: ScheduleSpec = { type: "cron", cron: "0 * * * *", timeZone: "UTC", missed: "run_once" };
const EVERY_MINUTE: ScheduleSpec = { type: "every", everyS: 60, missed: "skip" };
const FN = functionSpec("tick");
const DEPLOYMENT = deploymentOf(7, [FN]);

/** Schedules in memory, with a clock that the test sets. */
class FakeStore {
  now = NOON;
  records: ScheduleRecord[] = [];
  /** What was fired, or tried to be: `function from -> nextAt`, in minutes from noon. */
  readonly fires: string[] = [];
  jobs = 0;
  full = false;
  failing = 0;
  looks = 0;
  #listener: (signal: StoreSignal) => void = () => {};

  add(name: string, spec: ScheduleSpec, nextAt: number): void {
    this.records.push({ app: "demo", function: name, spec, nextAt, paused: false, lastAt: null, lastJob: null });
  }

  tell(signal: StoreSignal): void {
    this.#listener(signal);
  }

  clock = (): number => this.now;
  subscribe = (listener: (signal: StoreSignal) => void) => {
    this.#listener = listener;
    return () => {
      this.#listener = () => {};
    };
  };
  scheduleList: SchedulesOptions["store"]["scheduleList"] = async ({ app }) =>
    this.records.filter((record) => app === undefined || record.app === app);
  schedulePause: SchedulesOptions["store"]["schedulePause"] = async ({ function: name, paused, nextAt }) => {
    const found = this.#find(name);
    return found === undefined ? null : Object.assign(found, { paused, nextAt: nextAt ?? found.nextAt });
  };
  scheduleDue: SchedulesOptions["store"]["scheduleDue"] = async ({ now, limit }) => {
    this.looks++;
    const due = this.records.filter(({ paused, nextAt }) => !paused && nextAt <= now);
    return due.slice(0, limit).map((record) => ({ ...record }));
  };
  scheduleNext: SchedulesOptions["store"]["scheduleNext"] = async () => {
    const times = this.records.filter(({ paused }) => !paused).map(({ nextAt }) => nextAt);
    return times.length === 0 ? null : Math.min(...times);
  };
  scheduleFire: SchedulesOptions["store"]["scheduleFire"] = async ({ function: name, from, nextAt, job }) => {
    if (this.failing > 0) {
      this.failing--;
      throw new Error("the store is away");
    }
    const found = this.#find(name);
    if (found === undefined || found.nextAt !== from || found.paused) return { fired: false, inserted: null };
    found.nextAt = nextAt;
    const minutes = (at: number): number => (at - NOON) / MINUTE_MS;
    this.fires.push(`${name} ${minutes(from)} -> ${minutes(nextAt)}${job === null ? " skipped" : ""}`);
    if (job === null || this.full) return { fired: true, inserted: null };
    return { fired: true, inserted: { job: { job: ++this.jobs }, existing: false, position: 1 } as InsertedJob };
  };

  #find(name: string): ScheduleRecord | undefined {
    return this.records.find((record) => record.function === name);
  }
}

let store = new FakeStore();
let leads = true;
let known = true;
let lines: string[] = [];
let opened: Schedules[] = [];

function start(): Schedules {
  const log = (_: object, message: string): void => void lines.push(message);
  const schedules = new Schedules({
    store,
    jobs: { spawnBy: (_target, _call, insert) => insert({} as NewJob) },
    log: { info: log, warn: log, error: log },
    leads: () => leads,
    find: () => (known ? { deployment: DEPLOYMENT, fn: FN } : null),
  });
  schedules.start();
  opened.push(schedules);
  return schedules;
}

/** Once all that was woken has looked. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
}

async function advance(schedules: Schedules, ms: number): Promise<void> {
  store.now += ms;
  schedules.wake();
  await settled();
}

beforeEach(() => {
  store = new FakeStore();
  [leads, known, lines, opened] = [true, true, [], []];
});
afterEach(() => Promise.all(opened.map((schedules) => schedules.stop())));

describe("Schedules", () => {
  it("makes a job at each tick, and none before", async () => {
    store.add("hourly", HOURLY, NOON + 60 * MINUTE_MS);
    store.add("often", EVERY_MINUTE, NOON + MINUTE_MS);
    const schedules = start();
    await settled();
    assert.deepEqual(store.fires, []);
    for (let minute = 0; minute < 3; minute++) await advance(schedules, MINUTE_MS);
    assert.deepEqual(store.fires, ["often 1 -> 2", "often 2 -> 3", "often 3 -> 4"]);
    await advance(schedules, 57 * MINUTE_MS);
    assert.deepEqual(store.fires.slice(3), ["hourly 60 -> 120", "often 4 -> 61"]);
    assert.equal(store.jobs, 5);
  });

  it("wakes by itself when the next tick comes", async () => {
    const startedAt = performance.now();
    store.clock = () => NOON + performance.now() - startedAt;
    store.add("hourly", HOURLY, NOON + 5);
    const fired = Promise.withResolvers<void>();
    const fire = store.scheduleFire;
    store.scheduleFire = async (p) => {
      const result = await fire(p);
      fired.resolve();
      return result;
    };
    start();
    await fired.promise;
    assert.equal(store.jobs, 1);
  });

  it("makes up for a time without a server as the schedule asks", async () => {
    store.add("hourly", HOURLY, NOON - 300 * MINUTE_MS);
    store.add("often", EVERY_MINUTE, NOON - 300.6 * MINUTE_MS);
    start();
    await settled();
    assert.deepEqual(store.fires, ["hourly -300 -> 60", "often -300.6 -> 0.4 skipped"]);
    assert.deepEqual(lines, ["scheduled run", "missed ticks of a schedule skipped"]);
  });

  it("leaves them to the server with the lead, and takes them up with it", async () => {
    store.add("hourly", HOURLY, NOON);
    leads = false;
    const schedules = start();
    await advance(schedules, 0);
    assert.equal(store.looks, 0);
    leads = true;
    schedules.wake();
    await settled();
    assert.deepEqual(store.fires, ["hourly 0 -> 60"]);
  });

  it("makes one job of a tick, though two servers think that they have the lead", async () => {
    store.add("hourly", HOURLY, NOON);
    start();
    start();
    await settled();
    assert.deepEqual(store.fires, ["hourly 0 -> 60"]);
    assert.equal(store.jobs, 1);
  });

  it("looks again when another server has changed something", async () => {
    start();
    await settled();
    store.add("hourly", HOURLY, NOON);
    store.tell({ type: "job", job: 1, app: "demo", function: "tick", status: "queued" });
    await settled();
    assert.equal(store.jobs, 0);
    store.tell({ type: "deployments" });
    await settled();
    assert.equal(store.jobs, 1);
  });

  it("skips a tick whose queue is full, and says so", async () => {
    store.add("hourly", HOURLY, NOON);
    store.full = true;
    const schedules = start();
    await settled();
    assert.deepEqual(store.fires, ["hourly 0 -> 60"]);
    assert.deepEqual(lines, ["the queue of a scheduled function is full: the tick is skipped"]);
    store.full = false;
    await advance(schedules, 60 * MINUTE_MS);
    assert.equal(store.jobs, 1);
  });

  it("tries a tick again that failed, with the others undisturbed", async () => {
    store.add("first", HOURLY, NOON);
    store.add("second", HOURLY, NOON);
    store.failing = 1;
    const schedules = start();
    await settled();
    assert.deepEqual(store.fires, ["second 0 -> 60"]);
    await advance(schedules, 1000);
    assert.deepEqual(store.fires, ["second 0 -> 60", "first 0 -> 60"]);
  });

  it("waits for a deployment that this server does not know yet", async () => {
    store.add("hourly", HOURLY, NOON);
    known = false;
    const schedules = start();
    await settled();
    assert.deepEqual(store.fires, []);
    known = true;
    await advance(schedules, 1000);
    assert.deepEqual(store.fires, ["hourly 0 -> 60"]);
  });

  it("makes nothing while it is paused, and misses nothing by it", async () => {
    store.add("hourly", HOURLY, NOON + 60 * MINUTE_MS);
    store.add("often", EVERY_MINUTE, NOON + MINUTE_MS / 4);
    const schedules = start();
    assert.equal((await schedules.pause("demo", "hourly")).paused, true);
    await schedules.pause("demo", "often");
    await advance(schedules, 150 * MINUTE_MS);
    assert.deepEqual(store.fires, []);
    const hourly = await schedules.resume("demo", "hourly");
    assert.deepEqual([hourly.paused, hourly.nextAt], [false, NOON + 180 * MINUTE_MS]);
    assert.equal((await schedules.resume("demo", "often")).nextAt, NOON + 150.25 * MINUTE_MS, "in step with its phase");
    await settled();
    assert.deepEqual(store.fires, []);
    await advance(schedules, 30 * MINUTE_MS);
    assert.deepEqual(store.fires, ["hourly 180 -> 240", "often 150.25 -> 180.25 skipped"]);
  });

  it("resumes what is not paused without moving it", async () => {
    store.add("hourly", HOURLY, NOON - MINUTE_MS);
    leads = false;
    const schedules = start();
    assert.equal((await schedules.resume("demo", "hourly")).nextAt, NOON - MINUTE_MS);
  });

  it("knows no schedule of a function without one", async () => {
    const schedules = start();
    for (const step of [schedules.get, schedules.pause, schedules.resume]) {
      await assert.rejects(
        step.call(schedules, "demo", "nope"),
        (error) => error instanceof AthanorError && error.code === "schedule_not_found",
      );
    }
  });

  it("does nothing once it is stopped", async () => {
    store.add("hourly", HOURLY, NOON + MINUTE_MS);
    const schedules = start();
    await schedules.stop();
    await advance(schedules, MINUTE_MS);
    assert.deepEqual(store.fires, []);
  });
});
