import { AthanorError, ERRORS, type ErrorCode } from "../../protocol/errors.ts";
import { formatId } from "../../protocol/names.ts";
import type { JobRecord } from "../store/store.ts";

/** The value with `?key=` in each of the job's own links, those of its files included; whole URLs where an origin is given. */
export function withKey<T>(value: T, jobId: string, key: string, origin = ""): T {
  const base = `/v1/jobs/${jobId}`;
  const text = JSON.stringify(value, (_name, part: unknown) =>
    typeof part === "string" && isLink(part, base) ? `${origin}${part}?key=${key}` : part,
  );
  return JSON.parse(text) as T;
}

/** A result that spells out such a link gets the key too; whoever reads it could add it anyway. */
function isLink(text: string, base: string): boolean {
  if (!text.startsWith(base)) return false;
  return /^(?:|\/events|\/result|\/cancel|\/files\/[0-9a-f]{64})$/.test(text.slice(base.length));
}

/** Why an ended job has no result, as an error to answer with; null where it has one. */
export function jobErrorOf(record: JobRecord): AthanorError | null {
  if (record.status === "succeeded") return null;
  const fallback: ErrorCode =
    record.status === "cancelled"
      ? "cancelled"
      : record.status === "timed_out"
        ? "timeout"
        : record.status === "expired"
          ? "expired"
          : "handler_error";
  const known = record.error !== null && record.error.code in ERRORS;
  const code = known ? (record.error?.code as ErrorCode) : fallback;
  return new AthanorError(code, record.error?.message ?? `${formatId("jobs", record.job)} ${record.status}`);
}
