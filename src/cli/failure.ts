import { AthanorError, ERRORS } from "../protocol/errors.ts";
import { JobFailedError } from "../sdk/handle.ts";
import { EXIT } from "./command.ts";
import { ending } from "./show.ts";

/** The exit status that says what kind of failure it was. */
export function exitStatus(error: unknown): number {
  if (!(error instanceof AthanorError)) return EXIT.failed;
  if (error.code === "server_unreachable") return EXIT.unreachable;
  return error.code === "usage" || error.code === "config_invalid" ? EXIT.usage : EXIT.failed;
}

/** `what failed: why`, and the next step. With `json` the problem as one line. */
export function describeFailure(error: unknown, json: boolean): string {
  if (json) return JSON.stringify(problemOf(error));
  if (error instanceof JobFailedError) {
    const at = error.remoteStack ?? `${error.message}`;
    return `${error.jobId} ${ending(error.status, error.code)}: ${at}\n  Next: athanor job logs ${error.jobId}`;
  }
  if (!(error instanceof AthanorError)) return error instanceof Error ? (error.stack ?? error.message) : String(error);
  const paths = (error.errors ?? []).map(
    (at) => `\n  ${at.path || "/"}: expected ${at.expected}${at.actual ? `, got ${at.actual}` : ""}`,
  );
  return `${ERRORS[error.code].title}: ${error.detail}${paths.join("")}\n  Next: ${error.hint}`;
}

function problemOf(error: unknown): object {
  if (error instanceof AthanorError) return error.toProblem();
  if (error instanceof JobFailedError) {
    const { code, jobId, message, remoteStack, status } = error;
    return {
      code,
      detail: message,
      job_id: jobId,
      job_status: status,
      ...(remoteStack === undefined ? {} : { stack: remoteStack }),
    };
  }
  return new AthanorError("internal", error instanceof Error ? error.message : String(error)).toProblem();
}
