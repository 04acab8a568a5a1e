import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { type FakeReplica, FakeStarter } from "../../../test/harness/fake-replicas.ts";
import { deploymentOf, functionSpec } from "../../../test/harness/specs.ts";
import { AthanorError } from "../../protocol/errors.ts";
import type { FunctionSpec } from "../../protocol/spec.ts";
import type { RunnableDeployment } from "./deployment.ts";
import { type Lease, Scheduler } from "./scheduler.ts";

const log = { info() {}, warn() {}, error() {} };

/** An app of two functions, whose first deployment is live. */
class Setup implements AsyncDisposable {
  readonly starter = new FakeStarter();
  readonly scheduler: Scheduler;
  readonly old: RunnableDeployment = this.version(1);

  constructor() {
    let number = 0;
    this.scheduler = new Scheduler({
      starter: this.starter,
      access: () => ({ serverUrl: "", serverToken: "" }),
      nextReplica: () => ++number,
      log,
    });
    this.scheduler.add(this.old);
  }

  version(number: number, changes: Partial<FunctionSpec> = { maxReplicas: 3 }): RunnableDeployment {
    return deploymentOf(number, [functionSpec("a", changes), functionSpec("b", changes)]);
  }

  /** Calls that hold a place each; the live deployment's replicas of `a` are as many. */
  async load(calls: number): Promise<Lease[]> {
    const fn = this.old.fn("a") as FunctionSpec;
    const { signal } = new AbortController();
    return Promise.all(
      Array.from({ length: calls }, () => this.scheduler.acquire({ deployment: this.old, fn, signal })),
    );
  }

  of(deployment: number): FakeReplica[] {
    return this.starter.replicas.filter((replica) => replica.deployment === deployment);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.scheduler.stop();
  }
}

const code =
  (expected: string) =>
  (error: unknown): boolean =>
    error instanceof AthanorError && error.code === expected;

describe("Scheduler.prepare", () => {
  it("starts as many as the live deployment has ready, keeps them while nobody uses them, and resolves when all are ready", async () => {
    await using setup = new Setup();
    await setup.load(2);
    setup.starter.autoReady = false;
    const next = setup.version(2);
    let isPrepared = false;
    const prepared = setup.scheduler.prepare(next).then(() => {
      isPrepared = true;
    });
    const [first, second, ...more] = setup.of(2);
    assert.deepEqual([first?.group, second?.group, more.length], ["a", "a", 0]);
    first?.becomeReady();
    await turn();
    assert.ok(!isPrepared);
    second?.becomeReady();
    await prepared;
    setup.scheduler.wake();
    assert.deepEqual(
      setup.of(2).map(({ state }) => state),
      ["ready", "ready"],
    );
    // The switch: they go on as the live deployment's own.
    setup.scheduler.add(next);
    setup.scheduler.retire(1);
    assert.deepEqual(
      setup.of(2).map(({ state }) => state),
      ["ready", "ready"],
    );
    assert.equal(setup.scheduler.tryAcquire(next, next.fn("a") as FunctionSpec)?.session.deployment, 2);
  });

  it("starts no fewer than minReplicas and no more than maxReplicas", async () => {
    await using setup = new Setup();
    await setup.load(3);
    await setup.scheduler.prepare(setup.version(2, { minReplicas: 2, maxReplicas: 2 }));
    assert.deepEqual(
      setup.of(2).map(({ group }) => group),
      ["a", "a", "b", "b"],
    );
  });

  it("resolves at once where nothing is to be prepared", async () => {
    await using setup = new Setup();
    await setup.scheduler.prepare(setup.version(2));
    assert.equal(setup.starter.replicas.length, 0);
    setup.scheduler.abandon(setup.version(2));
  });

  it("rejects with the first failure, and gives up what there is when it is abandoned", async () => {
    await using setup = new Setup();
    await setup.load(2);
    setup.starter.autoReady = false;
    const next = setup.version(2);
    const prepared = setup.scheduler.prepare(next);
    const [first, second] = setup.of(2);
    first?.becomeReady();
    second?.failToStart(new AthanorError("startup_failed", "the model is missing"));
    await assert.rejects(prepared, /the model is missing/);
    assert.equal(first?.state, "ready");
    setup.scheduler.abandon(next);
    await first?.ended;
    assert.ok(first?.drained);
    await turn();
    assert.deepEqual(
      setup.scheduler.replicas().map(({ deployment_id }) => deployment_id),
      ["deployments:1", "deployments:1"],
    );
  });

  it("rejects when it is abandoned, or the server stops, before all are ready", async () => {
    await using setup = new Setup();
    setup.starter.autoReady = false;
    const [second, third] = [setup.version(2, { minReplicas: 1 }), setup.version(3, { minReplicas: 1 })];
    const abandoned = assert.rejects(setup.scheduler.prepare(second), code("cancelled"));
    const stopped = assert.rejects(setup.scheduler.prepare(third), code("shutting_down"));
    setup.scheduler.abandon(second);
    await abandoned;
    assert.ok(setup.of(2).every(({ killed }) => killed));
    await setup.scheduler.stop();
    await stopped;
    await assert.rejects(setup.scheduler.prepare(second), code("shutting_down"));
  });
});
