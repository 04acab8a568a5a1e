import type { ReplicaExit } from "../../engines/engine.ts";
import { HOP_DEFAULTS } from "../../protocol/defaults.ts";
import { AthanorError } from "../../protocol/errors.ts";
import type { Exchange } from "../http/exchange.ts";
import type { ReplicaSession } from "../replicas/session.ts";

/** Methods whose requests may be made twice (RFC 9110, 9.2.2). */
const IDEMPOTENT: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"]);

/** What is said of a request whose replica may be gone. One that ran out of memory is not among them: the request may be what it ran out with. */
const LOST: ReadonlySet<string> = new Set(["replica_crashed", "service_unreachable", "answer_incomplete"]);

export function isLoss(error: unknown): boolean {
  return error instanceof AthanorError && LOST.has(error.code);
}

/** It may be sent again: doing it twice does no harm, and there is no body of which some is gone. */
export function isRepeatable(x: Exchange): boolean {
  return !x.hasBody && IDEMPOTENT.has(x.method);
}

/**
 * Whether a request that one replica did not answer may go to another. What came to none may go to a few; what one may have begun to work on goes
 * to one other at most, since it may be what the first died of.
 */
export function mayGoElsewhere(
  x: Exchange,
  p: { attempt: number; sent: "nothing" | "head" | "body"; error: unknown },
): boolean {
  if (x.res.headersSent || x.res.destroyed) return false;
  if (!isLoss(p.error)) return false;
  if (p.sent === "nothing") return p.attempt < HOP_DEFAULTS.maxAttempts;
  return p.sent === "head" && p.attempt === 1 && isRepeatable(x);
}

/** Whether the replica is gone; its connections may break a moment before that is known. */
export async function isGone(session: ReplicaSession): Promise<boolean> {
  return !session.takesCalls || (await exitOf(session)) !== null || !session.takesCalls;
}

/** How its process ended; null where it has not within a moment. */
export async function exitOf(session: ReplicaSession): Promise<ReplicaExit | null> {
  const { promise, resolve } = Promise.withResolvers<null>();
  const timer = setTimeout(() => resolve(null), HOP_DEFAULTS.goneMs);
  try {
    return await Promise.race([session.ended, promise]);
  } finally {
    clearTimeout(timer);
  }
}
