import { POSTGRES_DEFAULTS } from "../../../protocol/defaults.ts";
import { AthanorError } from "../../../protocol/errors.ts";

/** Which database and schema, with what may be said of it in messages and logs. */
export interface Target {
  /** As the driver takes it; it may hold the password, and so is never shown. */
  connectionString: string;
  schema: string;
  /** `role@host:port/database`, schema `athanor`. */
  label: string;
}

/** Letters that need no thought wherever the name is shown, and no more than PostgreSQL keeps. */
const SCHEMA_NAME = /^[a-z_][a-z0-9_]{0,62}$/;

/** Of `postgres://role:password@host:port/database?schema=NAME`, and all else that the driver knows, `sslmode` for one. */
export function parseTarget(url: string, schema?: string): Target {
  const parsed = parseUrl(url);
  const name = schema ?? parsed.searchParams.get("schema") ?? POSTGRES_DEFAULTS.schema;
  if (!SCHEMA_NAME.test(name) || name.startsWith("pg_")) {
    throw new AthanorError("config_invalid", `The schema of the store cannot be called ${JSON.stringify(name)}.`, {
      hint: "Use a-z, 0-9 and _, up to 63 of them, beginning with a letter other than `pg_`.",
    });
  }
  parsed.searchParams.delete("schema");
  const host = parsed.searchParams.get("host") ?? (decodeURIComponent(parsed.hostname) || "localhost");
  const role = parsed.username === "" ? "" : `${decodeURIComponent(parsed.username)}@`;
  const database = decodeURIComponent(parsed.pathname.slice(1));
  const label = `${role}${host}:${parsed.port || 5432}/${database}, schema ${name}`;
  return { connectionString: parsed.toString(), schema: name, label };
}

function parseUrl(url: string): URL {
  try {
    const parsed = new URL(url);
    if (parsed.protocol === "postgres:" || parsed.protocol === "postgresql:") return parsed;
  } catch {
    // Not with the URL parser's message, which repeats the URL and so the password.
  }
  throw new AthanorError("config_invalid", "The store's URL is not one of PostgreSQL.", {
    hint: "Write it as postgres://role:password@host:5432/database, with what is special in the password percent-encoded.",
  });
}
