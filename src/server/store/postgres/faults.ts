import { AthanorError } from "../../../protocol/errors.ts";

/**
 * What the database or the way to it can refuse, told apart by what helps:
 *
 *   lost    the connection or the server is gone, or takes nobody now: another connection, later
 *   again   this transaction lost against another: the same once more, at once
 *   full    no room on the database's disk
 *   other   ours or the operator's to mend
 */
export type Fault = "lost" | "again" | "full" | "other";

const LOST_STATES = new Set([
  ...["57P01" /* the operator ends it */, "57P02" /* a crash */, "57P03" /* starting or stopping */],
  ...["53300" /* too many connections */, "25006" /* a standby, while one server takes over from another */],
  "25P03" /* this process slept in a transaction */,
]);
const LOST_CODES = new Set([
  ...["ECONNREFUSED", "ECONNRESET", "ECONNABORTED", "EPIPE", "ETIMEDOUT", "ENOENT", "ENOTFOUND", "EAI_AGAIN"],
  ...["EHOSTUNREACH", "EHOSTDOWN", "ENETUNREACH", "ENETDOWN", "EADDRNOTAVAIL"],
]);
/** The driver has no codes for these. */
const LOST_MESSAGES =
  /connection terminated|connection error and is not queryable|client was closed|timeout expired|read timeout|socket (closed|disconnected)/i;
const AGAIN_STATES = new Set(["40001", "40P01", "55P03"]);
const FULL_STATE = "53100";

export function sqlState(error: unknown): string | null {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : null;
}

export function faultOf(error: unknown): Fault {
  if (error instanceof AggregateError && error.errors.length > 0) return faultOf(error.errors[0]);
  const code = sqlState(error);
  if (code === FULL_STATE) return "full";
  if (code !== null && AGAIN_STATES.has(code)) return "again";
  if (code !== null && (code.startsWith("08") || LOST_STATES.has(code) || LOST_CODES.has(code))) return "lost";
  return code === null && error instanceof Error && LOST_MESSAGES.test(error.message) ? "lost" : "other";
}

/** What a verb rejects with: errors of ours as they are, the database's as one of the table. `label` names the database. */
export function toAthanorError(error: unknown, label: string): unknown {
  const state = sqlState(error);
  if (error instanceof AthanorError || state === null) return error;
  const said = `PostgreSQL: ${(error as Error).message} (${state})`;
  if (faultOf(error) === "full") {
    return new AthanorError("storage_full", `There is no room to write to ${label}. ${said}.`, {
      cause: error,
      hint: "Free space on the disk of the database.",
    });
  }
  return new AthanorError("internal", `A database operation on ${label} failed. ${said}.`, { cause: error });
}

export function unreachable(label: string, waitedMs: number, cause: unknown): AthanorError {
  const why = cause instanceof AggregateError ? cause.errors.map(messageOf).join("; ") : messageOf(cause);
  const detail = `The database ${label} could not be reached for ${(waitedMs / 1000).toFixed(1)} s. ${why}`;
  return new AthanorError("store_unreachable", detail, { cause, headers: { "retry-after": "5" } });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
