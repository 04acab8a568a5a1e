import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { NewJobEvent } from "../../../src/protocol/event.ts";
import type { JobOutcome, NewJob, Store } from "../../../src/server/store/store.ts";
import { assertSound, claimOne, eventsOf, finish, givenDeployment, insertOne, newJob, type Open, T0 } from "./given.ts";

export function lines(count: number, from = 1): NewJobEvent[] {
  return Array.from({ length: count }, (_, i) => ({
    event: "job.log",
    data: { stream: "stdout", line: `line ${from + i}`, at: "2026-01-01T00:00:00.000Z" },
  }));
}

async function givenRunning(store: Store, p: Partial<NewJob> = {}) {
  const deployment = await givenDeployment(store);
  await insertOne(store, newJob(deployment, p));
  return await claimOne(store, deployment);
}

export function eventConformance(open: Open): void {
  describe("events", () => {
    it("numbers without a gap, across batches and verbs", async () => {
      await using store = await open();
      const { job, fence } = await givenRunning(store);
      const batches = [lines(2), lines(0), lines(1)].map((events) => ({ job, fence, events }));
      const stored = await store.eventAppend({ batches, now: T0 });
      assert.deepEqual(
        stored.map((events) => events.map(({ id }) => id)),
        [[3, 4], [], [5]],
      );
      assert.deepEqual(await eventsOf(store, job, 2), stored.flat());
      assert.equal((await store.jobGet({ job }))?.lastEvent, 5);
      assert.deepEqual(
        (await store.eventRange({ job, after: 1, limit: 2 }))?.events.map(({ id }) => id),
        [2, 3],
      );
    });

    it("keeps the job in step with its progress, within 0 and 1", async () => {
      await using store = await open();
      const { job, fence } = await givenRunning(store);
      const report = (progress: number, message: string | null): NewJobEvent => ({
        event: "job.progress",
        data: { progress, message },
      });
      const events = [report(0.2, "a"), report(0.5, "b"), ...lines(1)];
      await store.eventAppend({ batches: [{ job, fence, events }], now: T0 });
      assert.deepEqual([(await store.jobGet({ job }))?.progress, (await store.jobGet({ job }))?.message], [0.5, "b"]);
      for (const [told, kept] of [
        [7, 1],
        [-1, 0],
        [Number.NaN, 0],
      ] as const) {
        const [stored] = await store.eventAppend({ batches: [{ job, fence, events: [report(told, null)] }], now: T0 });
        assert.deepEqual(stored?.[0]?.data, { progress: kept, message: null });
        assert.equal((await store.jobGet({ job }))?.progress, kept);
      }
    });

    it("drops what comes from an attempt that is over, or for no job", async () => {
      await using store = await open();
      const record = await givenRunning(store);
      const { job, fence } = record;
      const append = (p: { job: number; fence: number }) =>
        store.eventAppend({ batches: [{ ...p, events: lines(1) }], now: T0 });
      assert.deepEqual(await append({ job, fence: fence + 1 }), [[]]);
      assert.deepEqual(await append({ job: 99, fence }), [[]]);
      await finish(store, record, "succeed");
      assert.deepEqual(await append({ job, fence }), [[]], "nothing after the end");
      assert.equal((await eventsOf(store, job)).at(-1)?.event, "job.end");
      assert.equal(await store.eventRange({ job: 99, after: 0, limit: 1 }), null);
    });

    it("refuses events that only the verbs may make", async () => {
      await using store = await open();
      const { job, fence } = await givenRunning(store);
      const events: NewJobEvent[] = [{ event: "job.end", data: { status: "succeeded" } }];
      await assert.rejects(store.eventAppend({ batches: [{ job, fence, events }], now: T0 }));
      await assertSound(store);
    });

    for (const size of [1, 2, 3, 5]) {
      it(`retains the last ${size}, and the terminal ones always`, async () => {
        await using store = await open();
        const record = await givenRunning(store, { eventsWindow: size });
        const { job, fence } = record;
        for (let i = 0; i < 4; i++) {
          await store.eventAppend({ batches: [{ job, fence, events: lines(1) }], now: T0 });
          const range = await store.eventRange({ job, after: 0, limit: 99 });
          const latest = 3 + i;
          const earliest = Math.max(1, latest - size + 1);
          assert.deepEqual([range?.earliest, range?.latest, range?.ended], [earliest, latest, false]);
          assert.deepEqual(
            range?.events.map(({ id }) => id),
            Array.from({ length: latest - earliest + 1 }, (_, k) => earliest + k),
          );
        }
        await finish(store, record, "succeed");
        const range = await store.eventRange({ job, after: 0, limit: 99 });
        assert.deepEqual(
          range?.events.slice(-2).map(({ event }) => event),
          ["job.result", "job.end"],
        );
        assert.equal(range?.events.length, Math.max(2, size));
        assert.deepEqual([range?.earliest, range?.latest, range?.ended], [range?.events[0]?.id, 8, true]);
        await assertSound(store);
      });
    }

    it("numbers all of a batch that is larger than the window, and keeps the end of it", async () => {
      await using store = await open();
      const { job, fence } = await givenRunning(store, { eventsWindow: 10 });
      const [stored] = await store.eventAppend({ batches: [{ job, fence, events: lines(1000) }], now: T0 });
      assert.deepEqual([stored?.length, stored?.[0]?.id, stored?.at(-1)?.id], [1000, 3, 1002]);
      assert.deepEqual(await eventsOf(store, job), stored?.slice(-10));
      const range = await store.eventRange({ job, after: 0, limit: 1 });
      assert.deepEqual([range?.earliest, range?.latest, range?.events.length], [993, 1002, 1]);
      await assertSound(store);
    });

    it("keeps as many of the newest as fit into the window's bytes, exactly", async () => {
      await using store = await open();
      const sizes: number[] = [0, 0];
      const eventsWindowBytes = 2000;
      const record = await givenRunning(store, { eventsWindowBytes });
      const { job, fence } = record;
      for (const { id, data } of await eventsOf(store, job)) sizes[id - 1] = bytesOf(data);
      // Small and large batches in turn, so that each way of storing them is pruned.
      for (const [round, count] of [1, 3, 40, 1, 1, 5, 200, 2, 30, 1].entries()) {
        const events = Array.from({ length: count }, (_, i) => line("é".repeat((i * 7 + round) % 40)));
        await store.eventAppend({ batches: [{ job, fence, events }], now: T0 });
        for (const { data } of events) sizes.push(bytesOf(data));
        const range = await store.eventRange({ job, after: 0, limit: 999 });
        const earliest = earliestWithin(sizes, eventsWindowBytes);
        assert.deepEqual([range?.earliest, range?.latest], [earliest, sizes.length], `round ${round}`);
        assert.deepEqual(
          range?.events.map((event) => bytesOf(event.data)),
          sizes.slice(earliest - 1),
        );
        await assertSound(store);
      }
      await finish(store, record, "succeed");
      const { events, earliest } = (await store.eventRange({ job, after: 0, limit: 999 })) ?? assert.fail();
      assert.deepEqual([earliest, events.at(-1)?.event], [earliestWithin(sizes, eventsWindowBytes), "job.end"]);
      await assertSound(store);
    });

    it("keeps the newest event, even where it alone is over the window's bytes", async () => {
      await using store = await open();
      const record = await givenRunning(store, { eventsWindowBytes: 100 });
      const { job, fence } = record;
      for (const size of [10_000, 5, 300_000, 600_000]) {
        await store.eventAppend({ batches: [{ job, fence, events: [line("x".repeat(size))] }], now: T0 });
        const events = await eventsOf(store, job);
        assert.deepEqual(
          events.map(({ data }) => (data as { line: string }).line.length),
          [size],
        );
        await assertSound(store);
      }
      await finish(store, record, "succeed");
      const { events } = (await store.eventRange({ job, after: 0, limit: 9 })) ?? assert.fail();
      assert.deepEqual(
        events.map(({ event }) => event),
        ["job.log", "job.result", "job.end"],
        "the end takes no room from it",
      );
    });

    it("keeps bytes within the window over attempts, too", async () => {
      await using store = await open();
      const eventsWindowBytes = 500;
      const deployment = await givenDeployment(store);
      const { job } = (await insertOne(store, newJob(deployment, { eventsWindowBytes }))).job;
      for (let attempt = 0; attempt < 12; attempt++) {
        await finish(store, await claimOne(store, deployment), "lose");
        const events = await eventsOf(store, job);
        assert(events.reduce((sum, { data }) => sum + bytesOf(data), 0) <= eventsWindowBytes);
        await assertSound(store);
      }
    });

    it("is read in pages, from anywhere, with long and short parts between", async () => {
      await using store = await open();
      const record = await givenRunning(store, { eventsWindow: 100_000 });
      const { job, fence } = record;
      let written = 2;
      for (const count of [3, 5000, 1, 1, 700, 2]) {
        await store.eventAppend({ batches: [{ job, fence, events: lines(count, written) }], now: T0 });
        written += count;
      }
      await finish(store, record, "succeed");
      const ids: number[] = [];
      for (let after = 0; ; ) {
        const range = await store.eventRange({ job, after, limit: 999 });
        if (range === null || range.events.length === 0) break;
        assert(range.events.length === 999 || range.events.at(-1)?.id === range.latest);
        ids.push(...range.events.map(({ id }) => id));
        after = ids.at(-1) ?? assert.fail();
      }
      assert.deepEqual(
        ids,
        Array.from({ length: written + 2 }, (_, i) => i + 1),
      );
      for (const after of [0, 3, 4, 5004, 5005, 5006, 5707, written, written + 2]) {
        const range = await store.eventRange({ job, after, limit: 2 });
        assert.deepEqual(
          range?.events.map(({ id }) => id),
          [after + 1, after + 2].filter((id) => id <= written + 2),
        );
      }
      assert.deepEqual((await store.eventRange({ job, after: 0, limit: 0 }))?.events, []);
    });

    it("takes any text", async () => {
      await using store = await open();
      const { job, fence } = await givenRunning(store);
      const texts = ["", "\n", "a\nb\r\n", "\u0000", "\ud800", "😀\u2028", 'job.end {"status":"failed"}', "\\n"];
      const [stored] = await store.eventAppend({ batches: [{ job, fence, events: texts.map(line) }], now: T0 });
      assert.deepEqual(await eventsOf(store, job, 2), stored);
      assert.deepEqual(
        stored?.map(({ data }) => (data as { line: string }).line),
        texts,
      );
      await assertSound(store);
    });

    it("has the blob that holds a result instead of the value", async () => {
      await using store = await open();
      const { job, fence } = await givenRunning(store);
      const blob = "ab".repeat(32);
      const outcome: JobOutcome = { type: "succeed", result: `@${blob}`, resultBlobs: [blob] };
      const change = await store.jobFinish({ job, fence, outcome, now: T0 });
      assert.deepEqual(change?.events[0], { id: 3, event: "job.result", data: { value: null, blob } });
      assert.deepEqual(await eventsOf(store, job, 2), change?.events);
      assert.equal((await store.jobGet({ job }))?.result, `@${blob}`);
    });
  });
}

function line(text: string): NewJobEvent {
  return { event: "job.log", data: { stream: "stderr", line: text, at: "" } };
}

function bytesOf(data: unknown): number {
  return Buffer.byteLength(JSON.stringify(data));
}

/** The id from which on events of these sizes fit into the bytes. */
function earliestWithin(sizes: number[], bytes: number): number {
  let id = sizes.length;
  for (let sum = sizes.at(-1) ?? 0; id > 1 && sum + (sizes[id - 2] as number) <= bytes; id--)
    sum += sizes[id - 2] as number;
  return id;
}
