import { AthanorError } from "../../../protocol/errors.ts";
import type { Migration } from "../statements.ts";
import { sqlState } from "./faults.ts";
import type { Link } from "./link.ts";
import { LOCKS } from "./locks.ts";
import type { Target } from "./target.ts";

const NO_PRIVILEGE = "42501";

/** Brings the schema to the newest version: each missing migration in a transaction of its own, one server at a time. */
export async function migrate(link: Link, target: Target, migrations: Migration[], lockSpace: number): Promise<void> {
  const { kind, id } = LOCKS.migrate();
  const lock = `${(lockSpace + kind) | 0}, ${id}`;
  await link.text(`SELECT pg_advisory_lock(${lock})`);
  try {
    await prepareSchema(link, target);
    const present = await schemaVersion(link);
    if (present > migrations.length) {
      throw new AthanorError(
        "schema_newer",
        `${target.label} has version ${present}; this version of athanor knows up to ${migrations.length}.`,
      );
    }
    for (const migration of migrations.slice(present)) await apply(link, migration);
  } finally {
    if (!link.closed) await link.text(`SELECT pg_advisory_unlock(${lock})`);
  }
}

export async function schemaVersion(link: Link): Promise<number> {
  const [result] = await link.text("SELECT coalesce(max(version), 0) AS version FROM migrations");
  return Number(result?.rows[0]?.version);
}

/** A role that may not make schemas is content with one that it was given. */
async function prepareSchema(link: Link, { schema, label }: Target): Promise<void> {
  const [found] = await link.text(`SELECT 1 FROM pg_namespace WHERE nspname = '${schema}'`);
  try {
    if (found?.rowCount === 0) await link.text(`CREATE SCHEMA IF NOT EXISTS "${schema}"`);
    await link.text(`CREATE TABLE IF NOT EXISTS migrations (
      version integer PRIMARY KEY,
      name text NOT NULL,
      applied_at timestamptz NOT NULL DEFAULT now()
    )`);
  } catch (error) {
    if (sqlState(error) !== NO_PRIVILEGE) throw error;
    throw new AthanorError("config_invalid", `The role of ${label} may not make what the store needs there.`, {
      cause: error,
      hint: `As the database's owner: CREATE SCHEMA ${schema} AUTHORIZATION role;`,
    });
  }
}

async function apply(link: Link, { version, name, sql }: Migration): Promise<void> {
  try {
    await link.text(`BEGIN;\n${sql};\nINSERT INTO migrations (version, name) VALUES (${version}, '${name}');\nCOMMIT`);
  } catch (error) {
    if (!link.closed) await link.text("ROLLBACK");
    throw error;
  }
}
