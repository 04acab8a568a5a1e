import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * The folder of a dialect's `.sql` files. In the source tree it is `store/sql/DIALECT`, beside this module; the build copies
 * `src/server/store/sql` to `dist/sql`, and this module may then be in a chunk in `dist` itself or one folder below.
 */
export function sqlDir(dialect: "sqlite" | "postgres"): string {
  const candidates = [`./sql/${dialect}/`, `../sql/${dialect}/`].map((path) =>
    fileURLToPath(new URL(path, import.meta.url)),
  );
  const dir = candidates.find((candidate) => existsSync(join(candidate, "jobs.sql")));
  if (dir === undefined)
    throw new Error(`the SQL files of the store are missing: looked in ${candidates.join(" and ")}`);
  return dir;
}

/** Every statement of the folder's files by name. A file is a row of `-- name: jobClaim` lines, each followed by one statement. */
export function readStatements(dir: string): Map<string, string> {
  const statements = new Map<string, string>();
  for (const file of readdirSync(dir).sort()) {
    if (!file.endsWith(".sql")) continue;
    for (const [name, sql] of parseStatements(readFileSync(join(dir, file), "utf8"))) {
      if (statements.has(name)) throw new Error(`two SQL statements are called ${name}; the second is in ${file}`);
      statements.set(name, sql);
    }
  }
  return statements;
}

function parseStatements(text: string): [string, string][] {
  const [, ...parts] = text.split(/^-- name: *(\w+) *$/m);
  const pairs: [string, string][] = [];
  for (let i = 0; i + 1 < parts.length; i += 2) pairs.push([parts[i] as string, (parts[i + 1] as string).trim()]);
  return pairs;
}

export interface Migration {
  version: number;
  name: string;
  sql: string;
}

/** The numbered files of `migrations/`, `001-initial.sql` and on, with no number missing. */
export function readMigrations(dir: string): Migration[] {
  const files = readdirSync(join(dir, "migrations"))
    .filter((file) => file.endsWith(".sql"))
    .sort();
  return files.map((file, index) => {
    const version = Number.parseInt(file, 10);
    if (version !== index + 1) throw new Error(`migration ${file} should have the number ${index + 1}`);
    return { version, name: file, sql: readFileSync(join(dir, "migrations", file), "utf8") };
  });
}
