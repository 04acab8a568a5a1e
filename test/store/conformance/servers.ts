import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { JobOutcome, Store } from "../../../src/server/store/store.ts";
import { assertSound, claim, claimOne, finish, givenDeployment, insertJobs, type Open, T0 } from "./given.ts";

const LEASE_MS = 1000;
const beat = (store: Store, server: string, now: number) => store.serverBeat({ server, leaseMs: LEASE_MS, now });

export function serverConformance(open: Open): void {
  describe("servers", () => {
    it("hold their lease by beating in time, and one of them leads", async () => {
      await using store = await open();
      assert.deepEqual(await beat(store, "one", T0), { held: false, leader: true, servers: 1 });
      assert.deepEqual(await beat(store, "two", T0 + 1), { held: false, leader: false, servers: 2 });
      assert.deepEqual(await beat(store, "one", T0 + 999), { held: true, leader: true, servers: 2 });
      assert.deepEqual(await beat(store, "two", T0 + 1000), { held: true, leader: false, servers: 2 });
    });

    it("lose lease and lead when they are late, and the next takes the lead", async () => {
      await using store = await open();
      await beat(store, "one", T0);
      await beat(store, "two", T0 + 500);
      assert.deepEqual(await beat(store, "two", T0 + 1000), { held: true, leader: true, servers: 1 });
      assert.deepEqual(await beat(store, "one", T0 + 1001), { held: false, leader: false, servers: 2 });
      assert.deepEqual(await beat(store, "one", T0 + 1002), { held: true, leader: false, servers: 2 });
    });

    it("keep the lead where they are late and no other took it, but not the lease", async () => {
      await using store = await open();
      await beat(store, "one", T0);
      assert.deepEqual(await beat(store, "one", T0 + 1000), { held: false, leader: true, servers: 1 });
    });

    it("give both up when they leave", async () => {
      await using store = await open();
      await beat(store, "one", T0);
      await beat(store, "two", T0);
      await store.serverLeave({ server: "one", now: T0 + 1 });
      assert.deepEqual(await beat(store, "two", T0 + 2), { held: true, leader: true, servers: 1 });
      await store.serverLeave({ server: "never came", now: T0 });
    });

    it("elect one leader, however many begin at the same time", async () => {
      await using store = await open();
      await using other = await store.another();
      const beats = Array.from({ length: 12 }, (_, i) => beat(i % 2 === 0 ? store : other, `server-${i}`, T0));
      const leaders = (await Promise.all(beats)).filter(({ leader }) => leader);
      assert.equal(leaders.length, 1);
    });

    it("agree on values, whoever comes first", async () => {
      await using store = await open();
      await using other = await store.another();
      const claims = ["a", "b", "c"].map((value, i) => (i === 1 ? other : store).metaClaim({ key: "k", value }));
      const [first, ...rest] = await Promise.all(claims);
      assert(first !== undefined && ["a", "b", "c"].includes(first) && rest.every((value) => value === first));
      assert.equal(await store.metaClaim({ key: "other", value: "x" }), "x");
    });

    it("are never given one number twice", async () => {
      await using store = await open();
      await using other = await store.another();
      assert.equal(await store.numberTake({ name: "replicas", count: 3 }), 1);
      assert.equal(await store.numberTake({ name: "else", count: 1 }), 1);
      const takes = Array.from({ length: 10 }, (_, i) =>
        (i % 2 === 0 ? store : other).numberTake({ name: "replicas", count: 2 }),
      );
      const firsts = (await Promise.all(takes)).sort((a, b) => a - b);
      assert.deepEqual(
        firsts,
        Array.from({ length: 10 }, (_, i) => 4 + 2 * i),
      );
    });
  });

  describe("rescue by lease", () => {
    const rescue = (store: Store, now: number, p: { limit?: number; server?: string } = {}) =>
      store.jobRescue({ server: p.server ?? "server-2", owners: "expired", now, limit: p.limit ?? 9 });

    it("takes the jobs of a server once its lease has run out", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      await insertJobs(store, deployment, 3);
      await beat(store, "server-1", T0);
      await beat(store, "server-2", T0);
      await claim(store, deployment, { limit: 2 });
      await claim(store, deployment, { limit: 1, owner: "server-2" });
      assert.deepEqual(await rescue(store, T0 + 999), []);
      await beat(store, "server-2", T0 + 999);
      const changes = await rescue(store, T0 + 1000);
      assert.deepEqual(
        changes.map(({ job, events }) => [
          job.job,
          job.status,
          job.lostCount,
          job.crashCount,
          events.map((e) => e.event),
        ]),
        [1, 2].map((job) => [job, "queued", 1, 0, ["job.retrying", "job.queued"]]),
      );
      for (const { job } of changes) assert.deepEqual(await store.jobGet({ job: job.job }), job);
      assert.equal((await store.jobGet({ job: 3 }))?.status, "running");
      assert.deepEqual(await rescue(store, T0 + 1000), []);
      await assertSound(store);
    });

    it("takes those of a server that left or was never known, up to its limit", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      await insertJobs(store, deployment, 3);
      await beat(store, "server-1", T0);
      await claim(store, deployment, { limit: 2 });
      await claim(store, deployment, { owner: "unknown" });
      await store.serverLeave({ server: "server-1", now: T0 });
      assert.deepEqual(
        (await rescue(store, T0, { limit: 2 })).map(({ job }) => job.job),
        [1, 2],
      );
      assert.equal((await rescue(store, T0, { limit: 2 })).length, 1);
    });

    it("never takes its own", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      await insertJobs(store, deployment, 1);
      await claimOne(store, deployment);
      assert.deepEqual(await rescue(store, T0, { server: "server-1" }), []);
    });

    it("rescues each job once where two servers try, and refuses what the first attempt writes", async () => {
      await using store = await open();
      await using other = await store.another();
      const deployment = await givenDeployment(store);
      await insertJobs(store, deployment, 10);
      await beat(store, "server-1", T0);
      const lost = await claim(store, deployment, { limit: 10 });
      const late = T0 + LEASE_MS;
      const [first, second] = await Promise.all([
        rescue(store, late, { limit: 99 }),
        rescue(other, late, { limit: 99, server: "server-3" }),
      ]);
      assert.equal(first.length + second.length, 10);
      const again = await claim(other, deployment, { limit: 10, owner: "server-3", now: late });
      assert.deepEqual(
        again.map(({ attempt, fence, lostCount }) => [attempt, fence, lostCount]),
        lost.map(() => [2, 2, 1]),
      );
      for (const { job, fence } of lost) {
        const events = [{ event: "job.log", data: { stream: "stdout", line: "late", at: "" } } as const];
        assert.deepEqual(await store.eventAppend({ batches: [{ job, fence, events }], now: late }), [[]]);
        const outcome: JobOutcome = { type: "succeed", result: '"late"', resultBlobs: [] };
        assert.equal(await store.jobFinish({ job, fence, outcome, now: late }), null);
      }
      for (const job of again) assert.equal((await finish(other, job, "succeed", late)).job.result, '{"ok":true}');
      await assertSound(store);
    });
  });

  describe("two servers", () => {
    it("never claim one job both", async () => {
      await using store = await open();
      await using other = await store.another();
      const deployment = await givenDeployment(store);
      await insertJobs(store, deployment, 60);
      const claims = Array.from({ length: 24 }, (_, i) =>
        claim(i % 2 === 0 ? store : other, deployment, { limit: 3, owner: `server-${i % 2}` }),
      );
      const jobs = (await Promise.all(claims)).flat().map(({ job }) => job);
      assert.deepEqual(
        jobs.sort((a, b) => a - b),
        Array.from({ length: 60 }, (_, i) => i + 1),
      );
      await assertSound(store);
    });

    it("number jobs together, make one for a key, and keep to a queue's size", async () => {
      await using store = await open();
      await using other = await store.another();
      const deployment = await givenDeployment(store);
      const idempotency = { key: "k", inputHash: "h" };
      const each = [store, other, store, other];
      const made = await Promise.all(each.map((by) => insertJobs(by, deployment, 5, { queueSize: 1000 })));
      const numbers = made.flat();
      assert.equal(new Set(numbers).size, 20);
      for (const batch of made)
        assert.deepEqual(
          batch,
          [...batch].sort((a, b) => a - b),
        );
      const keyed = await Promise.all(each.map((by) => insertJobs(by, deployment, 1, { function: "b", idempotency })));
      assert.equal(new Set(keyed.flat()).size, 1);
      const full = await Promise.allSettled(
        Array.from({ length: 10 }, (_, i) =>
          insertJobs(i % 2 === 0 ? store : other, deployment, 1, { function: "c", queueSize: 4 }),
        ),
      );
      assert.equal(full.filter(({ status }) => status === "fulfilled").length, 4);
      await assertSound(store);
    });

    it("end a job once, by its result or by its cancellation", async () => {
      await using store = await open();
      await using other = await store.another();
      const deployment = await givenDeployment(store);
      await insertJobs(store, deployment, 20);
      for (const [i, running] of (await claim(store, deployment, { limit: 20 })).entries()) {
        const { job, fence } = running;
        const succeed: JobOutcome = { type: "succeed", result: "1", resultBlobs: [] };
        const stop: JobOutcome = { type: "cancel", error: { code: "cancelled", message: "" } };
        const [a, b, cancel] = await Promise.all([
          store.jobFinish({ job, fence, outcome: i % 2 === 0 ? succeed : stop, now: T0 }),
          other.jobFinish({ job, fence, outcome: i % 2 === 0 ? stop : succeed, now: T0 }),
          other.jobCancel({ job, now: T0 }),
        ]);
        assert.equal([a, b].filter((change) => change !== null).length, 1);
        assert.equal(cancel?.length, 1);
        const range = await store.eventRange({ job, after: 0, limit: 99 });
        assert.equal(range?.events.filter(({ event }) => event === "job.end").length, 1);
      }
      await assertSound(store);
    });
  });
}
