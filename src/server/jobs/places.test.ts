import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Disk, result, Setup, type SetupOptions } from "../../../test/harness/job-setup.ts";
import { AthanorError } from "../../protocol/errors.ts";
import type { JobRecord, Store } from "../store/store.ts";
import { NO_OPTIONS, newJob } from "./new-job.ts";

const WIDE = { concurrency: 2 };

/** A server with a ready replica that has places. */
async function warm(disk: Disk, options: SetupOptions = {}): Promise<Setup> {
  const setup = await Setup.started(disk, { fn: WIDE, drainMs: 0, ...options });
  const job = await setup.spawn();
  (await setup.starter.call(1)).answer(result(null));
  await setup.end(job);
  return setup;
}

type Insert = Store["jobInsertMany"];

/** The disk's store with another way to insert. */
function storeThat(disk: Disk, jobInsertMany: Insert): Store {
  return Object.create(disk.store, { jobInsertMany: { value: jobInsertMany } });
}

describe("a job for which a place is at hand", () => {
  it("is started by the step that inserts it, and told of as queued, then running", async () => {
    await using disk = await Disk.make();
    const seen: [number, string][] = [];
    const changed = ({ job, status }: JobRecord): unknown => seen.push([job, status]);
    await using setup = await warm(disk, { changed });
    seen.length = 0;
    disk.store.jobClaim = () => assert.fail("nothing is claimed");
    const { deployment, fn } = setup;
    const inserted = await setup.jobs.spawn({ deployment, fn, idempotencyKey: null, body: "a", attachments: [] });
    const { job } = inserted.job;
    const call = await setup.starter.call(2);
    assert.equal(call.open.input, "a");
    const shown = await setup.jobs.view.inserted(inserted);
    assert.deepEqual([shown.status, shown.waiting], ["queued", null]);
    assert.deepEqual(seen, [
      [job, "queued"],
      [job, "running"],
    ]);
    call.answer(result("done"));
    assert.equal((await setup.end(job)).result, '"done"');
    assert.deepEqual(await setup.names(job), ["job.queued", "job.running", "job.result", "job.end"]);
  });

  it("takes no more places than there are", async () => {
    await using disk = await Disk.make();
    await using setup = await warm(disk);
    const jobs = await Promise.all(["a", "b", "c", "d"].map((body) => setup.spawn(body)));
    const records = await Promise.all(jobs.map((job) => setup.record(job)));
    assert.deepEqual(
      records.map(({ status }) => status),
      ["running", "running", "queued", "queued"],
    );
    for (let n = 2; n <= 5; n++) {
      const call = await setup.starter.call(n);
      assert.equal(call.open.input, "abcd"[n - 2]);
      call.answer(result(null));
    }
    for (const job of jobs) assert.equal((await setup.end(job)).status, "succeeded");
  });

  it("waits behind one that another server has queued", async () => {
    await using disk = await Disk.make();
    await using setup = await warm(disk, { store: Object.create(disk.store, { shared: { value: true } }) });
    const { deployment, fn } = setup;
    const input = { payload: '"first"', blobs: [] };
    const params = {
      ...{
        deployment,
        fn,
        input,
        options: NO_OPTIONS,
        idempotency: null,
        retryOf: null,
        traceparent: null,
        now: Date.now(),
      },
    };
    await disk.store.jobInsertMany({ jobs: [newJob(params)], now: Date.now() });
    const mine = await setup.spawn("second");
    assert.equal((await setup.record(mine)).status, "queued");
    const first = await setup.starter.call(2);
    assert.equal(first.open.input, "first");
    first.answer(result(null));
    (await setup.starter.call(3)).answer(result(null));
    assert.equal((await setup.end(mine)).status, "succeeded");
  });

  it("gives the place back where it cannot be stored", async () => {
    await using disk = await Disk.make();
    let full = false;
    const store = storeThat(disk, async (p) => {
      if (full) throw new AthanorError("storage_full", "The disk is full.");
      return disk.store.jobInsertMany(p);
    });
    await using setup = await warm(disk, { store });
    full = true;
    for (let i = 0; i < 4; i++) await assert.rejects(setup.spawn(), { code: "storage_full" });
    full = false;
    const jobs = [await setup.spawn(), await setup.spawn()];
    for (const n of [2, 3]) (await setup.starter.call(n)).answer(result(null));
    for (const job of jobs) assert.equal((await setup.end(job)).status, "succeeded");
  });

  it("does not run here where the lease was lost meanwhile", async () => {
    await using disk = await Disk.make();
    let owner = "before";
    let calls = 0;
    const store = storeThat(disk, async (p) => {
      const inserted = await disk.store.jobInsertMany(p);
      if (++calls === 2) owner = "after";
      return inserted;
    });
    await using setup = await warm(disk, { store, owner: () => owner });
    const job = await setup.spawn("lost");
    assert.deepEqual([(await setup.record(job)).status, setup.starter.calls.length], ["running", 1]);
    const changes = await disk.store.jobRescue({ server: owner, owners: "all", now: Date.now(), limit: 9 });
    setup.jobs.rescued(changes);
    const again = await setup.starter.call(2);
    assert.deepEqual([again.open.input, again.open.attempt], ["lost", 2]);
    again.answer(result("found"));
    assert.equal((await setup.end(job)).result, '"found"');
  });

  it("is waited for by a server that stops", async () => {
    await using disk = await Disk.make();
    const gate = Promise.withResolvers<void>();
    let calls = 0;
    const store = storeThat(disk, async (p) => {
      const inserted = await disk.store.jobInsertMany(p);
      if (++calls === 2) await gate.promise;
      return inserted;
    });
    await using setup = await warm(disk, { store });
    const spawned = setup.spawn();
    const stopped = setup.jobs.stop();
    await turn();
    gate.resolve();
    const job = await spawned;
    await stopped;
    assert.deepEqual(
      [(await setup.record(job)).status, (await setup.record(job)).lostCount],
      ["queued", 1],
      "put back for the next start",
    );
  });
});
