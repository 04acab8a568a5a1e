import type { ReplicaExit } from "../../engines/engine.ts";
import { AthanorError } from "../../protocol/errors.ts";
import { exitStatus } from "../replicas/exit.ts";
import { type SchedulerPolicy, startBackoffMs } from "./plan.ts";

/** Why the last start of a group failed; kept until one succeeds. */
export interface StartFailure {
  error: AthanorError;
  /** In a row. */
  failures: number;
  delayMs: number;
  /** No start before this: milliseconds since 1970. */
  until: number;
}

/** One more failed start, after `before`. */
export function startFailure(p: {
  cause: unknown;
  before: StartFailure | null;
  policy: SchedulerPolicy;
  now: number;
}): StartFailure {
  const failures = (p.before?.failures ?? 0) + 1;
  const delayMs = startBackoffMs(p.policy, failures);
  return { error: startError(p.cause), failures, delayMs, until: p.now + delayMs };
}

function startError(cause: unknown): AthanorError {
  if (cause instanceof AthanorError) return cause;
  return new AthanorError("startup_failed", `No replica could be started: ${String(cause)}`, { cause });
}

/** A replica that said it was ready, and was gone before anyone could use it. */
export function diedUnused(exit: ReplicaExit): AthanorError {
  const lines = exit.lastStderr.length === 0 ? "" : ` Its last lines of stderr: ${exit.lastStderr.join("\n")}`;
  return new AthanorError(
    "startup_failed",
    `The replica became ready and died with ${exitStatus(exit)} before its first call.${lines}`,
  );
}
