import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { JobEventType, NewJobEvent, WatchEvent } from "../../src/protocol/event.ts";
import type { JobJson } from "../../src/protocol/wire.ts";
import { EventLog, runningEvent, type WatchParams } from "../../src/server/events/event-log.ts";
import type { SqliteStore } from "../../src/server/store/sqlite.ts";
import type { JobOutcome, JobRecord, NewJob } from "../../src/server/store/store.ts";
import { watching } from "../harness/watching.ts";
import { lines } from "./conformance/events.ts";
import { claimOne, finish, givenDeployment, insertOne, newJob, rejectsWith, T0 } from "./conformance/given.ts";
import { openTempStore } from "./temp-store.ts";

const toJson = async (record: JobRecord) => ({ job_id: `jobs:${record.job}`, status: record.status }) as JobJson;

type Watching = Partial<WatchParams> & { signal?: AbortSignal };

class Given implements AsyncDisposable {
  readonly store: SqliteStore;
  readonly log: EventLog;
  readonly warnings: string[] = [];
  deployment = 0;

  private constructor(store: SqliteStore, now?: () => number) {
    this.store = store;
    const log = { warn: (_fields: object, message: string) => void this.warnings.push(message) };
    this.log = new EventLog({ store, log, ...(now && { now }) });
  }

  static async open(now?: () => number): Promise<Given> {
    const given = new Given(await openTempStore(), now);
    given.deployment = await givenDeployment(given.store);
    return given;
  }

  /** Starts a job, as the dispatcher does. */
  async start(p: Partial<NewJob> = {}): Promise<JobRecord> {
    await insertOne(this.store, newJob(this.deployment, p));
    const record = await claimOne(this.store, this.deployment);
    this.log.publish(record.job, [runningEvent(record)]);
    return record;
  }

  append({ job, fence, eventsWindow, eventsWindowBytes }: JobRecord, events: NewJobEvent[]): void {
    this.log.append({ job, fence, events }, { events: eventsWindow, bytes: eventsWindowBytes });
  }

  async end(record: JobRecord, type: JobOutcome["type"] = "succeed"): Promise<void> {
    await this.log.flush(record.job, "job");
    const { events } = await finish(this.store, record, type);
    this.log.publish(record.job, events);
  }

  watch(job: number, { signal, ...p }: Watching = {}): AsyncGenerator<WatchEvent> {
    return watching(this.log, { job, after: null, snapshot: false, toJson, ...p }, signal);
  }

  /** All that a watcher is sent until its stream ends, as `id event`. */
  async seen(job: number, p: Watching = {}): Promise<string[]> {
    return (await Array.fromAsync(this.watch(job, p))).map(({ id, event }) => `${id} ${event}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.log.stop();
    await this.store[Symbol.asyncDispose]();
  }
}

const ids = (events: WatchEvent[]) => events.map(({ id }) => id);
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);
const ENDED = ["1 job.queued", "2 job.running", "3 job.log", "4 job.log", "5 job.result", "6 job.end"];

describe("EventLog.watch", () => {
  it("sends a whole log, of an ended job and live alike", async () => {
    await using given = await Given.open();
    const record = await given.start();
    const live = given.seen(record.job);
    given.append(record, lines(2));
    await given.end(record);
    assert.deepEqual(await live, ENDED);
    assert.deepEqual(await given.seen(record.job), ENDED);
  });

  it("resumes after any cursor with nothing lost or doubled", async () => {
    await using given = await Given.open();
    const record = await given.start();
    given.append(record, lines(2));
    await given.end(record);
    for (let after = 0; after <= ENDED.length; after++) {
      assert.deepEqual(await given.seen(record.job, { after }), ENDED.slice(after));
    }
    assert.deepEqual(await given.seen(record.job, { after: 99 }), ["5 job.result", "6 job.end"], "beyond the log");
  });

  it("waits where the cursor is beyond the log of a running job, and tells its end", async () => {
    await using given = await Given.open();
    const record = await given.start();
    const watcher = given.seen(record.job, { after: 50 });
    given.append(record, lines(2));
    await given.end(record, "fail");
    assert.deepEqual(await watcher, ["5 job.end"]);
  });

  it("resets exactly where the window has passed the cursor", async () => {
    await using given = await Given.open();
    const record = await given.start({ eventsWindow: 4 });
    for (let i = 0; i < 4; i++) {
      given.append(record, lines(2));
      await given.log.flush(record.job);
    }
    await given.end(record);
    // 12 events, of which 9 to 12 are retained.
    const rest = ["9 job.log", "10 job.log", "11 job.result", "12 job.end"];
    assert.deepEqual(await given.seen(record.job, { after: 8 }), rest);
    assert.deepEqual(await given.seen(record.job, { after: 7 }), ["8 stream.reset", ...rest]);
    const [reset] = await Array.fromAsync(given.watch(record.job, { after: 0 }));
    const job = { job_id: `jobs:${record.job}`, status: "succeeded" };
    assert.deepEqual(reset, { id: 8, event: "stream.reset", data: { requested: 0, earliest: 9, latest: 12, job } });
  });

  it("begins with a snapshot and goes on after it", async () => {
    await using given = await Given.open();
    const record = await given.start();
    given.append(record, lines(1));
    await given.log.flush(record.job);
    const watcher = given.watch(record.job, { snapshot: true });
    const first = await watcher.next();
    assert.deepEqual(first.value, { id: 3, event: "job.snapshot", data: { job_id: "jobs:1", status: "running" } });
    given.append(record, lines(1));
    await given.end(record);
    assert.deepEqual(ids(await Array.fromAsync(watcher)), [4, 5, 6]);
  });

  it("ends after the snapshot of an ended job with its result and end", async () => {
    await using given = await Given.open();
    const record = await given.start();
    await given.end(record);
    assert.deepEqual(await given.seen(record.job, { snapshot: true }), ["2 job.snapshot", "3 job.result", "4 job.end"]);
    const failed = await given.start();
    await given.end(failed, "fail");
    assert.deepEqual(await given.seen(failed.job, { snapshot: true }), ["2 job.snapshot", "3 job.end"]);
  });

  it("keeps ids ascending where a cursor comes with the snapshot", async () => {
    await using given = await Given.open();
    const record = await given.start();
    await given.end(record);
    const resumed = (after: number) => given.seen(record.job, { snapshot: true, after });
    assert.deepEqual(await resumed(1), ["1 job.snapshot", "2 job.running", "3 job.result", "4 job.end"]);
    assert.deepEqual(await resumed(4), ["4 job.snapshot"]);
  });

  it("finds in the store what was never published", async () => {
    await using given = await Given.open();
    await insertOne(given.store, newJob(given.deployment));
    const watcher = given.watch(1);
    assert.equal((await watcher.next()).value.id, 1);
    const pending = watcher.next();
    const record = await claimOne(given.store, given.deployment);
    given.append(record, lines(1));
    await given.end(record);
    assert.deepEqual([(await pending).value.id, ...ids(await Array.fromAsync(watcher))], [2, 3, 4, 5]);
  });

  it("lets a slow watcher read on from the store, or resets it, and holds up no other", async () => {
    await using given = await Given.open();
    for (const [eventsWindow, expected] of [
      [100_000, range(2, 6004)],
      // What it had in hand, the reset, and what is retained.
      [100, [2, 5904, ...range(5905, 6004)]],
    ] as const) {
      const record = await given.start({ eventsWindow });
      const slow = given.watch(record.job);
      await slow.next();
      const fast = given.seen(record.job, { after: 2 });
      for (let i = 0; i < 60; i++) {
        given.append(record, lines(100));
        await given.log.flush(record.job);
      }
      await given.end(record);
      assert.equal((await fast).at(-1), "6004 job.end");
      assert.deepEqual(ids(await Array.fromAsync(slow)), expected);
    }
  });

  it("serves many watchers of one job, each with the same objects", async () => {
    await using given = await Given.open();
    const record = await given.start();
    const watchers = Array.from({ length: 500 }, (_, i) => Array.fromAsync(given.watch(record.job, { after: i % 3 })));
    for (let i = 0; i < 10; i++) given.append(record, lines(3));
    await given.end(record);
    const all = await Promise.all(watchers);
    for (const [i, events] of all.entries()) assert.deepEqual(ids(events), range((i % 3) + 1, 34));
    assert(all.every((events) => events.at(-1) === all[0]?.at(-1)));
  });

  it("ends when its signal aborts, when the log stops, and when the job is deleted", async () => {
    await using given = await Given.open();
    const record = await given.start();
    const abort = new AbortController();
    const aborted = given.seen(record.job, { signal: abort.signal, after: 2 });
    const deleted = given.seen(record.job, { after: 2 });
    await new Promise(setImmediate);
    abort.abort();
    assert.deepEqual(await aborted, []);
    await given.store.appDelete({ app: "demo", now: T0 });
    given.log.refresh();
    await rejectsWith(deleted, "job_not_found");
    await rejectsWith(given.seen(record.job), "job_not_found");
    await rejectsWith(given.seen(record.job, { snapshot: true }), "job_not_found");
    given.deployment = await givenDeployment(given.store);
    const stopped = given.seen((await given.start()).job, { after: 2 });
    await given.log.stop();
    assert.deepEqual(await stopped, []);
  });
});

describe("the edges of the window", () => {
  /** Every cursor of an ended log, with what a watcher is sent after it. */
  async function checkEveryCursor(given: Given, job: number): Promise<void> {
    const range = await given.store.eventRange({ job, after: 0, limit: 1_000_000 });
    assert(range !== null);
    const { events: kept, earliest, latest } = range;
    assert.deepEqual(
      ids(kept),
      Array.from({ length: latest - earliest + 1 }, (_, i) => earliest + i),
    );
    assert.deepEqual(
      kept.slice(-2).map(({ event }) => event),
      ["job.result", "job.end"],
    );
    for (let after = 0; after <= latest; after++) {
      const rest = kept.filter(({ id }) => id > after).map(({ id, event }) => `${id} ${event}`);
      const reset = after < earliest - 1 ? [`${earliest - 1} stream.reset`] : [];
      assert.deepEqual(await given.seen(job, { after }), [...reset, ...rest], `after ${after}, earliest ${earliest}`);
      const ends = rest.filter((line) => /result|end/.test(line));
      const only = (...types: JobEventType[]) => given.seen(job, { after, only: new Set(types) });
      assert.deepEqual(await only("job.result"), ends, "what is always kept can't have been missed");
      assert.deepEqual(await only("job.end"), ends.slice(-1));
      const lines = rest.filter((line) => /log|end/.test(line));
      assert.deepEqual(await only("job.log"), [...reset, ...lines], `after ${after}, lines alone`);
    }
  }

  it("are exact for any window, in events and in bytes, and for any cursor, with and without a filter", async () => {
    await using given = await Given.open();
    const shape = fc.record({
      eventsWindow: fc.integer({ min: 1, max: 6 }),
      eventsWindowBytes: fc.oneof(fc.constant(1_000_000), fc.integer({ min: 1, max: 1500 })),
      batches: fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 5 }),
    });
    await fc.assert(
      fc.asyncProperty(shape, async ({ batches, ...window }) => {
        const record = await given.start(window);
        for (const count of batches) {
          given.append(record, lines(count));
          await given.log.flush(record.job);
        }
        await given.end(record);
        await checkEveryCursor(given, record.job);
      }),
      { numRuns: 40 },
    );
    assert.equal(given.log.watchedJobs, 0);
  });

  it("are the same for a job that runs, and watchers who come and go and dawdle see no gap they are not told of", async () => {
    const step = fc.oneof(
      fc.record({ add: fc.integer({ min: 1, max: 4 }) }),
      fc.record({ look: fc.nat({ max: 2 }), take: fc.integer({ min: 1, max: 5 }) }),
      fc.record({ again: fc.nat({ max: 2 }) }),
    );
    await using given = await Given.open();
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 5 }),
        fc.array(step, { maxLength: 40 }),
        async (eventsWindow, steps) => {
          const record = await given.start({ eventsWindow });
          const seen: WatchEvent[][] = [[], [], []];
          const watchers = seen.map(() => given.watch(record.job));
          for (const each of [...steps, { add: 1 }]) {
            if ("add" in each) {
              given.append(record, lines(each.add));
              await given.log.flush(record.job);
            } else if ("again" in each) {
              await watchers[each.again]?.return(undefined);
              watchers[each.again] = given.watch(record.job, { after: seen[each.again]?.at(-1)?.id ?? 0 });
            } else {
              const { latest } =
                (await given.store.eventRange({ job: record.job, after: 0, limit: 1 })) ?? assert.fail();
              for (let n = 0; n < each.take && (seen[each.look]?.at(-1)?.id ?? 0) < latest; n++)
                seen[each.look]?.push((await watchers[each.look]?.next())?.value);
            }
          }
          await given.end(record);
          for (const [index, watcher] of watchers.entries()) {
            for await (const event of watcher) seen[index]?.push(event);
            let last = 0;
            for (const { id, event } of seen[index] ?? []) {
              if (event === "stream.reset") assert(id > last, "a reset skips something");
              else assert.equal(id, last + 1);
              last = id;
            }
            assert.equal(seen[index]?.at(-1)?.event, "job.end");
          }
        },
      ),
      { numRuns: 40 },
    );
    assert.equal(given.log.watchedJobs, 0);
  });

  it("a filtered watcher's cursor moves past what it is spared", async () => {
    await using given = await Given.open();
    const record = await given.start();
    const params = { job: record.job, after: null, snapshot: false, only: new Set(["job.chunk" as const]), toJson };
    const watch = given.log.watch(params, () => {});
    given.append(record, lines(20));
    await given.log.flush(record.job);
    while (watch.take() === null && watch.loading) await new Promise(setImmediate);
    assert.equal(watch.take(), null);
    assert.equal(watch.cursor, 22);
    watch.close();
    assert.equal(given.log.watchedJobs, 0);
  });
});

describe("the log of a job that another server runs", () => {
  /** A server's log on the same data, which hears of other servers as it is told by the test. */
  class Other implements AsyncDisposable {
    readonly log: EventLog;
    reads = 0;

    constructor(store: SqliteStore, pollMs = 1_000_000) {
      const eventRange: SqliteStore["eventRange"] = (p) => {
        this.reads++;
        return store.eventRange(p);
      };
      this.log = new EventLog({
        store: {
          shared: true,
          eventRange,
          eventAppend: (p) => store.eventAppend(p),
          jobGet: (p) => store.jobGet(p),
        },
        log: { warn() {} },
        pollMs,
      });
    }

    watch(job: number, after = 0): AsyncGenerator<WatchEvent> {
      return watching(this.log, { job, after, snapshot: false, toJson });
    }

    async [Symbol.asyncDispose](): Promise<void> {
      await this.log.stop();
    }
  }

  it("reaches all its watchers as signals come, with one read for all of them", async () => {
    await using given = await Given.open();
    await using other = new Other(given.store);
    const record = await given.start({ eventsWindow: 10_000 });
    const watchers = Array.from({ length: 100 }, () => Array.fromAsync(other.watch(record.job)));
    await new Promise(setImmediate);
    other.reads = 0;
    const signal = { type: "events", job: record.job } as const;
    for (let round = 0; round < 10; round++) {
      given.append(record, lines(50));
      await given.log.flush(record.job);
      // It may be told twice, or late.
      for (let n = 0; n < 20; n++) other.log.signalled(signal);
    }
    await given.end(record);
    other.log.signalled({ type: "job", job: record.job, app: "demo", function: "f", status: "succeeded" });
    for (const events of await Promise.all(watchers)) assert.deepEqual(ids(events), range(1, 504));
    assert.ok(other.reads < 100, `${other.reads} reads for 100 watchers and 200 signals`);
    assert.equal(other.log.watchedJobs, 0);
  });

  it("is looked at again where signals may have been missed, and now and then in any case", async () => {
    await using given = await Given.open();
    for (const [pollMs, hint] of [
      [1_000_000, (log: EventLog) => log.signalled({ type: "missed" })],
      [1, () => {}],
    ] as const) {
      await using other = new Other(given.store, pollMs);
      const record = await given.start();
      const watcher = other.watch(record.job, 2);
      const first = watcher.next();
      await new Promise(setImmediate);
      given.append(record, lines(1));
      await given.log.flush(record.job);
      hint(other.log);
      assert.equal((await first).value.id, 3);
      await given.end(record);
      hint(other.log);
      assert.deepEqual(ids(await Array.fromAsync(watcher)), [4, 5]);
    }
  });

  it("misses nothing where a signal comes while its watcher reads for the first time", async () => {
    await using given = await Given.open();
    await using other = new Other(given.store);
    const record = await given.start();
    const all = Array.fromAsync(other.watch(record.job));
    // The read is under way, and the watcher has not got to the end of the log.
    await given.end(record);
    other.log.signalled({ type: "events", job: record.job });
    assert.deepEqual(ids(await all), range(1, 4));
  });

  it("tells its watchers of a reset where the window has passed them, and of a job that was deleted", async () => {
    await using given = await Given.open();
    await using other = new Other(given.store);
    const record = await given.start({ eventsWindow: 4 });
    const watcher = other.watch(record.job);
    for (let n = 0; n < 2; n++) await watcher.next();
    const next = watcher.next();
    await new Promise(setImmediate);
    for (let n = 0; n < 3; n++) {
      given.append(record, lines(4));
      await given.log.flush(record.job);
    }
    other.log.signalled({ type: "events", job: record.job });
    const { value } = await next;
    assert.equal(value.event, "stream.reset");
    for (let id = value.data.earliest; id <= value.data.latest; id++) assert.equal((await watcher.next()).value.id, id);
    const last = watcher.next();
    await new Promise(setImmediate);
    await given.store.appDelete({ app: "demo", now: T0 });
    other.log.signalled({ type: "missed" });
    await rejectsWith(last, "job_not_found");
    assert.equal(other.log.watchedJobs, 0);
  });
});

describe("EventLog.append", () => {
  it("has stored all, the last progress too, when flush resolves", async () => {
    await using given = await Given.open();
    const record = await given.start();
    const report = (progress: number): NewJobEvent => ({ event: "job.progress", data: { progress, message: null } });
    for (let i = 1; i <= 100; i++) given.append(record, [report(i / 100), ...lines(1)]);
    await given.log.flush(record.job, "job");
    const { progress, lastEvent } = (await given.store.jobGet(record)) as JobRecord;
    assert.equal(progress, 1);
    assert(lastEvent >= 2 + 100 + 2 && lastEvent < 2 + 110, `${lastEvent}`);
    await given.log.flush(record.job);
    await given.log.flush(99);
  });

  it("takes nothing after the end, and nothing of an earlier attempt", async () => {
    await using given = await Given.open();
    const first = await given.start();
    const { events } = await finish(given.store, first, "lose");
    given.append(first, lines(1));
    given.log.publish(first.job, events);
    const second = await claimOne(given.store, given.deployment);
    given.append(second, lines(1));
    given.append(first, lines(7));
    await given.end(second);
    given.append(second, lines(1));
    await given.log.flush(second.job);
    const seen = await given.seen(first.job);
    assert.deepEqual(seen.slice(2), [
      ...["3 job.retrying", "4 job.queued", "5 job.running"],
      ...["6 job.log", "7 job.result", "8 job.end"],
    ]);
  });

  it("survives a flood with the window kept and the loss told", async () => {
    await using given = await Given.open();
    const record = await given.start({ eventsWindow: 50 });
    for (let i = 0; i < 20_000; i++) given.append(record, lines(1, i));
    await given.end(record);
    const events = await Array.fromAsync(given.watch(record.job));
    const texts = events.flatMap((event) => (event.event === "job.log" ? [event.data.line] : []));
    assert.equal(texts.at(-1), "line 19999");
    assert.equal(events[0]?.event, "stream.reset");
    assert.deepEqual(await given.store.check(), []);
    assert(events.at(-1)?.id === 54, "numbered only what was kept");
  });

  it("keeps events that a full disk has no room for until there is, and says so", async () => {
    await using given = await Given.open();
    const record = await given.start({ eventsWindow: 100_000 });
    given.store.limitPages(1);
    given.append(record, lines(5000));
    await rejectsWith(given.log.flush(record.job), "storage_full");
    assert(given.warnings.length > 0);
    assert.equal((await given.store.jobGet(record))?.lastEvent, 2);
    given.store.limitPages(1_000_000);
    given.append(record, lines(1));
    await given.end(record);
    const events = await Array.fromAsync(given.watch(record.job));
    assert.deepEqual(ids(events), range(1, 5005));
  });
});

describe("a job's progress", () => {
  /** Reports every millisecond of a clock of its own, as what share of the job it is; writes as often. */
  async function report(given: Given, record: JobRecord, clock: { ms: number }, reports: number): Promise<void> {
    for (let i = 0; i < reports; i++) {
      clock.ms++;
      given.append(record, [{ event: "job.progress", data: { progress: clock.ms / 1e6, message: null } }]);
      await given.log.flush(record.job);
    }
  }

  const timesOf = (events: WatchEvent[]): number[] =>
    events.flatMap((event) => (event.event === "job.progress" ? [Math.round(event.data.progress * 1e6)] : []));

  const busiest = (times: number[]): number =>
    Math.max(...times.map((time) => times.filter((other) => other >= time && other < time + 1000).length));

  it("is stored at most 20 times a second over all of its attempts, and the last one never lost", async () => {
    const clock = { ms: 0 };
    await using given = await Given.open(() => T0 + clock.ms);
    let record = await given.start({ eventsWindow: 100_000, maxAttempts: 100 });
    for (let attempt = 1; attempt <= 40; attempt++) {
      await report(given, record, clock, 45);
      await given.log.flush(record.job, "attempt");
      const { events } = await finish(given.store, record, "lose");
      given.log.publish(record.job, events);
      record = await claimOne(given.store, given.deployment);
      given.log.publish(record.job, [runningEvent(record)]);
    }
    await report(given, record, clock, 40);
    await given.end(record, "fail");
    const events = await Array.fromAsync(given.watch(record.job));
    const times = timesOf(events);
    assert.equal(times.at(-1), clock.ms);
    assert.equal((await given.store.jobGet(record))?.progress, clock.ms / 1e6);
    assert.ok(busiest(times) <= 20, `${busiest(times)} in one second`);
    assert.ok(busiest(times) >= 19, `${busiest(times)} in the busiest second`);
  });

  it("keeps the last of a cancelled job, and takes none after its end", async () => {
    const clock = { ms: 0 };
    await using given = await Given.open(() => T0 + clock.ms);
    const record = await given.start();
    await report(given, record, clock, 5);
    await given.store.jobCancel({ job: record.job, now: T0 });
    await report(given, record, clock, 5);
    await given.end(record, "cancel");
    await report(given, record, clock, 100);
    await given.log.flush(record.job, "job");
    const events = await Array.fromAsync(given.watch(record.job));
    assert.deepEqual(timesOf(events), [1, 10]);
    assert.equal(events.at(-1)?.event, "job.end");
    assert.equal((await given.store.jobGet(record))?.progress, 10 / 1e6);
  });
});
