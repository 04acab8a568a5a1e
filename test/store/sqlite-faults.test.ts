import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { describe, it } from "node:test";
import { AthanorError } from "../../src/protocol/errors.ts";
import { openSqliteStore, type SqliteStore } from "../../src/server/store/sqlite.ts";
import type { JobOutcome } from "../../src/server/store/store.ts";
import { lines } from "./conformance/events.ts";
import {
  assertSound,
  claim,
  claimOne,
  eventsOf,
  givenDeployment,
  insertJobs,
  insertOne,
  newJob,
  rejectsWith,
  T0,
} from "./conformance/given.ts";
import { openTempStore, tempDir } from "./temp-store.ts";

const UNLIMITED = 1_000_000;

describe("a full disk", () => {
  it("refuses with storage_full, changes nothing, and goes on when there is room", async () => {
    await using store = await openTempStore({ maxPages: 100 });
    const deployment = await givenDeployment(store);
    const acknowledged = await fillUp(store, deployment);
    const records = await store.jobList({ limit: 999 });
    assert.deepEqual(
      records.map((j) => j.job).sort((a, b) => a - b),
      acknowledged,
    );
    await assertSound(store);
    store.limitPages(UNLIMITED);
    assert((await insertOne(store, newJob(deployment))).job.job > (acknowledged.at(-1) ?? 0));
    await assertSound(store);
  });

  it("lets verbs that need no room through, in one turn with one that does not fit", async () => {
    await using store = await openTempStore({ maxPages: 100 });
    const deployment = await givenDeployment(store);
    await insertJobs(store, deployment, 2);
    const big = newJob(deployment, { input: JSON.stringify("x".repeat(1_000_000)) });
    const [inserted, cancelled] = await Promise.allSettled([
      insertOne(store, big),
      store.jobCancel({ job: 1, now: T0 }),
    ]);
    assert.equal(inserted.status === "rejected" && (inserted.reason as AthanorError).code, "storage_full");
    // SQLite may give up the whole transaction; then the other verb must say that it did not happen.
    const { status } = (await store.jobGet({ job: 1 })) ?? {};
    assert.equal(status, cancelled.status === "fulfilled" ? "cancelled" : "queued");
    await assertSound(store);
    store.limitPages(UNLIMITED);
    assert.equal((await insertOne(store, big)).existing, false);
  });

  it("rejects events and results alike, with the attempt still running", async () => {
    await using store = await openTempStore({ maxPages: 100 });
    const deployment = await givenDeployment(store);
    await insertJobs(store, deployment, 1);
    const running = await claimOne(store, deployment);
    const { job, fence } = running;
    await fillUp(store, deployment);
    const result = JSON.stringify("x".repeat(500_000));
    const outcome: JobOutcome = { type: "succeed", result, resultBlobs: [] };
    const succeed = { job, fence, outcome, now: T0 };
    await rejectsWith(store.jobFinish(succeed), "storage_full");
    await rejectsWith(store.eventAppend({ batches: [{ job, fence, events: lines(1000) }], now: T0 }), "storage_full");
    assert.deepEqual((await store.jobGet({ job }))?.lastEvent, 2);
    store.limitPages(UNLIMITED);
    assert.equal((await store.jobFinish(succeed))?.job.status, "succeeded");
    assert.deepEqual(
      (await eventsOf(store, job)).map(({ id }) => id),
      [1, 2, 3, 4],
    );
    await assertSound(store);
  });
});

async function fillUp(store: SqliteStore, deployment: number): Promise<number[]> {
  const acknowledged: number[] = [];
  const job = newJob(deployment, { input: JSON.stringify("x".repeat(10_000)) });
  for (;;) {
    try {
      acknowledged.push((await insertOne(store, job)).job.job);
    } catch (error) {
      assert(error instanceof AthanorError && error.code === "storage_full", String(error));
      return acknowledged;
    }
  }
}

describe("a write that the system refuses", () => {
  it("rejects what could not be committed, and keeps all that was acknowledged", async () => {
    await using dir = await tempDir();
    const path = join(dir.path, "athanor.db");
    // Blocks of 512 bytes or 1 KiB, as the shell will have it: room for some jobs, and not for many.
    const { inserted, refused } = await runWriter(path, { shell: "ulimit -f 1000" });
    assert.equal(refused, "storage_full");
    assert(inserted.length > 0);
    await using store = await openSqliteStore({ path });
    await assertSound(store);
    for (const job of inserted) assert(await store.jobGet({ job }), `jobs:${job} was acknowledged`);
    assert((await insertOne(store, newJob(1))).job.job > (inserted.at(-1) ?? 0));
  });
});

describe("group commit", () => {
  it("commits what was queued before the store is closed, and refuses what comes after", async () => {
    await using dir = await tempDir();
    const path = join(dir.path, "athanor.db");
    const store = await openSqliteStore({ path });
    const deployment = await givenDeployment(store);
    const inserted = insertJobs(store, deployment, 3);
    await store[Symbol.asyncDispose]();
    await store[Symbol.asyncDispose]();
    assert.deepEqual(await inserted, [1, 2, 3]);
    await rejectsWith(insertJobs(store, deployment, 1), "shutting_down");
    await using again = await openSqliteStore({ path });
    assert.equal((await again.jobList({ limit: 9 })).length, 3);
  });

  it("keeps the order of verbs, and shows reads only what is committed", async () => {
    await using store = await openTempStore();
    const deployment = await givenDeployment(store);
    const inserted = insertOne(store, newJob(deployment));
    const claimed = claim(store, deployment);
    assert.deepEqual(await store.jobList({ limit: 9 }), []);
    assert.equal((await inserted).job.status, "queued");
    assert.deepEqual(
      (await claimed).map((j) => j.job),
      [1],
    );
  });

  it("undoes a verb that fails halfway, and keeps all others of its turn, each once", async () => {
    await using store = await openTempStore();
    const deployment = await givenDeployment(store);
    const halfway = () =>
      store.jobInsertMany({
        jobs: [newJob(deployment, { function: "new" }), newJob(deployment, { function: "full", queueSize: 0 })],
        now: T0,
      });
    const turn = await Promise.allSettled([
      ...[insertJobs(store, deployment, 2), halfway(), insertJobs(store, deployment, 1)],
      ...[claim(store, deployment, { limit: 2 }), halfway(), store.jobCancel({ job: 3, now: T0 })],
    ]);
    assert.deepEqual(
      turn.map(({ status }) => status),
      ["fulfilled", "rejected", "fulfilled", "fulfilled", "rejected", "fulfilled"],
    );
    const jobs = (await store.jobList({ limit: 9 })).map(({ job, status, attempt }) => [job, status, attempt]);
    assert.deepEqual(jobs, [
      [3, "cancelled", 0],
      [2, "running", 1],
      [1, "running", 1],
    ]);
    assert.deepEqual(
      (await store.queueList({})).map((queue) => queue.function),
      ["infer"],
    );
    // The number of the queue that was not made is another's now, and so is its name.
    assert.equal((await insertOne(store, newJob(deployment, { function: "later" }))).job.function, "later");
    assert.equal((await store.jobGet({ job: 4 }))?.function, "later");
    await assertSound(store);
  });

  it("takes thousands of verbs at once", async () => {
    await using store = await openTempStore();
    const deployment = await givenDeployment(store);
    const inserts = Array.from({ length: 3000 }, () => insertOne(store, newJob(deployment, { queueSize: 5000 })));
    assert.deepEqual(
      (await Promise.all(inserts)).map(({ position }) => position),
      inserts.map((_, i) => i + 1),
    );
  });
});

describe("kill -9", () => {
  it("loses nothing that was acknowledged", async () => {
    await using dir = await tempDir();
    const path = join(dir.path, "athanor.db");
    for (let round = 0; round < 3; round++) {
      const { inserted, finished } = await runWriter(path, { killAfter: 60 + round * 40 });
      await using store = await openSqliteStore({ path });
      await assertSound(store);
      for (const job of inserted) assert(await store.jobGet({ job }), `jobs:${job} was acknowledged`);
      for (const job of finished) assert.equal((await store.jobGet({ job }))?.status, "succeeded");
      const rescued = await store.jobRescue({ server: "next", owners: "all", now: T0, limit: 9999 });
      assert(rescued.every(({ job }) => job.status === "queued" && job.lostCount > 0));
      await assertSound(store);
    }
  });
});

interface Acknowledged {
  inserted: number[];
  finished: number[];
  /** The code with which the store refused a verb. */
  refused: string | null;
}

/** Runs writer.ts, below what `shell` sets, until it ends or has acknowledged so many verbs and is killed. */
async function runWriter(path: string, p: { killAfter?: number; shell?: string }): Promise<Acknowledged> {
  const command = [process.execPath, join(import.meta.dirname, "writer.ts"), path];
  const limited = ["sh", "-c", `${p.shell ?? "true"}; exec "$@"`, "sh", ...command];
  const child = spawn(limited[0] as string, limited.slice(1), { stdio: ["ignore", "pipe", "inherit"] });
  const exited = once(child, "exit");
  const told: Acknowledged = { inserted: [], finished: [], refused: null };
  for await (const line of createInterface({ input: child.stdout })) {
    const [verb, what] = line.split(" ");
    if (verb === "refused") told.refused = what ?? null;
    else told[verb as "inserted" | "finished"].push(Number(what));
    if (told.inserted.length + told.finished.length === p.killAfter) child.kill("SIGKILL");
  }
  const [, signal] = await exited;
  assert.equal(signal, p.killAfter === undefined ? null : "SIGKILL");
  return told;
}
