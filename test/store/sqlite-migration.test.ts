import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, it } from "node:test";
import { JOB_STATUSES } from "../../src/protocol/job.ts";
import { migrate } from "../../src/server/store/sqlite/migrate.ts";
import { openSqliteStore } from "../../src/server/store/sqlite.ts";
import { readMigrations, sqlDir } from "../../src/server/store/statements.ts";
import { assertSound, claim, eventsOf, finish, insertOne, newJob, spec, T0 } from "./conformance/given.ts";
import { tempDir } from "./temp-store.ts";

const LONG = JSON.stringify("x".repeat(5000));
const ERROR = '{"code":"handler_error","message":"it threw"}';

/** One job in each status, as version 1 kept them, with logs and payloads short and long; jobs:7 waits for a retry. */
const V1_JOBS = `
  INSERT INTO deployments (app, digest, spec, status, created_at) VALUES ('demo', 'd', '${JSON.stringify(spec("demo"))}', 'building', 1);
  UPDATE deployments SET status = 'live';
  INSERT INTO jobs (app, function, deployment, status, max_attempts, created_at, status_since, ttl_s, events_window, last_event)
  SELECT 'demo', 'infer', 1, 'queued', 3, value, value, 3600.5, 1000, 1 FROM generate_series;
  INSERT INTO job_inputs SELECT job, iif(job = 2, '${LONG}', '{"n":' || job || '}') FROM jobs;
  INSERT INTO events SELECT job, 1, 'job.queued', '{"position":' || job || '}' FROM jobs;
  UPDATE jobs SET run_after = ${T0 + 500}, attempt = 1, fence = 1 WHERE job = 7;
  UPDATE jobs SET status = 'running', attempt = 1, fence = 1, replica = 'replicas:1', owner = 'before', started_at = 2, last_event = 2
  WHERE job BETWEEN 2 AND 5;
  INSERT INTO events SELECT job, 2, 'job.running', '{"attempt":1,"replica_id":"replicas:1"}' FROM jobs WHERE job BETWEEN 2 AND 5;
  UPDATE jobs SET cancel_requested_at = 3 WHERE job = 2;
  UPDATE jobs SET status = 'succeeded', replica = NULL, owner = NULL, finished_at = 4, progress = 1, last_event = 4 WHERE job = 3;
  INSERT INTO job_results VALUES (3, '${LONG}');
  INSERT INTO events VALUES (3, 3, 'job.result', NULL), (3, 4, 'job.end', '{"status":"succeeded"}');
  UPDATE jobs SET status = 'failed', replica = NULL, owner = NULL, finished_at = 4, error = '${ERROR}', last_event = 1003, first_event = 4 WHERE job = 4;
  DELETE FROM events WHERE job = 4;
  INSERT INTO events SELECT 4, value, 'job.log', '{"stream":"stdout","line":"line ' || value || '","at":""}'
  FROM generate_series WHERE value BETWEEN 4 AND 1002;
  INSERT INTO events VALUES (4, 1003, 'job.end', '{"status":"failed","error":${ERROR}}');
  UPDATE jobs SET status = 'timed_out', replica = NULL, owner = NULL, finished_at = 4, error = '${ERROR}', last_event = 3 WHERE job = 5;
  INSERT INTO events VALUES (5, 3, 'job.end', '{"status":"timed_out","error":${ERROR}}');
  UPDATE jobs SET status = 'cancelled', finished_at = 4, error = '${ERROR}', last_event = 2 WHERE job = 6;
  INSERT INTO events VALUES (6, 2, 'job.end', '{"status":"cancelled","error":${ERROR}}');
  UPDATE jobs SET status = 'expired', finished_at = 4, error = '${ERROR}', last_event = 2 WHERE job = 8;
  INSERT INTO events VALUES (8, 2, 'job.end', '{"status":"expired","error":${ERROR}}');
  DELETE FROM jobs WHERE job > 8;
  INSERT INTO job_blobs VALUES (1, '${"a".repeat(64)}');
  INSERT INTO idempotency_keys VALUES ('demo', 'infer', 'k', 'h', 3, ${T0}), ('demo', 'gone', 'k', 'h', 9, ${T0});
`;

function writeVersion1(path: string): void {
  using db = new DatabaseSync(path, { enableForeignKeyConstraints: true });
  migrate(db, readMigrations(sqlDir("sqlite")).slice(0, 1), path);
  db.exec(`
    CREATE TEMP TABLE generate_series AS
    WITH RECURSIVE series (value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM series WHERE value < 1002) SELECT value FROM series;
    BEGIN; ${V1_JOBS} COMMIT;
  `);
}

describe("migration from version 1", () => {
  it("keeps every job, in every status, with its log, its payloads and its keys", async () => {
    await using dir = await tempDir();
    const path = join(dir.path, "athanor.db");
    writeVersion1(path);
    await using store = await openSqliteStore({ path });
    await assertSound(store);
    const jobs = (await store.jobList({ limit: 99 })).reverse();
    assert.deepEqual(
      jobs.map(({ job, status }) => [job, status]),
      ["queued", "running", "succeeded", "failed", "timed_out", "cancelled", "queued", "expired"].map((s, i) => [
        i + 1,
        s,
      ]),
    );
    assert.deepEqual(new Set(jobs.map(({ status }) => status)), new Set(JOB_STATUSES));
    const { input, ...rest } = jobs[1] ?? assert.fail();
    assert.equal(input, LONG);
    assert.deepEqual(rest, {
      ...{ job: 2, app: "demo", function: "infer", deployment: 1, status: "running", result: null, error: null },
      ...{ progress: 0, message: null, attempt: 1, maxAttempts: 3, lostCount: 0, crashCount: 0, fence: 1 },
      ...{ replica: "replicas:1", runAfter: null, expiresAt: null, cancelRequestedAt: 3, createdAt: 2, startedAt: 2 },
      ...{ finishedAt: null, statusSince: 2, ttlS: 3600.5, eventsWindow: 1000, eventsWindowBytes: 16 * 1024 * 1024 },
      ...{
        lastEvent: 2,
        priority: 0,
        concurrencyKey: null,
        keyWaits: false,
        parent: null,
        retryOf: null,
        traceparent: null,
      },
      hasWebhook: false,
    });
    assert.deepEqual([jobs[2]?.result, jobs[2]?.input], [LONG, '{"n":3}']);
    assert.deepEqual(
      (await eventsOf(store, 3)).map(({ id, event }) => [id, event]),
      [
        [1, "job.queued"],
        [2, "job.running"],
        [3, "job.result"],
        [4, "job.end"],
      ],
    );
    assert.deepEqual((await eventsOf(store, 3))[2]?.data, { value: JSON.parse(LONG) });
    const long = (await store.eventRange({ job: 4, after: 0, limit: 9999 })) ?? assert.fail();
    assert.deepEqual([long.earliest, long.latest, long.events.length, long.ended], [4, 1003, 1000, true]);
    assert.deepEqual(long.events[0], { id: 4, event: "job.log", data: { stream: "stdout", line: "line 4", at: "" } });
    assert.deepEqual(await store.blobUnreferenced({ hashes: ["a", "b"].map((d) => d.repeat(64)) }), ["b".repeat(64)]);
  });

  it("leaves a store that goes on where it was", async () => {
    await using dir = await tempDir();
    const path = join(dir.path, "athanor.db");
    writeVersion1(path);
    await using store = await openSqliteStore({ path });
    assert.deepEqual(await store.jobCounts({ now: T0 }), [
      { app: "demo", deployment: 1, function: "infer", due: 1, queued: 2, running: 1 },
    ]);
    assert.equal(await store.jobNextDue({ now: T0 }), T0 + 500);
    const idempotency = { key: "k", inputHash: "h" };
    assert.equal((await insertOne(store, newJob(1, { idempotency }))).job.job, 3);
    const { job } = await insertOne(store, newJob(1));
    assert.equal(job.job, 1003, "after all that were ever given");
    assert.deepEqual(
      (await claim(store, 1, { limit: 9, now: T0 + 500 })).map((claimed) => claimed.job),
      [1, 7, 1003],
    );
    const rescued = await store.jobRescue({ server: "now", owners: "expired", now: T0, limit: 1 });
    assert.deepEqual(
      rescued.map((change) => [change.job.job, change.job.status]),
      [[1, "queued"]],
    );
    await finish(store, (await store.jobGet({ job: 7 })) ?? assert.fail(), "succeed");
    assert.equal(await store.jobPrune({ now: T0 * 2, limit: 99 }), 6);
    await assertSound(store);
  });

  it("makes the schema that a new file has", async () => {
    await using dir = await tempDir();
    const path = join(dir.path, "athanor.db");
    writeVersion1(path);
    using db = new DatabaseSync(path);
    migrate(db, readMigrations(sqlDir("sqlite")), path);
    using fresh = new DatabaseSync(":memory:");
    migrate(fresh, readMigrations(sqlDir("sqlite")), ":memory:");
    const schema = (of: DatabaseSync) => of.prepare("SELECT name, sql FROM sqlite_schema ORDER BY name").all();
    assert.deepEqual(schema(db), schema(fresh));
  });
});
