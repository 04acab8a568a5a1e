import { AthanorError, ERRORS, type ErrorCode } from "../../protocol/errors.ts";
import { formatId } from "../../protocol/names.ts";
import type { JobRecord } from "../store/store.ts";

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
