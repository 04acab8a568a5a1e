import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { exitOf, type FakeReplica, FakeStarter } from "../../../test/harness/fake-replicas.ts";
import { deploymentOf, endpointSpec, functionSpec, serviceSpec } from "../../../test/harness/specs.ts";
import { AthanorError } from "../../protocol/errors.ts";
import type { FunctionSpec } from "../../protocol/spec.ts";
import type { RunnableDeployment } from "./deployment.ts";
import { type Lease, Scheduler, type SchedulerOptions } from "./scheduler.ts";

const log = { info() {}, warn() {}, error() {} };

class Setup implements AsyncDisposable {
  readonly starter = new FakeStarter();
  readonly fn: FunctionSpec;
  readonly deployment: RunnableDeployment;
  readonly scheduler: Scheduler;
  readonly #left = new AbortController();

  constructor(changes: Partial<FunctionSpec> = {}, options: Partial<SchedulerOptions> = {}, timeoutS = 60, drainS = 5) {
    this.fn = endpointSpec(
      "f",
      { concurrency: 2, ...changes },
      { serviceStartupTimeoutS: timeoutS, drainTimeoutS: drainS },
    );
    this.deployment = deploymentOf(1, [this.fn]);
    let number = 0;
    const access = () => ({ serverUrl: "", serverToken: "" });
    const policy = { startBackoffFirstMs: 20, startBackoffMaxMs: 40 };
    this.scheduler = new Scheduler({
      starter: this.starter,
      access,
      nextReplica: () => ++number,
      log,
      policy,
      ...options,
    });
    this.scheduler.add(this.deployment);
  }

  acquire(signal = this.#left.signal): Promise<Lease> {
    return this.scheduler.acquire({ deployment: this.deployment, fn: this.fn, signal });
  }

  tryAcquire(): Lease | null {
    return this.scheduler.tryAcquire(this.deployment, this.fn);
  }

  replica(n: number): Promise<FakeReplica> {
    return this.starter.replica(n);
  }

  get states(): string[] {
    return this.scheduler.replicas().map(({ status }) => status);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.scheduler.stop();
    assert.ok(this.starter.replicas.every(({ state }) => state === "ended"));
  }
}

const code =
  (expected: string) =>
  (error: unknown): boolean =>
    error instanceof AthanorError && error.code === expected;

const refusedFor =
  (expected: string, retryAfterS: number) =>
  (error: unknown): boolean =>
    code(expected)(error) &&
    (error as AthanorError).status === 503 &&
    (error as AthanorError).headers["retry-after"] === String(retryAfterS);

describe("Scheduler", () => {
  it("starts a replica for the first call, holds calls until it is ready, and serves them in order", async () => {
    await using setup = new Setup({ concurrency: 1 });
    setup.starter.autoReady = false;
    assert.equal(setup.tryAcquire(), null);
    const order: number[] = [];
    const calls = [1, 2, 3].map((n) =>
      setup.acquire().then((lease) => {
        order.push(n);
        return lease;
      }),
    );
    (await setup.replica(1)).becomeReady();
    for (const call of calls) (await call).release();
    assert.deepEqual(order, [1, 2, 3]);
    assert.equal(setup.starter.replicas.length, 1);
  });

  it("takes a ready replica synchronously, the least loaded one, never past its concurrency", async () => {
    await using setup = new Setup({ maxReplicas: 2, minReplicas: 2 });
    await turn();
    const leases = [1, 2, 3, 4].map(() => setup.tryAcquire());
    assert.deepEqual(
      leases.map((lease) => lease?.session.id),
      ["replicas:1", "replicas:2", "replicas:1", "replicas:2"],
    );
    assert.equal(setup.tryAcquire(), null);
    leases[1]?.release();
    leases[1]?.release();
    assert.equal(setup.tryAcquire()?.session.id, "replicas:2");
    assert.equal(setup.tryAcquire(), null);
  });

  it("starts more replicas up to the maximum as calls need them", async () => {
    await using setup = new Setup({ maxReplicas: 2, concurrency: 1 });
    const held = [1, 2, 3].map(() => setup.acquire());
    const [first, second] = [await held[0], await held[1]];
    assert.notEqual(first?.session.id, second?.session.id);
    assert.equal(setup.starter.replicas.length, 2);
    first?.release();
    assert.equal((await held[2])?.session.id, first?.session.id);
  });

  it("starts no second replica of a web server that insists on its own port", async () => {
    const { service } = serviceSpec("f", "webServer", { server: { port: 8765, command: null } });
    await using setup = new Setup({ service, endpoint: null, maxReplicas: 2, concurrency: 1 });
    setup.starter.onStart = (replica) => {
      replica.address = { host: "127.0.0.1", port: 8765 };
    };
    await setup.acquire();
    const held = setup.acquire();
    await turn();
    assert.equal(setup.starter.replicas.length, 1);
    held.catch(() => {});
  });

  it("drains a replica once it was idle for keepWarmS, and starts another for the next call", async () => {
    await using setup = new Setup({ keepWarmS: 0.02 });
    (await setup.acquire()).release();
    const replica = await setup.replica(1);
    await replica.ended;
    assert.ok(replica.drained && !replica.killed);
    assert.equal((await setup.acquire()).session.id, "replicas:2");
  });

  it("lets a superseded deployment's replica go only when its last call is over", async () => {
    await using setup = new Setup();
    const lease = await setup.acquire();
    setup.scheduler.retire(1);
    assert.deepEqual(setup.states, ["ready"]);
    lease.release();
    await (await setup.replica(1)).ended;
    await turn();
    assert.deepEqual(setup.states, []);
  });

  it("tells calls that would never end to end, drainTimeoutS after their deployment was live", async () => {
    await using setup = new Setup({}, {}, 60, 0);
    const [first, second] = [await setup.acquire(), await setup.acquire()];
    setup.scheduler.retire(1);
    // Back before its time was over.
    setup.scheduler.add(setup.deployment);
    setup.scheduler.retire(1);
    const told = once(first.ending, "abort");
    assert.ok(!first.ending.aborted);
    await told;
    assert.ok(second.ending.aborted);
    assert.deepEqual(setup.states, ["ready"], "what it does about it is its own");
    setup.scheduler.add(setup.deployment);
    second.release();
    const third = await setup.acquire();
    assert.ok(!third.ending.aborted);
    await setup.scheduler.stop();
    assert.ok(third.ending.aborted);
  });

  it("lets a replica that needs the port of another start when that is gone, and holds its calls until then", async () => {
    const { service } = serviceSpec("f", "webServer", { server: { port: 8765, command: null } });
    const changes = { service, endpoint: null, maxReplicas: 3, concurrency: 2 };
    await using setup = new Setup(changes);
    setup.starter.onStart = (replica) => {
      replica.address = { host: "127.0.0.1", port: 8765 };
    };
    const [old, next] = [await setup.acquire(), deploymentOf(2, [endpointSpec("f", changes)])];
    const held = [setup.acquire(), setup.acquire()];
    await setup.scheduler.prepare(next);
    assert.deepEqual(setup.states, ["ready"], "none could run beside it");
    setup.scheduler.retire(1);
    setup.scheduler.add(next);
    const fn = next.fn("f") as FunctionSpec;
    const waiting = setup.scheduler.acquire({ deployment: next, fn, signal: new AbortController().signal });
    old.release();
    for (const each of held) (await each).release();
    const lease = await waiting;
    assert.equal(lease.session.id, "replicas:2");
    assert.ok((await setup.replica(1)).drained);
    lease.release();
  });

  it("drains what has the port of a newer deployment for longer than drainTimeoutS", async () => {
    const { service } = serviceSpec("f", "webServer", { server: { port: 8765, command: null }, drainTimeoutS: 0 });
    const changes = { service, endpoint: null };
    await using setup = new Setup(changes);
    setup.starter.onStart = (replica) => {
      replica.address = { host: "127.0.0.1", port: 8765 };
    };
    const endless = await setup.acquire();
    const next = deploymentOf(2, [endpointSpec("f", changes)]);
    await setup.scheduler.prepare(next);
    setup.scheduler.retire(1);
    setup.scheduler.add(next);
    const fn = next.fn("f") as FunctionSpec;
    const lease = await setup.scheduler.acquire({ deployment: next, fn, signal: new AbortController().signal });
    assert.equal(lease.session.id, "replicas:2");
    endless.release();
    lease.release();
  });

  it("gives callers the reason of a failed start, and tries again after its back-off", async () => {
    await using setup = new Setup();
    setup.starter.autoReady = false;
    const held = setup.acquire();
    (await setup.replica(1)).failToStart(new AthanorError("startup_failed", "the model is missing"));
    const refused = (error: unknown): boolean =>
      code("startup_failed")(error) &&
      (error as AthanorError).detail === "the model is missing" &&
      "retry-after" in (error as AthanorError).headers;
    await assert.rejects(held, refused);
    await assert.rejects(setup.acquire(), refused);
    // Calls until the back-off is over are refused at once; then one is held, and starts the next.
    setup.starter.autoReady = true;
    let lease: Lease | null = null;
    while (lease === null)
      lease = await setup.acquire().catch(() => new Promise<null>((resolve) => setTimeout(resolve, 5, null)));
    assert.equal(lease.session.id, "replicas:2");
  });

  it("backs off from a replica that dies before its first call", async () => {
    await using setup = new Setup({ minReplicas: 1 });
    await turn();
    (await setup.replica(1)).end(exitOf({ lastStderr: ["out of luck"] }));
    await turn();
    assert.deepEqual(setup.states, []);
    // What it printed is for the logs, and not for whoever calls.
    const refused = (error: unknown): boolean =>
      code("startup_failed")(error) && !(error as AthanorError).detail.includes("out of luck");
    await assert.rejects(setup.acquire(), refused);
    assert.match(
      String(setup.scheduler.show(1)[0]?.last_failure?.message),
      /exit code 1 before its first call.*\n.*\nout of luck/,
    );
    await setup.replica(2);
    await turn();
    assert.deepEqual(setup.states, ["ready"]);
  });

  it("replaces a replica that died at work at once", async () => {
    await using setup = new Setup({ concurrency: 1 });
    const lease = await setup.acquire();
    const next = setup.acquire();
    (await setup.replica(1)).end(exitOf());
    lease.release();
    assert.equal((await next).session.id, "replicas:2");
  });

  it("tells callers that a service is not there, whatever kept it from starting", async () => {
    await using setup = new Setup();
    setup.starter.autoReady = false;
    const held = setup.acquire();
    const error = new AthanorError("import_failed", "Cannot find package 'left-pad'\n    at /secret/place.ts:1");
    (await setup.replica(1)).failToStart(error);
    await assert.rejects(held, refusedFor("startup_failed", 1));
    await assert.rejects(setup.acquire(), { detail: "import_failed: Cannot find package 'left-pad'" });
    assert.equal(setup.scheduler.show(1)[0]?.last_failure?.code, "import_failed");
  });

  it("backs off where replica after replica dies before it has finished a call, until one has", async () => {
    await using setup = new Setup({ concurrency: 1 });
    const die = async (n: number): Promise<void> => {
      const lease = await setup.acquire();
      (await setup.replica(n)).end(exitOf({ lastStderr: ["boom"] }));
      lease.release();
      await turn();
    };
    for (let n = 1; n <= 4; n++) await die(n);
    (await setup.acquire()).release();
    await turn();
    (await setup.replica(5)).end(exitOf());
    await turn();
    for (let n = 6; n <= 10; n++) await die(n);
    await assert.rejects(setup.acquire(), {
      code: "startup_failed",
      detail: /^replica_crashed: 5 replicas in a row .* exit code 1\.$/,
    });
    const [group] = setup.scheduler.show(1);
    assert.deepEqual(
      group?.last_exits.map(({ replica_id, reason }) => `${replica_id} ${reason}`),
      [10, 9, 8, 7, 6, 5, 4, 3, 2, 1].map((n) => `replicas:${n} exited`),
    );
    assert.match(String(group?.last_failure?.message), /boom/);
  });

  it("keeps a replica for as long as it holds a call, on whatever clock", async () => {
    let now = 1_000_000;
    await using setup = new Setup({ keepWarmS: 1, concurrency: 100 }, { now: () => now });
    const socket = await setup.acquire();
    (await setup.acquire()).release();
    now += 1e9;
    setup.scheduler.wake();
    assert.deepEqual(setup.states, ["ready"]);
    socket.release();
    setup.scheduler.wake();
    assert.deepEqual(setup.states, ["ready"]);
    now += 1000;
    setup.scheduler.wake();
    await (await setup.replica(1)).ended;
  });

  it("gives calls to the replicas that the last minute needs, and to others only what these have no place for", async () => {
    let now = 1_000_000;
    await using setup = new Setup({ maxReplicas: 3, concurrency: 2 }, { now: () => now });
    const leases = await Promise.all([1, 2, 3, 4, 5, 6].map(() => setup.acquire()));
    for (const lease of leases) lease.release();
    const ids = (count: number): (string | undefined)[] =>
      Array.from({ length: count }, () => setup.tryAcquire()?.session.id);
    now += 70_000;
    setup.scheduler.wake();
    assert.deepEqual(ids(3), ["replicas:1", "replicas:1", "replicas:2"]);
  });

  it("waits for scaleUpDelayS with all replicas but the first", async () => {
    await using setup = new Setup({ maxReplicas: 2, concurrency: 1, scaleUpDelayS: 0.02 });
    await setup.acquire();
    const held = setup.acquire();
    assert.equal(setup.starter.replicas.length, 1);
    assert.equal((await held).session.id, "replicas:2");
  });

  it("bounds what it holds, and how long", async () => {
    await using setup = new Setup({}, { maxHeldRequests: 1 }, 0.02);
    setup.starter.autoReady = false;
    const held = setup.acquire();
    await assert.rejects(setup.acquire(), refusedFor("overloaded", 1));
    await assert.rejects(held, refusedFor("startup_timeout", 1));
  });

  it("says overloaded where replicas are there but busy", async () => {
    await using setup = new Setup({ concurrency: 1 }, {}, 0.02);
    await setup.acquire();
    await assert.rejects(setup.acquire(), refusedFor("overloaded", 1));
  });

  it("lets a caller leave the queue", async () => {
    await using setup = new Setup({ concurrency: 1 });
    setup.starter.autoReady = false;
    const left = new AbortController();
    const gone = setup.acquire(left.signal);
    const stays = setup.acquire();
    left.abort();
    await assert.rejects(gone, code("cancelled"));
    (await setup.replica(1)).becomeReady();
    assert.equal((await stays).session.id, "replicas:1");
  });

  it("starts so many replicas at once and no more, over all groups in the order of their calls", async () => {
    await using setup = new Setup({}, { maxConcurrentStarts: 4 });
    const { scheduler, starter } = setup;
    starter.autoReady = false;
    const functions = Array.from({ length: 200 }, (_, i) => functionSpec(`f${i}`, { maxReplicas: 3 }));
    const deployment = deploymentOf(2, functions, "cold");
    scheduler.add(deployment);
    const { signal } = new AbortController();
    const calls = functions.map((fn) => scheduler.acquire({ deployment, fn, signal }));
    // The first function could use three replicas: it waits behind the others for its second.
    const more = scheduler.acquire({ deployment, fn: functions[0] as FunctionSpec, signal });
    for (let started = 1; started <= 200; started++) {
      const replica = await setup.replica(started);
      assert.equal(replica.group, deployment.groups[started - 1]?.name);
      assert.ok(starter.replicas.filter(({ state }) => state === "starting").length <= 4);
      if (started % 10 === 0) replica.failToStart(new Error("none"));
      else replica.becomeReady();
    }
    (await setup.replica(201)).becomeReady();
    const ends = await Promise.allSettled([...calls, more]);
    assert.equal(ends.filter(({ status }) => status === "rejected").length, 20);
  });

  it("does not let starts that take long hold up the others", async () => {
    await using setup = new Setup({}, { maxConcurrentStarts: 1, startTurnMs: 1 });
    setup.starter.autoReady = false;
    const functions = [functionSpec("slow"), functionSpec("quick")];
    const deployment = deploymentOf(2, functions);
    const { signal } = new AbortController();
    const [slow, quick] = functions.map((fn) => setup.scheduler.acquire({ deployment, fn, signal }));
    assert.equal(setup.starter.replicas.length, 1);
    (await setup.replica(2)).becomeReady();
    assert.equal((await quick)?.session.id, "replicas:2");
    (await setup.replica(1)).becomeReady();
    assert.equal((await slow)?.session.id, "replicas:1");
  });

  it("starts nothing for a call that left while its group waited for its turn", async () => {
    await using setup = new Setup({}, { maxConcurrentStarts: 1 });
    setup.starter.autoReady = false;
    const functions = [functionSpec("a"), functionSpec("b"), functionSpec("c")];
    const deployment = deploymentOf(2, functions);
    const left = new AbortController();
    const stays = new AbortController().signal;
    const [a, b, c] = functions.map((fn, i) =>
      setup.scheduler.acquire({ deployment, fn, signal: i === 1 ? left.signal : stays }),
    );
    left.abort();
    await assert.rejects(b as Promise<Lease>, code("cancelled"));
    (await setup.replica(1)).becomeReady();
    (await setup.replica(2)).becomeReady();
    await Promise.all([a, c]);
    assert.deepEqual(
      setup.starter.replicas.map(({ request }) => request.group.functions[0]?.name),
      ["a", "c"],
    );
  });

  it("refuses what it holds when it stops, kills what starts, and can start again", async () => {
    await using setup = new Setup();
    setup.starter.autoReady = false;
    const held = setup.acquire();
    const refused = assert.rejects(held, code("shutting_down"));
    await setup.scheduler.stop();
    await refused;
    assert.ok((await setup.replica(1)).killed);
    await assert.rejects(setup.acquire(), code("shutting_down"));
    await setup.scheduler.stop();
    await setup.scheduler.start();
    setup.starter.autoReady = true;
    assert.equal((await setup.acquire()).session.id, "replicas:2");
  });
});
