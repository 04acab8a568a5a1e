import { AthanorError } from "../../protocol/errors.ts";
import { formatId } from "../../protocol/names.ts";
import type { RunnableDeployment } from "./deployment.ts";
import type { Group } from "./group.ts";

// Why a call gets no replica. Each says what is the matter, and where it helps, when to come again.

export function shuttingDown(): AthanorError {
  return new AthanorError("shutting_down", "The server is stopping and takes no more calls.", {
    headers: { "retry-after": "5" },
  });
}

export function noSuchFunction(deployment: RunnableDeployment, name: string): AthanorError {
  return new AthanorError(
    "function_not_found",
    `${formatId("deployments", deployment.number)} has no function ${name}.`,
  );
}

export function tooManyHeld(group: Group): AthanorError {
  return overloaded(`${group.held.size} requests already wait for a replica of ${inWords(group)}, and no more may.`);
}

/** A request was held for as long as it may be. */
export function heldTooLong(group: Group, timeoutS: number): AthanorError {
  if (!group.has("ready"))
    return new AthanorError("startup_timeout", `No replica of ${inWords(group)} was ready within ${timeoutS} s.`, {
      headers: { "retry-after": "1" },
    });
  return overloaded(
    `Every replica of ${inWords(group)} was busy for ${timeoutS} s: ${group.replicas.length} of at most ${group.maxReplicas}, ${group.concurrency} calls each.`,
  );
}

/**
 * The reason of the last failed start, with when the next one is due. For whoever calls, who may be anyone: what the replica printed is for the logs,
 * and whatever kept it from starting, to the caller it is a service that is not there just now.
 */
export function noReplicaStarts(group: Group, now: number): AthanorError {
  if (group.failure === null)
    return new AthanorError("startup_failed", `No replica of ${inWords(group)} could be started.`, {
      headers: { "retry-after": "1" },
    });
  const { error, until } = group.failure;
  const retryAfterS = Math.max(1, Math.ceil((until - now) / 1000));
  const [reason = ""] = error.detail.split("\n", 1);
  const isOwn = error.status === 503;
  return new AthanorError(isOwn ? error.code : "startup_failed", isOwn ? reason : `${error.code}: ${reason}`, {
    hint: error.hint,
    headers: { ...error.headers, "retry-after": String(retryAfterS) },
  });
}

function overloaded(detail: string): AthanorError {
  return new AthanorError("overloaded", detail, { headers: { "retry-after": "1" } });
}

function inWords(group: Group): string {
  return `${group.deployment.app} (${group.functionNames.slice(0, 5).join(", ")})`;
}
