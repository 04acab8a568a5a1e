import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { NewJobEvent } from "../../../src/protocol/event.ts";
import type { NewJob, Store } from "../../../src/server/store/store.ts";
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
  });
}
