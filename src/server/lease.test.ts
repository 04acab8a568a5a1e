import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it, mock } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { AthanorError } from "../protocol/errors.ts";
import { Lease } from "./lease.ts";
import type { ServerBeat } from "./store/store.ts";

const LEASE_MS = 10_000;
const RENEW_MS = 2000;

/** A store whose answers to beats the test gives, and a clock that stands still until it is moved. */
class World {
  now = 1000;
  readonly beats: string[] = [];
  readonly left: string[] = [];
  readonly told: string[] = [];
  answer: () => Promise<ServerBeat> = async () => ({ held: true, leader: true, servers: 1 });
  shared = true;
  /** What ran under a lost lease takes so long to end. */
  gone: Promise<void> = Promise.resolve();

  lease(): Lease {
    return new Lease({
      store: {
        shared: this.shared,
        clock: () => this.now,
        serverBeat: async ({ server }) => {
          this.beats.push(server);
          return this.answer();
        },
        serverLeave: async ({ server }) => void this.left.push(server),
      },
      log: { info() {}, warn() {} },
      lost: async () => {
        this.told.push("lost");
        await this.gone;
        this.told.push("gone");
      },
      led: () => this.told.push("led"),
      leadChanged: (leads) => this.told.push(leads ? "leads" : "follows"),
      leaseMs: LEASE_MS,
      renewMs: RENEW_MS,
      monotonic: () => this.now,
    });
  }

  /** Time goes by, as timers see it. */
  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 500) {
      this.now += 500;
      mock.timers.tick(500);
      await turn();
    }
  }

  /** The process is stopped, so no timer fires, and goes on. */
  async freeze(ms: number): Promise<void> {
    this.now += ms;
    mock.timers.tick(ms);
    await turn();
  }
}

const away = async (): Promise<never> => {
  throw new AthanorError("store_unreachable", "away");
};

describe("Lease", () => {
  beforeEach(() => mock.timers.enable({ apis: ["setTimeout"] }));
  afterEach(() => mock.timers.reset());

  it("is held from the first beat on, and renewed", async () => {
    const world = new World();
    const lease = world.lease();
    assert.equal(lease.held, false);
    await lease.start();
    assert.equal(lease.held, true);
    await world.pass(3 * LEASE_MS);
    assert.equal(lease.held, true);
    assert.equal(world.beats.length, 1 + (3 * LEASE_MS) / RENEW_MS);
    assert.deepEqual(new Set(world.beats), new Set([lease.server]));
    assert.ok(!world.told.includes("lost"));
    await lease.stop();
    assert.deepEqual(world.left, [lease.server]);
    await world.pass(LEASE_MS);
    assert.equal(world.beats.length, 16);
  });

  it("is lost once when the store is away for its time, and held again when it is back", async () => {
    const world = new World();
    const lease = world.lease();
    await lease.start();
    world.answer = away;
    await world.pass(LEASE_MS - 500);
    assert.equal(lease.held, true);
    assert.equal(lease.reaches, false);
    assert.ok(!world.told.includes("lost"));
    await world.pass(3 * LEASE_MS);
    assert.equal(lease.held, false);
    assert.equal(lease.leads, false);
    assert.deepEqual(
      world.told.filter((what) => what === "lost"),
      ["lost"],
    );
    world.answer = async () => ({ held: false, leader: false, servers: 2 });
    await world.pass(RENEW_MS);
    assert.equal(lease.held, true);
    assert.equal(lease.servers, 2);
    assert.equal(lease.reaches, true);
    assert.deepEqual(
      world.told.filter((what) => what === "lost"),
      ["lost"],
    );
    await lease.stop();
  });

  it("is lost by a process that was stopped past it, before anything else is asked of it", async () => {
    const world = new World();
    const lease = world.lease();
    await lease.start();
    await world.pass(500);
    world.now += LEASE_MS;
    assert.equal(lease.held, false);
    assert.equal(lease.leads, false);
    await world.freeze(LEASE_MS);
    assert.ok(world.told.includes("lost"));
    assert.equal(lease.held, true);
    await lease.stop();
  });

  it("is lost where a beat says so, though no time has passed here: the machine slept", async () => {
    const world = new World();
    const lease = world.lease();
    await lease.start();
    world.answer = async () => ({ held: false, leader: true, servers: 1 });
    await world.pass(RENEW_MS);
    assert.deepEqual(world.told, ["leads", "led", "follows", "lost", "gone"]);
    assert.equal(lease.held, false);
    await world.pass(RENEW_MS);
    assert.equal(lease.held, true);
    assert.deepEqual(world.told.slice(-2), ["leads", "led"]);
    await lease.stop();
  });

  it("goes on under a new name, once what ran under the old one is gone, and gives that up", async () => {
    const world = new World();
    const lease = world.lease();
    await lease.start();
    const { server } = lease;
    const gone = Promise.withResolvers<void>();
    world.gone = gone.promise;
    world.answer = async () => ({ held: false, leader: false, servers: 1 });
    await world.pass(RENEW_MS);
    assert.notEqual(lease.server, server);
    const beats = world.beats.length;
    await world.pass(LEASE_MS);
    assert.equal(world.beats.length, beats);
    assert.deepEqual(world.left, []);
    // As a store answers the first beat of a name that it does not know, and later ones.
    world.answer = async () => ({ held: world.beats.length > beats + 1, leader: false, servers: 1 });
    gone.resolve();
    await world.pass(RENEW_MS);
    assert.deepEqual(world.left, [server]);
    assert.equal(world.beats.at(-1), lease.server);
    assert.equal(lease.held, true);
    await lease.stop();
    assert.deepEqual(world.left, [server, lease.server]);
  });

  it("counts from when the beat was sent: an answer that comes late renews nothing", async () => {
    const world = new World();
    const lease = world.lease();
    await lease.start();
    const late = Promise.withResolvers<ServerBeat>();
    world.answer = () => late.promise;
    await world.pass(3 * RENEW_MS - 500);
    assert.equal(lease.reaches, true);
    await world.pass(500);
    assert.equal(lease.reaches, false);
    assert.equal(lease.held, true);
    await world.pass(RENEW_MS + LEASE_MS);
    assert.ok(world.told.includes("lost"));
    world.answer = async () => ({ held: true, leader: true, servers: 1 });
    late.resolve({ held: true, leader: true, servers: 1 });
    await turn();
    assert.equal(lease.held, false);
    await world.pass(RENEW_MS);
    assert.equal(lease.held, true);
    assert.equal(world.told.filter((what) => what === "lost").length, 1);
    await lease.stop();
  });

  it("tells of the lead when it comes and goes, and at each beat in it", async () => {
    const world = new World();
    world.answer = async () => ({ held: true, leader: false, servers: 2 });
    const lease = world.lease();
    await lease.start();
    assert.deepEqual(world.told, []);
    world.answer = async () => ({ held: true, leader: true, servers: 1 });
    await world.pass(2 * RENEW_MS);
    assert.deepEqual(world.told, ["leads", "led", "led"]);
    assert.equal(lease.leads, true);
    await lease.stop();
    assert.deepEqual(world.told, ["leads", "led", "led", "follows"]);
  });

  it("does not start without its first beat, and may be started again", async () => {
    const world = new World();
    world.answer = away;
    const lease = world.lease();
    await assert.rejects(lease.start(), { code: "store_unreachable" });
    assert.equal(lease.held, false);
    world.answer = async () => ({ held: true, leader: true, servers: 1 });
    await lease.start();
    assert.equal(lease.held, true);
    await lease.stop();
  });

  it("of a store that is one server's needs no beats: it is held, and leads", async () => {
    const world = new World();
    world.shared = false;
    const lease = world.lease();
    await lease.start();
    world.now += 100 * LEASE_MS;
    assert.equal(lease.held, true);
    assert.equal(lease.leads, true);
    await lease.stop();
    assert.deepEqual([world.beats, world.left, world.told], [[], [], ["leads", "follows"]]);
  });
});
