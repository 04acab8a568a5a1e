import type { ReplicaGroup } from "../../protocol/groups.ts";
import type { ReplicaSession } from "../replicas/session.ts";
import type { ReplicaTrouble } from "../scheduler/lifecycle.ts";
import type { ReplicaLogs } from "./logs.ts";

/** Why a replica is not there stands among the lines of those that are. */
export function keepTrouble(logs: ReplicaLogs, { deployment, group, replicaId, message }: ReplicaTrouble): void {
  logs.append(deployment, {
    at: new Date().toISOString(),
    replica_id: replicaId ?? "",
    function: onlyFunction(group),
    job_id: null,
    stream: "stderr",
    line: `[athanor] ${message}`,
  });
}

/** A line of no known call, of a replica of several functions, may be any one's. */
function onlyFunction({ functions }: ReplicaGroup): string | null {
  return functions.length === 1 ? (functions[0]?.name ?? null) : null;
}

export function keepLines(logs: ReplicaLogs, session: ReplicaSession, deployment: number, group: ReplicaGroup): void {
  const fn = onlyFunction(group);
  logs.open(deployment, session.ended);
  session.onLog(({ fd, line, at }, writer) => {
    logs.append(deployment, {
      at: new Date(at).toISOString(),
      replica_id: session.id,
      function: writer?.function ?? fn,
      job_id: writer?.jobId ?? null,
      stream: fd,
      line,
    });
  });
}
