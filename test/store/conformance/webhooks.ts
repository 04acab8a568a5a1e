import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { NewJob, Store } from "../../../src/server/store/store.ts";
import {
  assertSound,
  claimOne,
  finish,
  givenDeployment,
  givenEnded,
  insertJobs,
  insertOne,
  newJob,
  type Open,
  T0,
} from "./given.ts";

const LEASE_MS = 1000;
const webhook = { url: "https://example.com:8443/hook", secret: "s3cret" };

function take(store: Store, p: { now?: number; limit?: number; exceptHosts?: string[] } = {}) {
  return store.webhookClaim({ now: T0, limit: 9, leaseMs: LEASE_MS, exceptHosts: [], ...p });
}

const next = (store: Store, exceptHosts: string[] = []) => store.webhookNext({ exceptHosts });

export function webhookConformance(open: Open): void {
  describe("webhooks", () => {
    const ended = (store: Store, deployment: number, p: Partial<NewJob> = {}, now = T0) =>
      givenEnded(store, deployment, { webhook, ...p }, now);

    it("are due when their job has ended, however it does", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      const { job } = await insertOne(store, newJob(deployment, { webhook }));
      assert.equal(job.hasWebhook, true);
      const waiting = { ...webhook, state: "waiting", attempts: 0, error: null, nextAt: null };
      assert.deepEqual(await store.webhookGet({ job: 1 }), waiting);
      const running = await claimOne(store, deployment);
      await finish(store, running, "lose");
      assert.deepEqual(await take(store), []);
      assert.equal(await next(store), null);
      const { job: done } = await finish(store, await claimOne(store, deployment), "succeed", T0 + 5);
      assert.deepEqual(await store.webhookGet({ job: 1 }), { ...waiting, state: "due", nextAt: T0 + 5 });
      assert.equal(await next(store), T0 + 5);
      assert.deepEqual(await take(store, { now: T0 + 4 }), []);
      assert.deepEqual(await take(store, { now: T0 + 5 }), [{ job: done, ...webhook, attempt: 1 }]);

      await insertOne(store, newJob(deployment, { webhook }));
      await store.jobCancel({ job: 2, now: T0 });
      await insertOne(store, newJob(deployment, { webhook, expiresAt: T0 }));
      await store.jobExpire({ now: T0, limit: 9 });
      await insertOne(store, newJob(deployment, { webhook, parent: 2 }));
      assert.deepEqual(
        (await take(store)).map((delivery) => [delivery.job.job, delivery.job.status]),
        [
          [2, "cancelled"],
          [3, "expired"],
          [4, "cancelled"],
        ],
      );
      const [plain] = await insertJobs(store, deployment, 1);
      assert.equal(await store.webhookGet({ job: plain as number }), null);
      assert.equal(await store.webhookGet({ job: 99 }), null);
      await assertSound(store);
    });

    it("are given to one at a time, and again when the lease is over", async () => {
      await using store = await open();
      await using other = await store.another();
      const deployment = await givenDeployment(store);
      for (let i = 0; i < 6; i++) await ended(store, deployment);
      const claims = await Promise.all([store, other, store, other].map((by) => take(by, { limit: 2 })));
      const jobs = claims.flat().map(({ job }) => job.job);
      assert.deepEqual(
        [...jobs].sort((a, b) => a - b),
        [1, 2, 3, 4, 5, 6],
      );
      assert.deepEqual(await take(other, { now: T0 + LEASE_MS - 1 }), []);
      assert.equal(await next(store), T0 + LEASE_MS);
      const again = await take(other, { now: T0 + LEASE_MS, limit: 1 });
      assert.deepEqual(
        again.map(({ attempt }) => attempt),
        [2],
      );
    });

    it("are tried again at the time that is said, until they are over", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      await ended(store, deployment);
      await ended(store, deployment);
      const end = (p: { job: number; attempt: number; retryAt?: number | null; error?: string | null }) =>
        store.webhookFinish({ retryAt: null, error: null, now: T0, ...p });
      await take(store);
      await end({ job: 1, attempt: 1, retryAt: T0 + 50, error: "HTTP 500" });
      const retried = { ...webhook, state: "due", attempts: 1, error: "HTTP 500", nextAt: T0 + 50 };
      assert.deepEqual(await store.webhookGet({ job: 1 }), retried);
      await end({ job: 2, attempt: 1 });
      const delivered = { ...webhook, state: "delivered", attempts: 1, error: null, nextAt: null };
      assert.deepEqual(await store.webhookGet({ job: 2 }), delivered);
      assert.equal(await next(store), T0 + 50);
      assert.equal((await take(store, { now: T0 + 50 }))[0]?.attempt, 2);
      await end({ job: 1, attempt: 1 });
      assert.equal((await store.webhookGet({ job: 1 }))?.state, "due", "of an attempt that is over");
      await end({ job: 1, attempt: 2, error: "HTTP 410" });
      const failed = { ...webhook, state: "failed", attempts: 2, error: "HTTP 410", nextAt: null };
      assert.deepEqual(await store.webhookGet({ job: 1 }), failed);
      await end({ job: 1, attempt: 2, retryAt: T0 });
      await end({ job: 99, attempt: 1 });
      assert.deepEqual(await store.webhookGet({ job: 1 }), failed);
      assert.equal(await next(store), null);
      assert.deepEqual(await take(store, { now: T0 + 1e6 }), []);
    });

    it("are due once more where that is asked, whatever became of them", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      assert.equal(await store.webhookAgain({ job: 1, now: T0 }), null);
      const { job: waiting } = await insertOne(store, newJob(deployment, { webhook }));
      const again = (job: number, now: number) => store.webhookAgain({ job, now });
      assert.equal((await again(waiting.job, T0))?.state, "waiting");
      assert.equal(await next(store), null);
      await finish(store, await claimOne(store, deployment), "succeed");
      const { job } = waiting;
      for (const [at, error] of [null, "HTTP 410"].entries()) {
        const [taken] = await take(store, { now: T0 + at });
        assert.equal(taken?.attempt, 1 + 2 * at);
        await store.webhookFinish({ job, attempt: 1 + 2 * at, retryAt: null, error, now: T0 });
        const due = { ...webhook, state: "due", attempts: 1 + 2 * at, error, nextAt: T0 + at };
        assert.deepEqual(await again(job, T0 + at), due);
        await take(store, { now: T0 + at });
        // One that is under way may come to its end, but it is not the one that counts.
        assert.equal((await again(job, T0 + at + 1))?.nextAt, T0 + at + 1);
        assert.equal(await next(store), T0 + at + 1);
      }
      await assertSound(store);
    });

    it("leave out hosts that have enough under way", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      const urls = ["http://slow.example/a", "http://slow.example:81/", "https://USER:x@Fast.example:443/b?c"];
      for (const [i, url] of urls.entries()) await ended(store, deployment, { webhook: { url, secret: "s" } }, T0 + i);
      assert.equal(await next(store, ["slow.example"]), T0 + 1);
      assert.equal(await next(store, ["slow.example", "slow.example:81"]), T0 + 2);
      assert.equal(await next(store, ["slow.example", "slow.example:81", "fast.example"]), null);
      const taken = await take(store, { now: T0 + 9, exceptHosts: ["slow.example", "fast.example"] });
      assert.deepEqual(
        taken.map(({ url }) => url),
        [urls[1]],
      );
    });

    it("keep their job until they are over, and go with it", async () => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      await ended(store, deployment, { ttlS: 1 });
      await ended(store, deployment, { ttlS: 1, webhook: null });
      assert.equal(await store.jobPrune({ now: T0 + 5000, limit: 9 }), 1);
      assert.equal((await store.jobGet({ job: 1 }))?.job, 1);
      const [delivery] = await take(store, { now: T0 + 5000 });
      assert(delivery);
      await store.webhookFinish({ job: 1, attempt: delivery.attempt, retryAt: null, error: null, now: T0 });
      assert.equal(await store.jobPrune({ now: T0 + 5000, limit: 9 }), 1);
      assert.equal(await store.webhookGet({ job: 1 }), null);
      await insertOne(store, newJob(deployment, { webhook }));
      await store.appDelete({ app: "demo", now: T0 });
      assert.equal(await store.webhookGet({ job: 3 }), null);
      await assertSound(store);
    });
  });
}
