import type { ReplicaExit } from "../../engines/engine.ts";
import type { ReplicaEndJson } from "../../protocol/wire.ts";
import { exitStatus } from "../replicas/exit.ts";
import type { Replica } from "./group.ts";

/** How a replica ended, as its group remembers it. */
export interface ReplicaEnd {
  replicaId: string;
  at: number;
  exit: ReplicaExit;
  /** It was ready for so long; null: it never was. */
  readyMs: number | null;
  reason: ReplicaEndJson["reason"];
}

export function replicaEnd({ session, readyAt, failed }: Replica, exit: ReplicaExit, now: number): ReplicaEnd {
  const readyMs = readyAt === null ? null : Math.max(0, now - readyAt);
  return { replicaId: session.id, at: now, exit, readyMs, reason: failed ? "start_failed" : reasonOf(exit) };
}

function reasonOf({ reason }: ReplicaExit): ReplicaEndJson["reason"] {
  if (reason === "self") return "exited";
  return reason === "memory" ? "out_of_memory" : reason;
}

export function replicaEndJson({ replicaId, at, exit, readyMs, reason }: ReplicaEnd, lines: number): ReplicaEndJson {
  return {
    replica_id: replicaId,
    at: new Date(at).toISOString(),
    reason,
    status: exitStatus(exit),
    ready_s: readyMs === null ? null : readyMs / 1000,
    last_stderr: exit.lastStderr.slice(-lines),
  };
}
