import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, it } from "node:test";
import { JOB_STATUSES, JOB_TRANSITIONS, type JobStatus } from "../../src/protocol/job.ts";
import { migrate, schemaVersion } from "../../src/server/store/sqlite/migrate.ts";
import { openSqliteStore } from "../../src/server/store/sqlite.ts";
import { readMigrations, readStatements, sqlDir } from "../../src/server/store/statements.ts";
import { givenDeployment, insertJobs, rejectsWith, T0 } from "./conformance/given.ts";
import { tempDir } from "./temp-store.ts";

const GOLDEN = join(import.meta.dirname, "schema.sql");

function openMemory(): DatabaseSync {
  const db = new DatabaseSync(":memory:");
  migrate(db, readMigrations(sqlDir("sqlite")), ":memory:");
  return db;
}

/** The schema as SQLite holds it. */
function dump(db: DatabaseSync): string {
  const rows = db.prepare(
    "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY tbl_name, type DESC, name",
  );
  const version = `-- user_version ${schemaVersion(db)}\n`;
  return `${version}\n${rows
    .all()
    .map((row) => `${row.sql};\n`)
    .join("\n")}`;
}

describe("the schema", () => {
  it("is the one in schema.sql; UPDATE_SCHEMA=1 writes that anew", () => {
    using db = openMemory();
    if (process.env.UPDATE_SCHEMA === "1") writeFileSync(GOLDEN, dump(db));
    assert.equal(
      dump(db),
      readFileSync(GOLDEN, "utf8"),
      "review the difference, then run this test with UPDATE_SCHEMA=1",
    );
  });

  it("allows exactly the transitions of the table", () => {
    using db = openMemory();
    db.exec("INSERT INTO deployments (app, digest, spec, status, created_at) VALUES ('demo', '', '{}', 'building', 0)");
    for (const from of JOB_STATUSES) {
      const targets: JobStatus[] = Object.values(JOB_TRANSITIONS[from]);
      for (const to of JOB_STATUSES.filter((status) => status !== from)) {
        db.exec("SAVEPOINT try");
        bring(db, from);
        const change = () => db.exec(`UPDATE jobs SET ${columns(to)}`);
        if (targets.includes(to)) assert.doesNotThrow(change, `${from} -> ${to}`);
        else assert.throws(change, /no such transition/, `${from} -> ${to}`);
        db.exec("ROLLBACK TO try; RELEASE try");
      }
    }
    for (const status of JOB_STATUSES) {
      db.exec("SAVEPOINT try");
      bring(db, status);
      const copied = "UPDATE copy SET job = 2, place = 2 * place; INSERT INTO jobs SELECT * FROM copy";
      const begin = () => db.exec(`CREATE TEMP TABLE copy AS SELECT * FROM jobs; ${copied}`);
      if (status === "queued") assert.doesNotThrow(begin);
      else assert.throws(begin, /begins as queued/, status);
      db.exec("ROLLBACK TO try; RELEASE try");
    }
  });

  it("refuses rows that no state allows", () => {
    using db = openMemory();
    db.exec("INSERT INTO deployments (app, digest, spec, status, created_at) VALUES ('demo', '', '{}', 'building', 0)");
    const wrong: [JobStatus, string][] = [
      ["queued", "replica = 'r'"],
      ["queued", "started_at = 1"],
      ["queued", "finished_at = 1"],
      ["queued", "error = '{}'"],
      ["queued", "cancel_requested_at = 1"],
      ["queued", "hold = 'delay'"],
      ["queued", "hold = 'key'"],
      ["queued", "hold = 'other'"],
      ["queued", "concurrency_key = 'k'"],
      ["queued", "place = 1048576 * job - 1"],
      ["running", "hold = 'delay', run_after = 1"],
      ["running", "crash_count = lost_count + 1"],
      ["running", "tail_first = last_event + 2"],
      ["running", "result = '1'"],
      ["running", "replica = NULL"],
      ["running", "owner = NULL"],
      ["running", "started_at = NULL"],
      ["running", "run_after = 1"],
      ["running", "progress = 1.5"],
      ["running", "lost_count = attempt + 1"],
      ["running", "last_event = first_event - 2"],
      ["succeeded", "finished_at = NULL"],
      ["succeeded", "result = NULL"],
      ["failed", "result = '1'"],
      ["succeeded", "error = '{}'"],
      ["failed", "error = NULL"],
      ["failed", "error = 'no json'"],
      ["failed", "started_at = NULL"],
    ];
    for (const [status, change] of wrong) {
      db.exec("SAVEPOINT try");
      bring(db, status);
      assert.throws(() => db.exec(`UPDATE jobs SET ${change}`), /constraint failed/, `${status}: ${change}`);
      db.exec("ROLLBACK TO try; RELEASE try");
    }
  });

  it("does not let a job start that waits for its time or its key", () => {
    using db = openMemory();
    insert(db);
    db.exec("UPDATE jobs SET hold = 'delay', run_after = 1");
    assert.throws(() => db.exec(`UPDATE jobs SET hold = NULL, ${columns("running")}`), /cannot start/);
  });

  it("names every statement once, and each is SQL that the schema understands", () => {
    using db = openMemory();
    for (const [name, sql] of readStatements(sqlDir("sqlite"))) assert.doesNotThrow(() => db.prepare(sql), name);
  });

  it("reads all jobs in no statement but those that inspect the store", () => {
    using db = openMemory();
    for (const [name, sql] of readStatements(sqlDir("sqlite"))) {
      if (name.startsWith("check") || /^(BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE)/.test(sql)) continue;
      const plan = db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all();
      for (const { detail } of plan)
        assert.doesNotMatch(
          String(detail),
          /^SCAN jobs(?! USING (COVERING )?INDEX jobs_(running|ready|delayed|parked))/,
          name,
        );
    }
  });
});

describe("migration", () => {
  it("goes from an empty file to the newest, and opens again with the data kept", async () => {
    await using dir = await tempDir();
    const path = join(dir.path, "athanor.db");
    {
      await using store = await openSqliteStore({ path });
      await insertJobs(store, await givenDeployment(store), 2);
    }
    await using store = await openSqliteStore({ path });
    assert.equal((await store.jobCounts({ now: T0 }))[0]?.queued, 2);
  });

  it("refuses a newer schema and leaves it alone", async () => {
    await using dir = await tempDir();
    const path = join(dir.path, "athanor.db");
    {
      using db = new DatabaseSync(path);
      db.exec("CREATE TABLE future (a); PRAGMA user_version = 999");
    }
    await rejectsWith(openSqliteStore({ path }), "schema_newer");
    using db = new DatabaseSync(path);
    assert.equal(schemaVersion(db), 999);
  });

  it("applies a failing migration not at all", () => {
    using db = new DatabaseSync(":memory:");
    const broken = [{ version: 1, name: "001-broken.sql", sql: "CREATE TABLE a (b); CREATE TABLE a (b);" }];
    assert.throws(() => migrate(db, broken, ":memory:"));
    assert.equal(schemaVersion(db), 0);
    assert.equal(db.prepare("SELECT count(*) AS n FROM sqlite_schema").get()?.n, 0);
  });

  it("says what is wrong with a file that is no database", async () => {
    await using dir = await tempDir();
    const path = join(dir.path, "athanor.db");
    writeFileSync(path, "this is no database".repeat(100));
    await rejectsWith(openSqliteStore({ path }), "internal");
  });
});

function insert(db: DatabaseSync): void {
  db.exec(`INSERT INTO jobs (
      job, queue, deployment, status, priority, place, max_attempts, created_at, status_since, ttl_s, events_window, events_window_bytes,
      last_event, log
    )
    VALUES (1, 1, 1, 'queued', 0, 1048576, 1, 0, 0, 1, 1, 1, 0, '')`);
}

/** What a row in that status must hold. */
function columns(status: JobStatus): string {
  const running = status === "running";
  const started = ["running", "succeeded", "failed", "timed_out"].includes(status);
  const error = ["failed", "cancelled", "timed_out", "expired"].includes(status) ? `'{"code":"x"}'` : "NULL";
  return `status = '${status}', result = ${status === "succeeded" ? "'1'" : "NULL"}, attempt = 1, fence = 1, run_after = NULL, error = ${error},
    replica = ${running ? "'r'" : "NULL"}, owner = ${running ? "'o'" : "NULL"}, started_at = ${started ? 1 : "NULL"},
    finished_at = ${status === "queued" || running ? "NULL" : 1}`;
}

function bring(db: DatabaseSync, status: JobStatus): void {
  insert(db);
  if (["running", "succeeded", "failed", "timed_out"].includes(status))
    db.exec(`UPDATE jobs SET ${columns("running")}`);
  if (status !== "running" && status !== "queued") db.exec(`UPDATE jobs SET ${columns(status)}`);
}
