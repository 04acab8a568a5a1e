import { toAthanorError, unreachable } from "./faults.ts";
import { Link } from "./link.ts";
import { parseTarget } from "./target.ts";

export interface Inspection {
  /** `role@host:port/database, schema athanor` */
  place: string;
  version: string;
  latencyMs: number;
  /** What keeps it from being a store, or makes it one that loses data; empty where all is well. */
  problems: string[];
}

const MIN_VERSION = 140_000;

interface Row {
  version: string;
  number: number;
  role: string;
  schema_there: boolean;
  may_create: boolean;
  may_use: boolean | null;
  fsync: string;
  full_page_writes: string;
  standby: boolean;
}

const LOOK = (schema: string): string => `
  SELECT current_setting('server_version') AS version, current_setting('server_version_num')::integer AS number,
    current_user AS role, current_setting('fsync') AS fsync, current_setting('full_page_writes') AS full_page_writes,
    to_regnamespace('${schema}') IS NOT NULL AS schema_there, pg_is_in_recovery() AS standby,
    has_database_privilege(current_database(), 'CREATE') AS may_create,
    has_schema_privilege(to_regnamespace('${schema}'), 'CREATE, USAGE') AS may_use`;

/** Looks at the database that a server would use, and changes nothing. Throws store_unreachable, config_invalid. */
export async function inspectPostgres(url: string): Promise<Inspection> {
  const target = parseTarget(url);
  const openedAt = performance.now();
  let link: Link;
  try {
    link = await Link.open(target, new Map());
  } catch (error) {
    throw unreachable(target.label, performance.now() - openedAt, error);
  }
  try {
    const startedAt = performance.now();
    const [result] = await link.text(LOOK(target.schema));
    const latencyMs = Math.round((performance.now() - startedAt) * 100) / 100;
    const row = result?.rows[0] as Row;
    return { place: target.label, version: row.version, latencyMs, problems: problemsOf(row, target.schema) };
  } catch (error) {
    throw toAthanorError(error, target.label);
  } finally {
    link.close();
  }
}

function problemsOf(row: Row, schema: string): string[] {
  const found: [boolean, string][] = [
    [row.number < MIN_VERSION, `version ${row.version} is older than 14`],
    [row.standby, "it is a standby, which takes no writes"],
    [!row.schema_there && !row.may_create, `there is no schema ${schema}, and the role ${row.role} may not create it`],
    [row.schema_there && row.may_use === false, `the role ${row.role} may not create tables in the schema ${schema}`],
    [row.fsync === "off", "fsync is off: a power cut loses what was acknowledged, or all"],
    [row.full_page_writes === "off", "full_page_writes is off: a power cut can damage it"],
  ];
  return found.filter(([isSo]) => isSo).map(([, problem]) => problem);
}
