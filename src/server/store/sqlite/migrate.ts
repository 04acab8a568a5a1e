import type { DatabaseSync } from "node:sqlite";
import { AthanorError } from "../../../protocol/errors.ts";
import type { Migration } from "../statements.ts";

/** Brings the database to the newest schema: one transaction for each missing migration; `user_version` says how far it is. */
export function migrate(db: DatabaseSync, migrations: Migration[], path: string): void {
  const newest = migrations.length;
  const present = schemaVersion(db);
  if (present > newest) {
    throw new AthanorError(
      "schema_newer",
      `${path} has schema ${present}; this version of athanor knows up to ${newest}.`,
    );
  }
  for (const migration of migrations.slice(present)) apply(db, migration);
}

export function schemaVersion(db: DatabaseSync): number {
  return Number(db.prepare("PRAGMA user_version").get()?.user_version);
}

function apply(db: DatabaseSync, migration: Migration): void {
  db.exec("BEGIN IMMEDIATE");
  try {
    db.exec(migration.sql);
    db.exec(`PRAGMA user_version = ${migration.version}`);
    db.exec("COMMIT");
  } catch (error) {
    if (db.isTransaction) db.exec("ROLLBACK");
    throw error;
  }
}
