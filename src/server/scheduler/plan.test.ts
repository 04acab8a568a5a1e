import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { SCALING_DEFAULTS } from "../../protocol/defaults.ts";
import { type GroupPlan, type GroupSnapshot, NO_MEMORY, plan as planFor, type ReplicaSnapshot } from "./plan.ts";
import { startBackoffMs } from "./start-failure.ts";

const plan = (snapshot: GroupSnapshot, now: number): GroupPlan => planFor(snapshot, SCALING_DEFAULTS, now);

/** What is to be done now, and when to look again. */
function does(snapshot: GroupSnapshot, now: number): Pick<GroupPlan, "start" | "drain" | "wakeAt"> {
  const { start, drain, wakeAt } = plan(snapshot, now);
  return { start, drain, wakeAt };
}

const group = (changes: Partial<GroupSnapshot>): GroupSnapshot => ({
  live: true,
  minReplicas: 0,
  prepared: 0,
  maxReplicas: 1,
  concurrency: 1,
  keepWarmMs: 1000,
  scaleUpDelayMs: 0,
  waiting: 0,
  demand: null,
  backoffUntil: null,
  replicas: [],
  memory: NO_MEMORY,
  ...changes,
});
const ready = (id: string, load: number, idleSince: number | null = null): ReplicaSnapshot => ({
  id,
  state: "ready",
  load,
  idleSince,
});

const idleFrom = (ids: string[], since: number): ReplicaSnapshot[] => ids.map((id) => ready(id, 0, since));

describe("plan", () => {
  it("leaves an unused group alone", () => {
    assert.deepEqual(does(group({}), 0), { start: 0, drain: [], wakeAt: null });
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
    assert.deepEqual(does(group({ maxReplicas: 3, replicas }), 999), { start: 0, drain: [], wakeAt: 1000 });
    assert.deepEqual(does(group({ maxReplicas: 3, replicas }), 1000), { start: 0, drain: ["b"], wakeAt: 1500 });
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

  it("drains no replica that holds a call, however long the call lasts, of whatever deployment", () => {
    const held = [ready("a", 1), ready("b", 3)];
    for (const live of [true, false]) {
      const snapshot = group({ live, maxReplicas: 2, concurrency: 100, keepWarmMs: 0, replicas: held });
      assert.deepEqual(plan(snapshot, 1e12).drain, []);
    }
  });

  it("lets the calls be shared by as many as the average needs with room to spare, and by no fewer than the present needs", () => {
    const replicas = ["a", "b", "c", "d"].map((id) => ready(id, 1));
    const shared = (stable: number, waiting = 0): number => {
      const demand = { stable, panic: 0, peak: 0 };
      return plan(group({ maxReplicas: 4, concurrency: 10, replicas, demand, waiting }), 0).memory.sharing;
    };
    assert.deepEqual(
      [0, 7, 7.1, 14, 28, 100].map((stable) => shared(stable)),
      [1, 1, 2, 2, 4, 4],
    );
    assert.equal(shared(0, 20), 3);
  });

  it("keeps what the last minute needed at its peak, until nobody has called for keepWarm", () => {
    const demand = { stable: 1, panic: 1, peak: 3 };
    const busy = group({ maxReplicas: 4, demand, replicas: [ready("a", 1), ...idleFrom(["b", "c", "d"], 0)] });
    assert.deepEqual(does(busy, 5000), { start: 0, drain: ["b"], wakeAt: 5000 + SCALING_DEFAULTS.panicWindowMs });
    assert.deepEqual(plan({ ...busy, keepWarmMs: 0 }, 5000).drain, ["b", "c", "d"]);
    const partly = { ...busy, replicas: [ready("a", 0, 4500), ...idleFrom(["b", "c", "d"], 0)] };
    assert.deepEqual(does(partly, 5000), { start: 0, drain: ["b"], wakeAt: 5500 });
    assert.deepEqual(plan({ ...busy, replicas: idleFrom(["a", "b", "c", "d"], 0) }, 5000).drain, ["a", "b", "c", "d"]);
  });

  it("sees a burst where the short average is twice what the sharing replicas hold; until a minute later all share, and none is drained", () => {
    const replicas = [ready("a", 9), ...idleFrom(["b", "c"], 0)];
    const calm = group({ maxReplicas: 3, concurrency: 10, replicas, memory: { ...NO_MEMORY, sharing: 1 } });
    assert.equal(plan({ ...calm, demand: { stable: 5, panic: 19.9, peak: 0 } }, 5000).memory.panicUntil, null);
    const burst = plan({ ...calm, demand: { stable: 5, panic: 20, peak: 0 } }, 5000);
    assert.deepEqual(
      [burst.memory.panicUntil, burst.memory.sharing, burst.drain],
      [65_000, Number.POSITIVE_INFINITY, []],
    );
    const after = { ...calm, demand: { stable: 5, panic: 5, peak: 0 }, memory: burst.memory };
    assert.deepEqual(plan(after, 64_999).drain, []);
    assert.deepEqual([plan(after, 65_000).drain, plan(after, 65_000).memory.sharing], [["b", "c"], 1]);
  });

  it("waits for scaleUpDelay before one more, but not with the first nor the minimum", () => {
    const slow = { maxReplicas: 5, scaleUpDelayMs: 1000 };
    assert.equal(plan(group({ ...slow, waiting: 4 }), 0).start, 1);
    assert.equal(plan(group({ ...slow, waiting: 4, minReplicas: 3 }), 0).start, 3);
    const short = group({ ...slow, waiting: 3, replicas: [ready("a", 1)] });
    const first = plan(short, 10);
    assert.deepEqual([first.start, first.wakeAt, first.memory.shortSince, first.wanted], [0, 1010, 10, 4]);
    assert.equal(plan({ ...short, memory: first.memory }, 1009).start, 0);
    assert.equal(plan({ ...short, memory: first.memory }, 1010).start, 1);
    // There was room again meanwhile.
    const room = plan({ ...short, waiting: 0, memory: first.memory }, 500);
    assert.equal(plan({ ...short, memory: room.memory }, 1010).start, 0);
  });

  it("waits out the time after a failed start", () => {
    assert.deepEqual(does(group({ waiting: 1, backoffUntil: 50 }), 49), { start: 0, drain: [], wakeAt: 50 });
    assert.equal(plan(group({ waiting: 1, backoffUntil: 50 }), 50).start, 1);
  });
});

describe("startBackoffMs", () => {
  it("doubles up to its maximum", () => {
    assert.deepEqual(
      [1, 2, 3, 6, 7, 8, 1000].map((n) => startBackoffMs(SCALING_DEFAULTS, n)),
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
  scaleUpDelayMs: fc.constantFrom(0, 0, 50),
  demand: fc.option(fc.record({ stable: fc.nat(40), panic: fc.nat(40), peak: fc.nat(60) })),
  memory: fc.record({
    sharing: fc.constantFrom(1, 2, Number.POSITIVE_INFINITY),
    panicUntil: fc.option(fc.nat(400)),
    shortSince: fc.option(fc.nat(200)),
  }),
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
  const { start, drain, memory } = plan(snapshot, now);
  const staying = snapshot.replicas.filter(({ id, state }) => state !== "draining" && !drain.includes(id));
  const started = Array.from({ length: start }, (_, i): ReplicaSnapshot => ready(`new ${now} ${i}`, 0, now));
  let { waiting } = snapshot;
  const replicas = [...staying, ...started].map((replica): ReplicaSnapshot => {
    const taken = Math.min(waiting, snapshot.concurrency - replica.load);
    waiting -= taken;
    const load = replica.load + taken;
    return { ...replica, state: "ready", load, idleSince: load === 0 ? (replica.idleSince ?? now) : null };
  });
  return { ...snapshot, waiting, replicas, memory };
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
        let state: GroupSnapshot = { ...snapshot, backoffUntil: null, scaleUpDelayMs: 0 };
        for (let i = 0; i < 4; i++) state = carriedOut(state, now);
        const { start, drain } = plan(state, now);
        assert.deepEqual({ start, drain }, { start: 0, drain: [] });
        // All that the maximum allows to run does run.
        if (state.waiting > 0) assert.equal(state.replicas.length, state.maxReplicas);
        assert.ok(state.replicas.length >= minimumOf(state));
      }),
    );
  });
});
