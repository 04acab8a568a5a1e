/** Planner and windows together, on a virtual clock: what becomes of groups under load that goes on for minutes. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { SCALING_DEFAULTS } from "../../protocol/defaults.ts";
import { DemandHistory } from "./demand.ts";
import { type GroupPlan, NO_MEMORY, type PlanMemory, plan, type ReplicaSnapshot } from "./plan.ts";

const STEP_MS = 250;

interface Options {
  minReplicas: number;
  maxReplicas: number;
  concurrency: number;
  keepWarmMs: number;
  scaleUpDelayMs: number;
  /** From a replica's start until it is ready, and from its drain until it is gone. */
  startMs: number;
}

interface SimulatedReplica extends ReplicaSnapshot {
  /** When it is ready, or gone. */
  changesAt: number;
  /** When each of its calls is over. */
  calls: number[];
}

/** A group as the scheduler keeps it, looked at in steps. */
class Simulation {
  readonly options: Options;
  readonly actions: string[] = [];
  now = 0;
  starts = 0;
  drains = 0;
  replicas: SimulatedReplica[] = [];
  /** Of the calls that wait, how long each will take. */
  waiting: number[] = [];
  #memory: PlanMemory = NO_MEMORY;
  readonly #demand = new DemandHistory(SCALING_DEFAULTS, 0);
  #numbers = 0;

  constructor(options: Partial<Options>) {
    this.options = {
      ...{ minReplicas: 0, maxReplicas: 8, concurrency: 1, keepWarmMs: 600_000, scaleUpDelayMs: 0, startMs: 500 },
      ...options,
    };
  }

  get staying(): number {
    return this.replicas.filter(({ state }) => state !== "draining").length;
  }

  /** Calls come, each taking so long, and time passes. */
  step(calls: number[]): void {
    this.#finish();
    this.waiting.push(...calls);
    this.#serve();
    this.#plan();
    this.#serve();
    this.now += STEP_MS;
  }

  /** So many calls at a time, each of a step, for so long. */
  hold(level: number, forMs: number): void {
    const until = this.now + forMs;
    while (this.now < until) this.step(Array.from({ length: level }, () => STEP_MS));
  }

  #finish(): void {
    this.replicas = this.replicas.filter(({ state, changesAt }) => state !== "draining" || changesAt > this.now);
    for (const replica of this.replicas) {
      if (replica.state === "starting" && replica.changesAt <= this.now) {
        replica.state = "ready";
        replica.idleSince = this.now;
      }
      const left = replica.calls.filter((end) => end > this.now);
      if (replica.calls.length > 0 && left.length === 0) replica.idleSince = this.now;
      replica.calls = left;
      replica.load = left.length;
    }
  }

  #serve(): void {
    while (this.waiting.length > 0) {
      const replica = this.#leastLoaded();
      if (replica === null) break;
      replica.calls.push(this.now + Number(this.waiting.shift()));
      replica.load = replica.calls.length;
      replica.idleSince = null;
    }
    const running = this.replicas.reduce((sum, { load }) => sum + load, 0);
    this.#demand.set(running + this.waiting.length, this.now);
  }

  #leastLoaded(): SimulatedReplica | null {
    const ready = this.replicas.filter(({ state }) => state === "ready");
    const withRoom = (some: SimulatedReplica[]): SimulatedReplica[] =>
      some.filter(({ load }) => load < this.options.concurrency);
    const sharing = withRoom(ready.slice(0, this.#memory.sharing)).toSorted((a, b) => a.load - b.load);
    return sharing[0] ?? withRoom(ready)[0] ?? null;
  }

  /** As the scheduler does it: one start, then it is asked what else. */
  #plan(): void {
    for (let { start, drain } = this.#look(); start > 0 || drain.length > 0; { start, drain } = this.#look()) {
      if (start > 0) this.#start();
      for (const id of drain) this.#drain(id);
    }
    assert.ok(this.replicas.length <= this.options.maxReplicas, "draining ones count against the maximum");
    assert.ok(this.staying >= this.options.minReplicas, "the minimum is there from the first plan on");
  }

  #look(): GroupPlan {
    const snapshot = {
      ...{ live: true, prepared: 0, backoffUntil: null, ...this.options, memory: this.#memory },
      waiting: this.waiting.length,
      replicas: this.replicas,
      demand: this.options.maxReplicas > 1 ? this.#demand.read(this.now) : null,
    };
    const planned = plan(snapshot, SCALING_DEFAULTS, this.now);
    this.#memory = planned.memory;
    return planned;
  }

  #start(): void {
    const id = `r${++this.#numbers}`;
    const { startMs } = this.options;
    const started =
      startMs === 0
        ? ({ state: "ready", idleSince: this.now } as const)
        : ({ state: "starting", idleSince: null } as const);
    this.replicas.push({ ...started, id, load: 0, changesAt: this.now + startMs, calls: [] });
    this.#memory = { ...this.#memory, shortSince: null };
    this.actions.push(`${this.now} start ${id}`);
    this.starts++;
  }

  #drain(id: string): void {
    const replica = this.replicas.find((each) => each.id === id);
    assert.ok(replica !== undefined && replica.load === 0 && replica.state !== "draining");
    Object.assign(replica, { state: "draining", idleSince: null, changesAt: this.now + this.options.startMs });
    this.actions.push(`${this.now} drain ${id}`);
    this.drains++;
  }
}

const anyOptions = fc
  .record({
    minReplicas: fc.nat(2),
    more: fc.nat(6),
    concurrency: fc.integer({ min: 1, max: 10 }),
    keepWarmMs: fc.constantFrom(0, 1000, 10_000, 100_000),
    scaleUpDelayMs: fc.constantFrom(0, 0, 3000),
    startMs: fc.constantFrom(0, 500, 5000),
  })
  .map(({ more, ...rest }): Options => ({ ...rest, maxReplicas: Math.max(1, rest.minReplicas + more) }));

/** Minutes of calls that come in bursts, and take from no time to half a minute. */
const anyTraffic = fc.array(fc.record({ gapSteps: fc.nat(120), calls: fc.array(fc.nat(30_000), { maxLength: 30 }) }), {
  maxLength: 25,
});

function run(options: Options, traffic: { gapSteps: number; calls: number[] }[]): Simulation {
  const simulation = new Simulation(options);
  for (const { gapSteps, calls } of traffic) {
    simulation.step(calls);
    for (let i = 0; i < gapSteps; i++) simulation.step([]);
  }
  return simulation;
}

describe("scaling, under any load", () => {
  // The simulation itself asserts the bounds, and that what is drained is idle.
  it("keeps within minimum and maximum, drains idle replicas only, and does the same again for the same", () => {
    fc.assert(
      fc.property(anyOptions, anyTraffic, (options, traffic) => {
        assert.deepEqual(run(options, traffic).actions, run(options, traffic).actions);
      }),
    );
  });

  it("serves all, and is back at its minimum once nobody has called for keepWarm", () => {
    fc.assert(
      fc.property(anyOptions, anyTraffic, (options, traffic) => {
        const simulation = run(options, traffic);
        for (let steps = 0; simulation.waiting.length > 0; steps++) {
          assert.ok(steps < 100_000, "calls are left waiting");
          simulation.step([]);
        }
        // The longest call, the windows, and what starts meanwhile.
        const restMs = 30_000 + options.keepWarmMs + SCALING_DEFAULTS.stableWindowMs + 20_000;
        simulation.hold(0, restMs);
        assert.equal(simulation.staying, options.minReplicas);
        assert.equal(simulation.replicas.length, simulation.staying);
      }),
    );
  });

  it("converges: a steady load ends in a steady number of replicas, enough and not far too many", () => {
    const load = fc.record({ level: fc.nat(30), burst: fc.nat(80) });
    fc.assert(
      fc.property(anyOptions, load, (options, { level, burst }) => {
        const simulation = new Simulation(options);
        simulation.hold(burst, 20_000);
        simulation.waiting.length = 0;
        simulation.hold(level, options.keepWarmMs + 4 * SCALING_DEFAULTS.stableWindowMs);
        const before = simulation.actions.length;
        simulation.hold(level, 2 * SCALING_DEFAULTS.stableWindowMs + options.keepWarmMs);
        assert.deepEqual(simulation.actions.slice(before), []);
        const { minReplicas, maxReplicas, concurrency } = options;
        const needed = Math.min(maxReplicas, Math.max(minReplicas, Math.ceil(level / concurrency)));
        const roomy = Math.min(maxReplicas, Math.max(minReplicas, Math.ceil(level / (0.7 * concurrency))));
        assert.ok(simulation.staying >= needed, `${simulation.staying} of ${needed}`);
        assert.ok(simulation.staying <= Math.max(1, roomy), `${simulation.staying} of ${roomy}`);
      }),
      { numRuns: 40 },
    );
  });
});

describe("scaling, under a sawtooth", () => {
  const teeth = fc.record({
    low: fc.integer({ min: 1, max: 4 }),
    more: fc.integer({ min: 1, max: 20 }),
    lowMs: fc.integer({ min: 1, max: 50 }).map((n) => n * 1000),
    highMs: fc.integer({ min: 1, max: 8 }).map((n) => n * 1000),
    concurrency: fc.integer({ min: 1, max: 3 }),
    keepWarmMs: fc.constantFrom(250, 1000, 5000, 600_000),
  });

  it("does not flap: teeth closer than the window start each replica once, however short keepWarm is", () => {
    fc.assert(
      fc.property(teeth, ({ low, more, lowMs, highMs, concurrency, keepWarmMs }) => {
        const simulation = new Simulation({ concurrency, keepWarmMs, maxReplicas: 30, startMs: 0 });
        for (let tooth = 0; tooth < 6; tooth++) {
          simulation.hold(low + more, highMs);
          simulation.hold(low, lowMs);
        }
        assert.equal(simulation.starts, Math.ceil((low + more) / concurrency));
        assert.equal(simulation.drains, 0);
      }),
      { numRuns: 40 },
    );
  });

  it("lets the replicas of a tooth that does not come back go, and keeps those that the rest needs", () => {
    const simulation = new Simulation({ concurrency: 10, keepWarmMs: 5000 });
    simulation.hold(80, 5000);
    assert.equal(simulation.staying, 8);
    simulation.hold(10, 59_000);
    assert.equal(simulation.staying, 8);
    simulation.hold(10, 75_000);
    assert.equal(simulation.staying, 2);
    simulation.hold(0, 5250);
    assert.equal(simulation.staying, 0);
  });

  it("scales to zero after keepWarm and not before, where troughs are silent", () => {
    const simulation = new Simulation({ keepWarmMs: 5000, startMs: 0 });
    for (let tooth = 0; tooth < 5; tooth++) {
      simulation.hold(3, 1000);
      simulation.hold(0, 4000);
    }
    assert.deepEqual([simulation.starts, simulation.drains], [3, 0]);
    simulation.hold(0, 1250);
    assert.equal(simulation.staying, 0);
  });
});

describe("scaling, with calls that last", () => {
  it("drains no replica that holds a connection, for hours, and the others", () => {
    const simulation = new Simulation({ concurrency: 2, keepWarmMs: 1000, maxReplicas: 4 });
    const hours = 10 * 3_600_000;
    simulation.step([hours, ...Array.from({ length: 7 }, () => 1000)]);
    simulation.hold(0, 3000);
    assert.equal(simulation.staying, 4);
    for (let i = 0; i < 5000; i++) simulation.step([]);
    assert.equal(simulation.staying, 1);
    assert.deepEqual(
      simulation.replicas.map(({ load }) => load),
      [1],
    );
    const { drains } = simulation;
    for (let i = 0; i < 5000; i++) simulation.step([]);
    assert.equal(simulation.drains, drains);
  });
});

describe("scaling, with scaleUpDelay", () => {
  it("starts the first at once, and the others one by one while there is too little room", () => {
    const simulation = new Simulation({ scaleUpDelayMs: 3000, maxReplicas: 3, startMs: 0 });
    simulation.step(Array.from({ length: 6 }, () => 60_000));
    simulation.hold(0, 30_000);
    assert.deepEqual(simulation.actions, ["0 start r1", "3000 start r2", "6000 start r3"]);
  });

  it("starts nothing for a peak that is over sooner", () => {
    const simulation = new Simulation({ scaleUpDelayMs: 3000, maxReplicas: 3, startMs: 0 });
    for (let i = 0; i < 10; i++) {
      simulation.step([2500, 250]);
      simulation.hold(0, 5000);
    }
    assert.equal(simulation.starts, 1);
  });
});
