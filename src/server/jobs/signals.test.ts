import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { FakeReplica } from "../../../test/harness/fake-replicas.ts";
import { Disk, result, Setup, type SetupOptions } from "../../../test/harness/job-setup.ts";
import { AthanorError } from "../../protocol/errors.ts";
import type { Store, StoreSignal } from "../store/store.ts";

/** Two servers on one store; the test says when the first hears of what the second has done. */
async function twoServers(disk: Disk, options: SetupOptions = {}) {
  const listeners = new Set<(signal: StoreSignal) => void>();
  const view = (heard: boolean): Store =>
    Object.create(disk.store, {
      shared: { value: true },
      subscribe: {
        value: (listener: (signal: StoreSignal) => void) => {
          if (heard) listeners.add(listener);
          return () => listeners.delete(listener);
        },
      },
    });
  const here = await Setup.started(disk, { ...options, drainMs: 0, owner: () => "here", store: view(true) });
  const there = here.restarted({ drainMs: 0, owner: () => "there", store: view(false) });
  await there.jobs.start();
  const hear = (signal: StoreSignal): void => {
    for (const listener of listeners) listener(signal);
  };
  return {
    here,
    there,
    hear,
    listeners,
    due: { type: "due", deployment: here.deployment.number, function: "f" } as const,
    async [Symbol.asyncDispose]() {
      await there[Symbol.asyncDispose]();
      await here[Symbol.asyncDispose]();
    },
  };
}

async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await turn();
}

describe("what another server has done", () => {
  it("ends a wait here for a job that ran there", async () => {
    await using disk = await Disk.make();
    await using servers = await twoServers(disk);
    const { here, there, hear } = servers;
    const job = await there.spawn();
    const call = await there.starter.call(1);
    const waited = here.end(job);
    await settle();
    call.answer(result("done there"));
    await there.end(job);
    hear({ type: "job", job, app: "demo", function: "f", status: "succeeded" });
    assert.equal((await waited).result, '"done there"');
  });

  it("stops here what was cancelled there, and only that", async () => {
    await using disk = await Disk.make();
    await using servers = await twoServers(disk);
    const { here, there, hear } = servers;
    const job = await here.spawn();
    const call = await here.starter.call(1);
    hear({ type: "cancel", job: 77 });
    assert.equal((await there.jobs.cancel(job)).status, "running");
    assert.deepEqual(call.cancelled, []);
    hear({ type: "cancel", job });
    assert.deepEqual(call.cancelled, ["cancelled"]);
    call.answer(result(null));
    assert.equal((await here.end(job)).status, "cancelled");
  });

  it("starts no replica here for a job that is run there at once", async () => {
    await using disk = await Disk.make();
    await using servers = await twoServers(disk);
    const { here, there, hear, due } = servers;
    there.starter.onCall = (call) => call.answer(result(null));
    const job = await there.spawn();
    hear(due);
    await there.end(job);
    hear({ type: "job", job, app: "demo", function: "f", status: "succeeded" });
    await settle();
    assert.equal(here.starter.replicas.length, 0);
  });

  it("runs here what was queued there, however many for one signal", async () => {
    await using disk = await Disk.make();
    await using servers = await twoServers(disk, { fn: { concurrency: 3 } });
    const { here, there, hear, due } = servers;
    there.starter.autoReady = false;
    here.starter.onCall = (call) => call.answer(result("ran here"));
    const jobs = await Promise.all(Array.from({ length: 10 }, () => there.spawn()));
    hear(due);
    for (const job of jobs) {
      while ((await here.record(job)).status !== "succeeded") await turn();
    }
    assert.equal(here.starter.calls.length, 10);
  });

  it("lets the next job of a limited function start here when one ends there", async () => {
    await using disk = await Disk.make();
    const limits = { concurrency: 1, keyConcurrency: 1, rate: null };
    await using servers = await twoServers(disk, { fn: { limits } });
    const { here, there, hear } = servers;
    const first = await there.spawn();
    const call = await there.starter.call(1);
    const second = await here.spawn();
    await settle();
    assert.equal(here.starter.calls.length, 0);
    call.answer(result(null));
    await there.end(first);
    hear({ type: "job", job: first, app: "demo", function: "f", status: "succeeded" });
    (await here.starter.call(1)).answer(result(null));
    assert.equal((await here.end(second)).status, "succeeded");
  });

  it("is found where the signals were missed", async () => {
    await using disk = await Disk.make();
    await using servers = await twoServers(disk);
    const { here, there, hear } = servers;
    const own = await here.spawn();
    const call = await here.starter.call(1);
    const theirs = await there.spawn();
    const waited = here.end(theirs);
    (await there.starter.call(1)).answer(result("there"));
    await there.end(theirs);
    await there.jobs.cancel(own);
    hear({ type: "missed" });
    assert.equal((await waited).status, "succeeded");
    while (call.cancelled.length === 0) await turn();
    call.answer(result(null));
    assert.equal((await here.end(own)).status, "cancelled");
  });

  it("is no longer listened to by a server that has stopped", async () => {
    await using disk = await Disk.make();
    await using servers = await twoServers(disk);
    assert.equal(servers.listeners.size, 1);
    await servers.here.jobs.stop();
    assert.equal(servers.listeners.size, 0);
  });
});

describe("a lost lease", () => {
  it("ends at once what runs here; the jobs run again there, and nothing of here is written", async () => {
    await using disk = await Disk.make();
    await using servers = await twoServers(disk);
    const { here, there } = servers;
    const job = await here.spawn();
    const call = await here.starter.call(1);
    const now = Date.now();
    const rescued = await disk.store.jobRescue({ server: "there", owners: "all", now, limit: 10 });
    assert.deepEqual(
      rescued.map((change) => [change.job.job, change.job.status]),
      [[job, "queued"]],
    );
    there.jobs.rescued(rescued);
    const again = await there.starter.call(1);
    await here.jobs.leaseLost();
    assert.deepEqual(call.cancelled, ["shutdown"]);
    assert.ok((here.starter.replicas[0] as FakeReplica).killed);
    await settle();
    assert.equal((await there.record(job)).status, "running");
    again.answer(result("there"));
    assert.equal((await there.end(job)).result, '"there"');
  });
});

describe("an end whose answer was lost", () => {
  it("is told to those who wait, once the store says so", async () => {
    await using disk = await Disk.make();
    await using setup = await Setup.started(disk);
    const { store } = disk;
    const finish = store.jobFinish.bind(store);
    let lost = 0;
    store.jobFinish = async (p) => {
      const change = await finish(p);
      if (lost++ > 0) return change;
      throw new AthanorError("store_unreachable", "The answer never came.");
    };
    const job = await setup.spawn();
    const waited = setup.end(job);
    (await setup.starter.call(1)).answer(result("stored"));
    assert.equal((await waited).result, '"stored"');
    assert.equal(lost, 2);
  });
});

it("a job is run at once where a claim of the same turn may come before its insertion", async () => {
  await using disk = await Disk.make();
  const jobInsertMany: Store["jobInsertMany"] = async (p) => {
    await settle();
    return disk.store.jobInsertMany(p);
  };
  const store: Store = Object.create(disk.store, { shared: { value: true }, jobInsertMany: { value: jobInsertMany } });
  await using server = await Setup.started(disk, { store });
  for (const nth of [1, 2, 3]) {
    const job = await server.spawn();
    (await server.starter.call(nth)).answer(result(nth));
    assert.equal((await server.end(job)).result, String(nth));
  }
});

describe("where a claim of the same turn may come before the end of the job whose place it fills", () => {
  const overtaken = (disk: Disk): Store =>
    Object.create(disk.store, {
      shared: { value: true },
      jobFinish: {
        value: async (p: Parameters<Store["jobFinish"]>[0]) => {
          await settle();
          return disk.store.jobFinish(p);
        },
      },
    });

  it("a job that waits for the function's limit runs", async () => {
    await using disk = await Disk.make();
    const fn = { concurrency: 8, limits: { concurrency: 1, keyConcurrency: 1, rate: null } };
    await using server = await Setup.started(disk, { store: overtaken(disk), fn });
    const jobs = [await server.spawn(), await server.spawn(), await server.spawn()];
    const first = await server.starter.call(1);
    server.starter.onCall = (call) => call.answer(result("done"));
    first.answer(result("done"));
    for (const job of jobs) assert.equal((await server.end(job)).status, "succeeded");
  });

  it("a job that waits for its concurrency key runs", async () => {
    await using disk = await Disk.make();
    await using server = await Setup.started(disk, { store: overtaken(disk), fn: { concurrency: 8 } });
    const jobs: number[] = [];
    for (let i = 0; i < 3; i++) jobs.push(await server.call({ concurrencyKey: "ann" }));
    const first = await server.starter.call(1);
    server.starter.onCall = (call) => call.answer(result("done"));
    first.answer(result("done"));
    for (const job of jobs) assert.equal((await server.end(job)).status, "succeeded");
  });
});
