import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type GroupSnapshot, plan, type ReplicaSnapshot, startBackoffMs } from "./plan.ts";

const group = (changes: Partial<GroupSnapshot>): GroupSnapshot => ({
  live: true,
  minReplicas: 0,
  prepared: 0,
  maxReplicas: 1,
  concurrency: 1,
  keepWarmMs: 1000,
  waiting: 0,
  backoffUntil: null,
  replicas: [],
  ...changes,
});
const ready = (id: string, load: number, idleSince: number | null = null): ReplicaSnapshot => ({
  id,
  state: "ready",
  load,
  idleSince,
});

describe("plan", () => {
  it("leaves an unused group alone", () => {
    assert.deepEqual(plan(group({}), 0), { start: 0, drain: [], wakeAt: null });
  });

  it("starts from zero for the first call, and for no more than can be used", () => {
    assert.equal(plan(group({ waiting: 1, maxReplicas: 5 }), 0).start, 1);
    assert.equal(plan(group({ waiting: 7, maxReplicas: 5, concurrency: 3 }), 0).start, 3);
    assert.equal(plan(group({ waiting: 70, maxReplicas: 5, concurrency: 3 }), 0).start, 5);
  });

  it("counts what is starting as room that is coming", () => {
    const starting: ReplicaSnapshot = { id: "a", state: "starting", load: 0, idleSince: null };
    assert.equal(plan(group({ waiting: 1, maxReplicas: 5, replicas: [starting] }), 0).start, 0);
    assert.equal(plan(group({ waiting: 2, maxReplicas: 5, replicas: [starting] }), 0).start, 1);
  });

  it("counts what is draining against the maximum", () => {
    const draining: ReplicaSnapshot = { id: "a", state: "draining", load: 0, idleSince: null };
    assert.equal(plan(group({ waiting: 1, replicas: [draining] }), 0).start, 0);
  });

  it("keeps the minimum of a live deployment, and none of another", () => {
    assert.equal(plan(group({ minReplicas: 2, maxReplicas: 3 }), 0).start, 2);
    assert.equal(plan(group({ minReplicas: 2, maxReplicas: 3, live: false }), 0).start, 0);
    const idle = [ready("a", 0, 0), ready("b", 0, 0)];
    assert.deepEqual(plan(group({ minReplicas: 2, maxReplicas: 3, replicas: idle }), 1e9).drain, []);
  });

  it("drains what was idle for keepWarm, the longest first, and says when the next is due", () => {
    const replicas = [ready("a", 0, 500), ready("b", 0, 0), ready("c", 1)];
    assert.deepEqual(plan(group({ maxReplicas: 3, replicas }), 999), { start: 0, drain: [], wakeAt: 1000 });
    assert.deepEqual(plan(group({ maxReplicas: 3, replicas }), 1000), { start: 0, drain: ["b"], wakeAt: 1500 });
    assert.deepEqual(plan(group({ maxReplicas: 3, replicas }), 1500).drain, ["b", "a"]);
  });

  it("keeps an idle replica that a waiting call will take", () => {
    assert.deepEqual(plan(group({ waiting: 1, replicas: [ready("a", 0, 0)] }), 1e9).drain, []);
  });

  it("drains a superseded deployment's replicas once they have no call, the starting ones too", () => {
    const starting: ReplicaSnapshot = { id: "b", state: "starting", load: 0, idleSince: null };
    const replicas = [ready("a", 0, 0), starting, ready("c", 1)];
    assert.deepEqual(plan(group({ live: false, maxReplicas: 3, replicas }), 1).drain, ["a", "b"]);
    assert.deepEqual(plan(group({ live: false, maxReplicas: 3, waiting: 2, replicas }), 1).drain, []);
  });

  it("keeps what is prepared of a deployment that is not live yet, and no more than the maximum", () => {
    assert.equal(plan(group({ live: false, minReplicas: 1, prepared: 2, maxReplicas: 3 }), 0).start, 2);
    assert.equal(plan(group({ live: false, prepared: 5, maxReplicas: 3 }), 0).start, 3);
    const replicas = [ready("a", 0, 0), ready("b", 0, 0)];
    assert.deepEqual(plan(group({ live: false, prepared: 2, maxReplicas: 3, replicas }), 1e9).drain, []);
  });

  it("waits out the time after a failed start", () => {
    assert.deepEqual(plan(group({ waiting: 1, backoffUntil: 50 }), 49), { start: 0, drain: [], wakeAt: 50 });
    assert.equal(plan(group({ waiting: 1, backoffUntil: 50 }), 50).start, 1);
  });
});

describe("startBackoffMs", () => {
  it("doubles up to its maximum", () => {
    const policy = { backoffBaseMs: 500, backoffMaxMs: 30_000 };
    assert.deepEqual(
      [1, 2, 3, 6, 7, 8, 1000].map((n) => startBackoffMs(policy, n)),
      [500, 1000, 2000, 16_000, 30_000, 30_000, 30_000],
    );
  });
});

const snapshots = fc.record<GroupSnapshot>({
  live: fc.boolean(),
  minReplicas: fc.nat(4),
  prepared: fc.nat(2),
  maxReplicas: fc.integer({ min: 1, max: 6 }),
  concurrency: fc.integer({ min: 1, max: 5 }),
  keepWarmMs: fc.nat(100),
  waiting: fc.nat(40),
  backoffUntil: fc.option(fc.nat(200)),
  replicas: fc.uniqueArray(
    fc.record<ReplicaSnapshot>({
      id: fc.string({ minLength: 1, maxLength: 3 }),
      state: fc.constantFrom("starting", "ready", "draining"),
      load: fc.constant(0),
      idleSince: fc.option(fc.nat(200)),
    }),
    { selector: ({ id }) => id, maxLength: 6 },
  ),
});

const minimumOf = ({ live, minReplicas, prepared, maxReplicas }: GroupSnapshot): number =>
  Math.min(maxReplicas, Math.max(prepared, live ? minReplicas : 0));

/** Gives each replica a load that fits its state, and sets idleSince accordingly. */
function loaded(snapshot: GroupSnapshot, loads: number[]): GroupSnapshot {
  const replicas = snapshot.replicas.slice(0, snapshot.maxReplicas).map((replica, index) => {
    const load = replica.state === "ready" ? (loads[index] ?? 0) % (snapshot.concurrency + 1) : 0;
    return { ...replica, load, idleSince: replica.state === "ready" && load === 0 ? (replica.idleSince ?? 0) : null };
  });
  return { ...snapshot, replicas };
}

/** The group after the plan was carried out: what starts becomes ready, what drains is gone, and calls take the room there is. */
function carriedOut(snapshot: GroupSnapshot, now: number): GroupSnapshot {
  const { start, drain } = plan(snapshot, now);
  const staying = snapshot.replicas.filter(({ id, state }) => state !== "draining" && !drain.includes(id));
  const started = Array.from({ length: start }, (_, i): ReplicaSnapshot => ready(`new ${now} ${i}`, 0, now));
  let { waiting } = snapshot;
  const replicas = [...staying, ...started].map((replica): ReplicaSnapshot => {
    const taken = Math.min(waiting, snapshot.concurrency - replica.load);
    waiting -= taken;
    const load = replica.load + taken;
    return { ...replica, state: "ready", load, idleSince: load === 0 ? (replica.idleSince ?? now) : null };
  });
  return { ...snapshot, waiting, replicas };
}

const anyCase = fc
  .tuple(snapshots, fc.array(fc.nat(5), { maxLength: 6 }), fc.nat(400))
  .map(([snapshot, loads, now]) => ({ snapshot: loaded(snapshot, loads), now }));

describe("plan, in any situation", () => {
  it("never goes above the maximum, nor below the minimum by its own doing", () => {
    fc.assert(
      fc.property(anyCase, ({ snapshot, now }) => {
        const { start, drain } = plan(snapshot, now);
        assert.ok(start >= 0);
        if (start > 0) assert.ok(snapshot.replicas.length + start <= snapshot.maxReplicas);
        const staying = snapshot.replicas.filter(({ state }) => state !== "draining");
        const min = minimumOf(snapshot);
        if (drain.length > 0) assert.ok(staying.length - drain.length >= min);
      }),
    );
  });

  it("never drains a replica that has a call, and never starts and drains at once", () => {
    fc.assert(
      fc.property(anyCase, ({ snapshot, now }) => {
        const { start, drain } = plan(snapshot, now);
        const drained = snapshot.replicas.filter(({ id }) => drain.includes(id));
        assert.equal(drained.length, drain.length);
        assert.ok(drained.every(({ load, state }) => load === 0 && state !== "draining"));
        assert.ok(start === 0 || drain.length === 0);
      }),
    );
  });

  it("never starts anything before the back-off is over, and asks to be woken at a later time", () => {
    fc.assert(
      fc.property(anyCase, ({ snapshot, now }) => {
        const { start, wakeAt } = plan(snapshot, now);
        if (snapshot.backoffUntil !== null && now < snapshot.backoffUntil) assert.equal(start, 0);
        if (wakeAt !== null) assert.ok(wakeAt > now);
      }),
    );
  });

  it("settles: on an unchanging load, a few plans lead to one that does nothing until its time", () => {
    fc.assert(
      fc.property(anyCase, ({ snapshot, now }) => {
        let state: GroupSnapshot = { ...snapshot, backoffUntil: null };
        for (let i = 0; i < 4; i++) state = carriedOut(state, now);
        const { start, drain } = plan(state, now);
        assert.deepEqual({ start, drain }, { start: 0, drain: [] });
        // All that the maximum allows to run does run.
        if (state.waiting > 0) assert.equal(state.replicas.length, state.maxReplicas);
        assert.ok(state.replicas.length >= minimumOf(state));
      }),
    );
  });

  it("does not flap: calls that come and go faster than keepWarm start no replica twice", () => {
    const traffic = fc.record({
      calls: fc.integer({ min: 1, max: 8 }),
      gapMs: fc.integer({ min: 1, max: 99 }),
      concurrency: fc.integer({ min: 1, max: 3 }),
    });
    fc.assert(
      fc.property(traffic, ({ calls, gapMs, concurrency }) => {
        let state = group({ maxReplicas: 8, concurrency, keepWarmMs: 100 });
        let starts = 0;
        for (let now = 0; now < 2000; now += gapMs) {
          const arrived = { ...state, waiting: calls };
          starts += plan(arrived, now).start;
          const busy = carriedOut(arrived, now);
          // All of them end at once.
          state = {
            ...busy,
            replicas: busy.replicas.map((replica) => ({
              ...replica,
              load: 0,
              idleSince: replica.load > 0 ? now : replica.idleSince,
            })),
          };
        }
        assert.equal(starts, Math.ceil(calls / concurrency));
      }),
    );
  });
});
