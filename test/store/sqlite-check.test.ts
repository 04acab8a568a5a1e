import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, it } from "node:test";
import { openSqliteStore } from "../../src/server/store/sqlite.ts";
import { lines } from "./conformance/events.ts";
import {
  assertSound,
  claimOne,
  finish,
  givenDeployment,
  insertJobs,
  insertOne,
  newJob,
  T0,
} from "./conformance/given.ts";
import { tempDir } from "./temp-store.ts";

/** jobs:1 has ended, jobs:2 runs with a long log, jobs:3 holds a key for which jobs:4 waits, jobs:5 has a long input and a webhook. */
async function write(path: string): Promise<void> {
  await using store = await openSqliteStore({ path });
  const deployment = await givenDeployment(store);
  await insertJobs(store, deployment, 2);
  await finish(store, await claimOne(store, deployment), "succeed");
  const { job, fence } = await claimOne(store, deployment);
  await store.eventAppend({ batches: [{ job, fence, events: lines(500) }], now: T0 });
  await insertJobs(store, deployment, 2, { concurrencyKey: { key: "k", limit: 1 } });
  const webhook = { url: "http://example.com/", secret: "s" };
  await insertOne(store, newJob(deployment, { input: JSON.stringify("x".repeat(5000)), webhook }));
}

/** What harm is done, and what is said of it. */
const HARM: [string, RegExp][] = [
  ["UPDATE job_counts SET queued = queued + 1", /counts of demo\/infer in deployments:1 .*1 queued/],
  ["DELETE FROM job_counts", /counts of demo\/infer .*-1 running/],
  ["UPDATE concurrency_keys SET parked = 0", /concurrency key k of queue 1/],
  [
    "UPDATE jobs SET hold = 'key' WHERE job = 3; UPDATE concurrency_keys SET ready = 0, parked = 2",
    /jobs:3 waits for .* k, which has room/,
  ],
  ["UPDATE jobs SET log = '' WHERE job = 4", /jobs:4 should hold the events 1 to 1 in its row/],
  ["UPDATE jobs SET last_event = 2 WHERE job = 4", /jobs:4 should hold the events 1 to 2 in its row/],
  ["DELETE FROM event_segments", /jobs:2 .* in segments, and has none/],
  ["UPDATE jobs SET segment_bytes = 1 WHERE job = 2", /jobs:2 .* in segments.* bytes of 1$/],
  ["UPDATE event_segments SET first = 2", /jobs:2 .* in segments.* of 2 to/],
  ["UPDATE event_segments SET data = 'job.log {}' || char(10)", /segment from 1 of jobs:2 .* holds 1/],
  [
    "UPDATE jobs SET log = replace(log, 'job.end', 'job.log') WHERE job = 1",
    /jobs:1 is succeeded, and the end of its log/,
  ],
  ["UPDATE jobs SET log = 'job.end {}' || char(10) WHERE job = 3", /jobs:3 is queued, and the end of its log/],
  ["DELETE FROM job_inputs", /jobs:5 has no input/],
  ["UPDATE jobs SET deployment = 9 WHERE job = 1", /jobs:1 is of deployments:9, which does not exist/],
  ["UPDATE jobs SET queue = 9 WHERE job = 1", /jobs:1 is of queue 9, which does not exist/],
  ["DELETE FROM webhooks", /jobs:5 is queued, and its webhook is missing/],
  ["UPDATE webhooks SET state = 'due', next_at = 1", /jobs:5 is queued, and its webhook is due/],
  ["INSERT INTO job_blobs VALUES (99, printf('%064d', 0))", /job_blobs names a row of jobs that does not exist/],
];

describe("check", () => {
  for (const [sql, said] of HARM) {
    it(`finds what is done by ${sql}`, async () => {
      await using dir = await tempDir();
      const path = join(dir.path, "athanor.db");
      await write(path);
      {
        await using store = await openSqliteStore({ path });
        await assertSound(store);
      }
      {
        using db = new DatabaseSync(path, { enableForeignKeyConstraints: false });
        const triggers = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'").all();
        for (const { name } of triggers) db.exec(`DROP TRIGGER ${name}`);
        db.exec(`PRAGMA ignore_check_constraints = ON; ${sql}`);
      }
      await using store = await openSqliteStore({ path });
      const problems = await store.check();
      assert(
        problems.some((problem) => said.test(problem)),
        problems.join("\n"),
      );
    });
  }
});
