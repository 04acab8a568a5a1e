import type { ReplicaExit } from "../../engines/engine.ts";
import { AthanorError } from "../../protocol/errors.ts";
import { exitStatus } from "../replicas/exit.ts";
import type { ScalingPolicy } from "./plan.ts";

/** Why the last start of a group failed; kept until a replica proves itself. */
export interface StartFailure {
  error: AthanorError;
  /** In a row. */
  failures: number;
  at: number;
  delayMs: number;
  /** No start before this: milliseconds since 1970. */
  until: number;
}

/** One more failed start, after `before`. */
export function startFailure(p: {
  cause: unknown;
  before: StartFailure | null;
  policy: ScalingPolicy;
  now: number;
}): StartFailure {
  const failures = (p.before?.failures ?? 0) + 1;
  const delayMs = startBackoffMs(p.policy, failures);
  return { error: startError(p.cause), failures, at: p.now, delayMs, until: p.now + delayMs };
}

/** The delay before the next start after `failures` failed ones in a row. */
export function startBackoffMs(policy: ScalingPolicy, failures: number): number {
  return Math.min(policy.startBackoffMaxMs, policy.startBackoffFirstMs * 2 ** Math.min(failures - 1, 30));
}

function startError(cause: unknown): AthanorError {
  if (cause instanceof AthanorError) return cause;
  return new AthanorError("startup_failed", `No replica could be started: ${String(cause)}`, { cause });
}

// The first line says what happened; what a replica printed stands on lines of its own, which are not for callers.

/** A replica that said it was ready, and was gone before anyone could use it. */
export function diedUnused(exit: ReplicaExit): AthanorError {
  const what = `The replica became ready and died with ${exitStatus(exit)} before its first call.`;
  return new AthanorError("startup_failed", what + linesOf(exit));
}

/** Replica after replica was ready, and died under its first calls. */
export function crashLoop(exit: ReplicaExit, deaths: number): AthanorError {
  const code = exit.reason === "memory" ? "out_of_memory" : "replica_crashed";
  const what = `${deaths} replicas in a row died before they had finished a call, the last one with ${exitStatus(exit)}.`;
  return new AthanorError(code, what + linesOf(exit));
}

function linesOf({ lastStderr }: ReplicaExit): string {
  return lastStderr.length === 0 ? "" : `\nIts last lines of stderr:\n${lastStderr.join("\n")}`;
}
