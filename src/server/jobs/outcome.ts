import type { ReplicaExit } from "../../engines/engine.ts";
import { SERVER_DEFAULTS } from "../../protocol/defaults.ts";
import type { JobError } from "../../protocol/job.ts";
import type { RetrySpec } from "../../protocol/spec.ts";
import { exitStatus } from "../replicas/exit.ts";
import type { JobAnswer } from "../replicas/session.ts";
import type { JobOutcome } from "../store/store.ts";
import { retryDelayMs } from "./retry.ts";

/** `notRun`: the job never reached the replica, or its input could not be read. */
export type AttemptAnswer = JobAnswer | { type: "notRun"; why: string };

/** How the code of an attempt came to its end, the result's media already stored. */
export type AttemptEnd =
  | { type: "result"; result: string; resultBlobs: string[] }
  | { type: "error"; error: JobError; retryable: boolean }
  /** `blameless`: another call is known to be what the replica died of. */
  | { type: "lost"; exit: ReplicaExit; blameless: boolean }
  /** It never reached a replica, or the server stops. */
  | { type: "notRun"; why: string };

/** Why the server told the code to stop, if it did. */
export type Stopping = "cancelled" | "timeout" | null;

export interface Attempt {
  end: AttemptEnd;
  stopping: Stopping;
  /** Attempts that count, this one included. */
  attempt: number;
  maxAttempts: number;
  /** Replicas that died under the job before. */
  crashCount: number;
  retries: RetrySpec;
  timeoutS: number;
  now: number;
  /** 0 to 1. */
  random: number;
}

/**
 * What becomes of the job. Whatever the code did after it was told to stop, the job ends as the stop says. A replica that dies leaves each of
 * its jobs another chance elsewhere, at no cost of an attempt; a job under which `maxCrashes` have died is taken for the cause.
 */
export function outcomeOf(p: Attempt): JobOutcome {
  if (p.stopping === "cancelled")
    return { type: "cancel", error: { code: "cancelled", message: "It was cancelled on request." } };
  if (p.stopping === "timeout") {
    return {
      type: "timeOut",
      error: { code: "timeout", message: `It ran longer than its timeoutS of ${p.timeoutS} s and was stopped.` },
    };
  }
  const { end } = p;
  switch (end.type) {
    case "result":
      return { type: "succeed", result: end.result, resultBlobs: end.resultBlobs };
    case "error":
      return end.retryable ? failOrRetry(p, end.error) : { type: "fail", error: end.error };
    case "notRun":
      return { type: "lose", error: { code: "replica_crashed", message: end.why }, crashed: false };
    case "lost":
      return outcomeOfLost(p, end);
  }
}

function outcomeOfLost(p: Attempt, { exit, blameless }: { exit: ReplicaExit; blameless: boolean }): JobOutcome {
  // The server stopped the replica for another call's sake, or its own: no fault of this job.
  if (exit.reason === "stopped")
    return {
      type: "lose",
      error: { code: "replica_crashed", message: "The server stopped the replica." },
      crashed: false,
    };
  const error = crashError(exit);
  const crashes = p.crashCount + 1;
  if (blameless || crashes < SERVER_DEFAULTS.maxCrashes) return { type: "lose", error, crashed: !blameless };
  return {
    type: "fail",
    error: { ...error, message: `${crashes} replicas died while they ran this job. The last: ${error.message}` },
  };
}

function failOrRetry(p: Attempt, error: JobError): JobOutcome {
  if (p.attempt >= p.maxAttempts) return { type: "fail", error };
  return { type: "retry", error, runAfter: p.now + retryDelayMs(p.retries, p.attempt, p.random) };
}

function crashError(exit: ReplicaExit): JobError {
  const lines =
    exit.lastStderr.length === 0
      ? "It wrote nothing to stderr."
      : `Its last lines of stderr:\n${exit.lastStderr.join("\n")}`;
  if (exit.reason === "memory") {
    const used = exit.memoryMb === null ? "" : ` (${Math.round(exit.memoryMb)} MB were seen)`;
    return {
      code: "out_of_memory",
      message: `The replica used more than its memoryMb${used} and was killed. ${lines}`,
    };
  }
  if (exit.reason === "frozen") {
    const message = `The replica's process had been stopped by a signal for over ${SERVER_DEFAULTS.frozenReplicaMs / 1000} s, and was killed. ${lines}`;
    return { code: "replica_crashed", message };
  }
  return { code: "replica_crashed", message: `The replica died with ${exitStatus(exit)}. ${lines}` };
}
