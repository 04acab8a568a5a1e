import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { AthanorError } from "../../protocol/errors.ts";
import type { DeploymentRecord, StoreSignal } from "../store/store.ts";
import { Follower } from "./follower.ts";

/** A store whose live deployments the test sets, and folders that the test makes slow or impossible. */
class World {
  readonly live = new Map<string, number>();
  readonly served = new Map<string, { number: number }>();
  readonly history: string[] = [];
  readonly givenUp: number[] = [];
  /** Deployments that are not ready yet, and when they are. */
  readonly slow = new Map<number, Promise<void>>();
  readonly turns = new Map<string, Promise<void>>();
  listeners: ((signal: StoreSignal) => void)[] = [];
  away = false;

  follower(): Follower {
    return new Follower({
      store: {
        subscribe: (listener) => {
          this.listeners.push(listener);
          return () => {
            this.listeners = [];
          };
        },
        deploymentListLive: async () => {
          if (this.away) throw new Error("away");
          return [...this.live].map(([app, deployment]) => record(app, deployment));
        },
        deploymentGet: async ({ deployment }) => {
          for (const [app, live] of this.live) {
            if (deployment <= live && app === appOf(deployment))
              return record(app, deployment, live === deployment ? "live" : "superseded");
          }
          return null;
        },
      },
      prepare: async ({ deployment }) => {
        await this.slow.get(deployment);
      },
      giveUp: ({ deployment }) => {
        this.givenUp.push(deployment);
      },
      log: { error: (_, message) => this.history.push(message) },
      inTurn: async (app, step) => {
        const mine = (this.turns.get(app) ?? Promise.resolve()).then(step, step);
        this.turns.set(app, mine);
        await mine;
      },
      served: () => this.served,
      serve: ({ app, deployment }) => {
        this.served.set(app, { number: deployment });
        this.history.push(`serve ${deployment}`);
      },
      drop: (app) => {
        this.served.delete(app);
        this.history.push(`drop ${app}`);
      },
    });
  }

  async signal(): Promise<void> {
    for (const listener of this.listeners) listener({ type: "deployments" });
    for (let i = 0; i < 10; i++) await turn();
  }
}

/** Deployments under 100 are of one app, the others of another. */
const appOf = (deployment: number): string => (deployment < 100 ? "demo" : "other");

function record(app: string, deployment: number, status: DeploymentRecord["status"] = "live"): DeploymentRecord {
  return {
    app,
    deployment,
    status,
    digest: `${deployment}`,
    createdAt: 0,
    error: null,
    uploadBlob: "b",
  } as DeploymentRecord;
}

describe("what a server serves", () => {
  it("is what the store has live, at the start and as it changes", async () => {
    const world = new World();
    world.live.set("demo", 1);
    const follower = world.follower();
    await follower.start();
    assert.deepEqual(world.history, ["serve 1"]);
    await world.signal();
    world.live.set("demo", 2).set("other", 100);
    await world.signal();
    assert.deepEqual(world.history.sort(), ["serve 1", "serve 100", "serve 2"]);
    world.live.delete("other");
    await world.signal();
    assert.equal(world.history.at(-1), "drop other");
    follower.stop();
    world.live.set("demo", 3);
    await world.signal();
    assert.equal(world.served.get("demo")?.number, 2);
  });

  it("is never an older deployment than the store's, however late its folder is ready", async () => {
    const world = new World();
    const follower = world.follower();
    await follower.start();
    const ready = Promise.withResolvers<void>();
    world.slow.set(1, ready.promise);
    world.live.set("demo", 1);
    await world.signal();
    world.live.set("demo", 2);
    await world.signal();
    ready.resolve();
    await world.signal();
    assert.deepEqual(world.history, ["serve 2"]);
    follower.stop();
  });

  it("is held up by no other app", async () => {
    const world = new World();
    const follower = world.follower();
    await follower.start();
    const ready = Promise.withResolvers<void>();
    world.slow.set(1, ready.promise);
    world.live.set("demo", 1).set("other", 100);
    await world.signal();
    assert.deepEqual(world.history, ["serve 100"]);
    ready.resolve();
    await world.signal();
    assert.deepEqual(world.history, ["serve 100", "serve 1"]);
    follower.stop();
  });

  it("stays what it was while the next cannot be had, and says why where there is nothing", async () => {
    const world = new World();
    world.live.set("demo", 1);
    const follower = world.follower();
    await follower.start();
    const gone = new AthanorError("deployment_unavailable", "gone");
    for (const deployment of [2, 100]) world.slow.set(deployment, Promise.reject(gone));
    for (const slow of world.slow.values()) slow.catch(() => {});
    world.live.set("demo", 2).set("other", 100);
    await world.signal();
    assert.deepEqual([...world.served], [["demo", { number: 1 }]]);
    assert.equal(follower.whyUnavailable("other"), gone);
    world.slow.clear();
    await world.signal();
    assert.equal(world.served.get("other")?.number, 100);
    assert.equal(follower.whyUnavailable("other"), undefined);
    follower.stop();
  });

  it("is given up where it cannot be had, or was superseded while it got ready", async () => {
    const world = new World();
    world.live.set("demo", 1);
    const follower = world.follower();
    await follower.start();
    const late = Promise.withResolvers<void>();
    world.slow.set(2, late.promise);
    world.live.set("demo", 2);
    await world.signal();
    world.live.set("demo", 3);
    late.resolve();
    await world.signal();
    assert.deepEqual([world.givenUp, world.served.get("demo")?.number], [[2], 3]);
    const failed = Promise.reject(new AthanorError("startup_failed", "no"));
    failed.catch(() => {});
    world.slow.set(4, failed);
    world.live.set("demo", 4);
    await world.signal();
    assert.deepEqual([world.givenUp, world.served.get("demo")?.number], [[2, 4], 3]);
    follower.stop();
  });

  it("says that an app is being made while it is, and serves it to whoever asked to follow it", async () => {
    const world = new World();
    const follower = world.follower();
    await follower.start();
    const ready = Promise.withResolvers<void>();
    world.slow.set(1, ready.promise);
    world.live.set("demo", 1);
    const following = follower.follow(record("demo", 1));
    for (let i = 0; i < 10; i++) await turn();
    assert.equal(follower.whyUnavailable("demo")?.code, "deployment_unavailable");
    ready.resolve();
    await following;
    assert.equal(world.served.get("demo")?.number, 1);
    assert.equal(follower.whyUnavailable("demo"), undefined);
    follower.stop();
  });

  it("is looked at again when the store is back", async () => {
    const world = new World();
    const follower = world.follower();
    world.away = true;
    await assert.rejects(follower.start(), /away/);
    world.away = false;
    await follower.start();
    world.away = true;
    await world.signal();
    world.away = false;
    world.live.set("demo", 1);
    await world.signal();
    assert.equal(world.served.get("demo")?.number, 1);
    follower.stop();
  });
});
