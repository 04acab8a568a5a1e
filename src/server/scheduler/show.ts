/** How replicas and their groups look on the wire. */
import { formatId } from "../../protocol/names.ts";
import type { GroupReplicaJson, ReplicaGroupJson, ReplicaJson } from "../../protocol/wire.ts";
import type { Group, Replica } from "./group.ts";
import { plan, type ScalingPolicy } from "./plan.ts";
import { replicaEndJson } from "./replica-end.ts";

export function replicaJson({ session, group, state }: Replica): ReplicaJson {
  return {
    replica_id: session.id,
    app: group.deployment.app,
    deployment_id: formatId("deployments", group.deployment.number),
    functions: group.functionNames,
    status: state,
    pid: session.pid,
    started_at: iso(session.startedAt),
    jobs: session.jobs,
    requests: session.requests,
  };
}

export function replicaGroupJson(group: Group, policy: ScalingPolicy, now: number): ReplicaGroupJson {
  const snapshot = group.snapshot();
  const { wanted, memory } = plan(snapshot, policy, now);
  const { demand } = snapshot;
  return {
    name: group.group.name,
    functions: group.functionNames,
    scaling: {
      min_replicas: group.minReplicas,
      max_replicas: group.maxReplicas,
      concurrency: group.concurrency,
      keep_warm_s: group.keepWarmMs / 1000,
      scale_up_delay_s: group.scaleUpDelayMs / 1000,
    },
    wanted,
    starting: group.count("starting"),
    ready: group.count("ready"),
    draining: group.count("draining"),
    running: group.load,
    waiting: group.waiting,
    demand: demand && {
      stable_average: rounded(demand.stable),
      panic_average: rounded(demand.panic),
      peak: demand.peak,
      panic_until: memory.panicUntil === null ? null : iso(memory.panicUntil),
    },
    last_failure: failureJson(group),
    last_exits: group.ends.map((end) => replicaEndJson(end, policy.lastExitLines)).reverse(),
    replicas: group.replicas.map(groupReplicaJson),
  };
}

function failureJson({ failure }: Group): ReplicaGroupJson["last_failure"] {
  if (failure === null) return null;
  const { error, failures, at, until } = failure;
  return { code: error.code, message: error.detail, failures, at: iso(at), next_try_at: iso(until) };
}

function groupReplicaJson({
  session,
  state,
  startedAt,
  readyAt,
  load,
  idleSince,
  queuedMs,
}: Replica): GroupReplicaJson {
  const { processMs, fromPool, connectMs, loadMs, enterMs, listenMs } = session.timings;
  return {
    replica_id: session.id,
    status: state,
    pid: session.pid,
    started_at: iso(startedAt),
    ready_at: readyAt === null ? null : iso(readyAt),
    running: load,
    idle_since: idleSince === null ? null : iso(idleSince),
    timings: {
      queued_ms: queuedMs,
      process_ms: processMs,
      from_pool: fromPool,
      connect_ms: connectMs,
      load_ms: loadMs,
      enter_ms: enterMs,
      listen_ms: listenMs,
    },
  };
}

const iso = (at: number): string => new Date(at).toISOString();
const rounded = (value: number): number => Math.round(value * 100) / 100;
