import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Client } from "pg";
import { JOB_STATUSES, JOB_TRANSITIONS, type JobStatus } from "../../src/protocol/job.ts";
import { Link } from "../../src/server/store/postgres/link.ts";
import { lockSpace } from "../../src/server/store/postgres/locks.ts";
import { migrate, schemaVersion } from "../../src/server/store/postgres/migrate.ts";
import { loadStatements } from "../../src/server/store/postgres/statements.ts";
import { parseTarget } from "../../src/server/store/postgres/target.ts";
import { type Migration, readMigrations, sqlDir } from "../../src/server/store/statements.ts";
import { postgresMissing } from "../harness/postgres.ts";
import { givenDeployment, insertJobs, rejectsWith, T0 } from "./conformance/given.ts";
import { PostgresForFile } from "./temp-postgres.ts";

const GOLDEN = join(import.meta.dirname, "postgres-schema.sql");
const MIGRATIONS = readMigrations(sqlDir("postgres"));

/** The schema as PostgreSQL holds it: what each table is made of, by name. */
const DUMP = `
  SELECT 'TABLE ' || c.relname || coalesce(' WITH (' || array_to_string(c.reloptions, ', ') || ')', '') AS line,
    c.relname AS of, 0 AS part, 0 AS ord
  FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'
  UNION ALL
  SELECT '  ' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
    || CASE WHEN a.attcollation NOT IN (0, (SELECT oid FROM pg_collation WHERE collname = 'default')) THEN ' COLLATE C' ELSE '' END
    || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END
    || CASE WHEN a.attidentity <> '' THEN ' IDENTITY' ELSE '' END
    || coalesce(' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), ''), c.relname, 1, a.attnum
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
  WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'
  UNION ALL
  SELECT '  CONSTRAINT ' || conname || ' ' || pg_get_constraintdef(oid), conrelid::regclass::text, 2, 0
  FROM pg_constraint WHERE connamespace = current_schema()::regnamespace AND contype IN ('c', 'f', 'p', 'u')
  UNION ALL
  SELECT '  ' || replace(pg_get_indexdef(indexrelid), current_schema() || '.', ''), indrelid::regclass::text, 3, 0
  FROM pg_index JOIN pg_class c ON c.oid = indexrelid
  WHERE c.relnamespace = current_schema()::regnamespace AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conindid = indexrelid)
  UNION ALL
  SELECT '  ' || replace(pg_get_triggerdef(oid), current_schema() || '.', ''), tgrelid::regclass::text, 4, 0
  FROM pg_trigger WHERE NOT tgisinternal AND tgrelid IN (
    SELECT oid FROM pg_class WHERE relnamespace = current_schema()::regnamespace
  )
  ORDER BY of, part, ord, line`;

describe("PostgreSQL's schema", { skip: postgresMissing() }, () => {
  const postgres = new PostgresForFile();

  /** A connection of our own to a schema that is migrated as far as `migrations` go. */
  async function openSchema(
    migrations: Migration[] = MIGRATIONS,
  ): Promise<{ link: Link; client: Client; schema: string }> {
    const schema = postgres.schema();
    const target = parseTarget(postgres.server.url(), schema);
    const link = await Link.open(target, loadStatements());
    await migrate(link, target, migrations, lockSpace(schema));
    const client = new Client({ connectionString: target.connectionString, options: `-c search_path=${schema}` });
    await client.connect();
    return { link, client, schema };
  }

  async function withSchema(run: (client: Client, link: Link) => Promise<void>): Promise<void> {
    const { link, client } = await openSchema();
    try {
      await run(client, link);
    } finally {
      link.close();
      await client.end();
    }
  }

  it("is the one in postgres-schema.sql; UPDATE_SCHEMA=1 writes that anew", async () => {
    await withSchema(async (client, link) => {
      const { rows } = await client.query<{ line: string }>(DUMP);
      const dump = `version ${await schemaVersion(link)}\n${rows.map(({ line }) => `${line}\n`).join("")}`;
      if (process.env.UPDATE_SCHEMA === "1") writeFileSync(GOLDEN, dump);
      assert.equal(
        dump,
        readFileSync(GOLDEN, "utf8"),
        "review the difference, then run this test with UPDATE_SCHEMA=1",
      );
    });
  });

  it("allows exactly the transitions of the table", async () => {
    await withSchema(async (client) => {
      for (const from of JOB_STATUSES) {
        const targets: JobStatus[] = Object.values(JOB_TRANSITIONS[from]);
        for (const to of JOB_STATUSES.filter((status) => status !== from)) {
          await client.query("BEGIN");
          await bring(client, from);
          const change = client.query(`UPDATE jobs SET ${columns(to)}`);
          if (targets.includes(to)) await assert.doesNotReject(change, `${from} -> ${to}`);
          else await assert.rejects(change, /no such transition/, `${from} -> ${to}`);
          await client.query("ROLLBACK");
        }
      }
      for (const status of JOB_STATUSES.filter((s) => s !== "queued")) {
        await assert.rejects(insert(client, status), /begins as queued/);
      }
      for (const [attempt, fence] of [
        [1, 1],
        [0, 0],
        [2, 2],
        [0, 1],
      ]) {
        const values = `1, 1, 1, 'running', 0, 1, '{}', 3, 0, 0, 1, 1, 1, ${attempt}, ${fence}, 'r', 'o', 1`;
        const begun =
          client.query(`INSERT INTO jobs (job, queue, deployment, status, priority, place, input, max_attempts, created_at,
          status_since, ttl_s, events_window, events_window_bytes, attempt, fence, replica, owner, started_at)
          OVERRIDING SYSTEM VALUE VALUES (${values})`);
        if (attempt === 1) await assert.doesNotReject(begun);
        else await assert.rejects(begun, /begins as queued/);
      }
    });
  });

  it("refuses rows that no state allows", async () => {
    await withSchema(async (client) => {
      const wrong: [JobStatus, string][] = [
        ["queued", "replica = 'r'"],
        ["queued", "started_at = 1"],
        ["queued", "finished_at = 1"],
        ["queued", "error = '{}'"],
        ["queued", "cancel_requested_at = 1"],
        ["queued", "hold = 'delay'"],
        ["queued", "hold = 'key'"],
        ["queued", "concurrency_key = 'k'"],
        ["queued", "hold = 'other'"],
        ["running", "replica = NULL"],
        ["running", "owner = NULL"],
        ["running", "started_at = NULL"],
        ["running", "hold = 'delay', run_after = 1"],
        ["running", "progress = 1.5"],
        ["running", "lost_count = attempt + 1"],
        ["running", "crash_count = lost_count + 1"],
        ["running", "last_event = first_event - 2"],
        ["running", "result = '1'"],
        ["succeeded", "finished_at = NULL"],
        ["succeeded", "error = '{}'"],
        ["succeeded", "result = NULL"],
        ["failed", "error = NULL"],
        ["failed", "error = 'no json'"],
        ["failed", "started_at = NULL"],
      ];
      for (const [status, change] of wrong) {
        await client.query("BEGIN");
        await bring(client, status);
        const refused = client.query(`UPDATE jobs SET ${change}`);
        await assert.rejects(refused, /violates check constraint|invalid input syntax/, `${status}: ${change}`);
        await client.query("ROLLBACK");
      }
    });
  });

  it("starts no job that waits for its time or its key", async () => {
    await withSchema(async (client) => {
      await bring(client, "queued");
      await client.query("UPDATE jobs SET hold = 'delay', run_after = 1");
      await assert.rejects(client.query(`UPDATE jobs SET hold = NULL, ${columns("running")}`), /cannot start/);
    });
  });

  it("understands every statement", async () => {
    await withSchema(async (client) => {
      for (const { name, text } of loadStatements().values()) {
        // SQL prepares no transaction's own statements; the protocol does.
        if (/^(-- .*\n)*(BEGIN|SET LOCAL|COMMIT|ROLLBACK)/.test(text)) continue;
        await assert.doesNotReject(client.query(`PREPARE "${name}" AS ${text}`), name);
      }
    });
  });

  it("changes a job's status in its page, without touching an index", async () => {
    await withSchema(async (client) => {
      const { rows } = await client.query<{ column: string }>(`
        SELECT DISTINCT a.attname AS column FROM pg_index i
        JOIN pg_attribute a ON a.attrelid = i.indrelid AND (a.attnum = ANY (i.indkey) OR i.indpred::text LIKE '%:varattno ' || a.attnum || ' %')
        WHERE i.indrelid = 'jobs'::regclass ORDER BY 1`);
      assert.deepEqual(
        rows.map(({ column }) => column),
        ["concurrency_key", "job", "parent", "queue"],
      );
    });
  });

  for (const { version } of MIGRATIONS) {
    it(`goes from version ${version - 1} to the newest, and opens again with the data kept`, async () => {
      const { link, client, schema } = await openSchema(MIGRATIONS.slice(0, version - 1));
      link.close();
      await client.end();
      {
        await using store = await postgres.open({ schema });
        await insertJobs(store, await givenDeployment(store), 2);
      }
      await using store = await postgres.open({ schema });
      assert.equal((await store.jobCounts({ now: T0 }))[0]?.queued, 2);
      assert.deepEqual(await store.check(), []);
    });
  }

  it("is made once by servers that start at the same time", async () => {
    const schema = postgres.schema();
    const stores = await Promise.all(Array.from({ length: 5 }, () => postgres.open({ schema, maxConnections: 2 })));
    const kept = await Promise.all(stores.map((store, i) => store.metaClaim({ key: "k", value: `${i}` })));
    assert.equal(new Set(kept).size, 1);
    await Promise.all(stores.map((store) => store[Symbol.asyncDispose]()));
  });

  it("is refused where it is newer, and left alone", async () => {
    const { link, client, schema } = await openSchema();
    await client.query("INSERT INTO migrations (version, name) VALUES (999, '999-future.sql')");
    await rejectsWith(postgres.open({ schema }), "schema_newer");
    assert.equal(await schemaVersion(link), 999);
    link.close();
    await client.end();
  });

  it("is changed by a failing migration not at all", async () => {
    const broken = {
      version: 1,
      name: "001-broken.sql",
      sql: "CREATE TABLE a (b integer); CREATE TABLE a (b integer);",
    };
    const schema = postgres.schema();
    const target = parseTarget(postgres.server.url(), schema);
    await using link = await Link.open(target, loadStatements());
    await assert.rejects(migrate(link, target, [broken], lockSpace(schema)), /already exists/);
    assert.equal(await schemaVersion(link), 0);
    const [tables] = await link.text(`SELECT tablename FROM pg_tables WHERE schemaname = '${schema}'`);
    assert.deepEqual(tables?.rows, [{ tablename: "migrations" }]);
  });
});

async function insert(client: Client, status: JobStatus): Promise<void> {
  await client.query(`INSERT INTO jobs (queue, deployment, status, priority, place, input, max_attempts, created_at, status_since, ttl_s,
      events_window, events_window_bytes)
    VALUES (1, 1, '${status}', 0, 1, '{}', 1, 0, 0, 1, 1, 1)`);
}

/** What a row in that status must hold. */
function columns(status: JobStatus): string {
  const running = status === "running";
  const started = ["running", "succeeded", "failed", "timed_out"].includes(status);
  const error = ["failed", "cancelled", "timed_out", "expired"].includes(status) ? `'{"code":"x"}'` : "NULL";
  return `status = '${status}', attempt = 1, fence = 1, run_after = NULL, error = ${error},
    replica = ${running ? "'r'" : "NULL"}, owner = ${running ? "'o'" : "NULL"}, started_at = ${started ? 1 : "NULL"},
    result = ${status === "succeeded" ? "'1'" : "NULL"}, finished_at = ${status === "queued" || running ? "NULL" : 1}`;
}

async function bring(client: Client, status: JobStatus): Promise<void> {
  await insert(client, "queued");
  if (["running", "succeeded", "failed", "timed_out"].includes(status)) {
    await client.query(`UPDATE jobs SET ${columns("running")}`);
  }
  if (status !== "running" && status !== "queued") await client.query(`UPDATE jobs SET ${columns(status)}`);
}
