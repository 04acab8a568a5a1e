/**
 * Decides how many replicas each group should have. Pure: the same snapshot, policy and time give the same plan, so that
 * every rule here can be tested without a process or a clock.
 */
export interface SchedulerPolicy {
  /** The wait after the first failed start; it doubles with each further one. */
  backoffBaseMs: number;
  backoffMaxMs: number;
}

export interface ReplicaSnapshot {
  id: string;
  state: "starting" | "ready" | "draining";
  /** Calls that it holds now. */
  load: number;
  /** Since when it has been ready and without a call; null: it is not so. */
  idleSince: number | null;
}

export interface GroupSnapshot {
  /** False once a newer deployment took its place: nothing is kept that nobody needs. */
  live: boolean;
  minReplicas: number;
  /** Replicas that it is to have before it is live; 0 once it is, or was given up. */
  prepared: number;
  maxReplicas: number;
  /** Calls at a time in one replica. */
  concurrency: number;
  keepWarmMs: number;
  /** Calls that wait for a place: held requests and due jobs. */
  waiting: number;
  /** Starts failed; none is tried before this time. Null: the last one did not fail. */
  backoffUntil: number | null;
  replicas: ReplicaSnapshot[];
}

export interface GroupPlan {
  /** Replicas to start now. */
  start: number;
  /** Idle replicas to drain now, and starting ones that nobody waits for any more. */
  drain: string[];
  /** When this plan may change although nothing else happens; null: never. */
  wakeAt: number | null;
}

export function plan(group: GroupSnapshot, now: number): GroupPlan {
  const max = Math.max(0, group.maxReplicas);
  const min = Math.min(max, Math.max(group.prepared, group.live ? group.minReplicas : 0));
  const staying = group.replicas.filter((replica) => replica.state !== "draining");
  const wanted = Math.min(max, Math.max(min, neededReplicas(group, staying)));

  const missing = Math.max(0, wanted - staying.length);
  if (missing > 0) return planStarts(group, missing, max, now);
  return planDrains(group, staying, wanted, now);
}

/** The delay before the next start after `failures` failed ones in a row. */
export function startBackoffMs(policy: SchedulerPolicy, failures: number): number {
  return Math.min(policy.backoffMaxMs, policy.backoffBaseMs * 2 ** Math.min(failures - 1, 30));
}

/** Replicas that could hold every present and waiting call. */
function neededReplicas(group: GroupSnapshot, staying: ReplicaSnapshot[]): number {
  const calls = staying.reduce((sum, replica) => sum + replica.load, group.waiting);
  return Math.ceil(calls / group.concurrency);
}

/** Draining replicas still use their share of the machine, so they count against the maximum until they are gone. */
function planStarts(group: GroupSnapshot, missing: number, max: number, now: number): GroupPlan {
  if (group.backoffUntil !== null && now < group.backoffUntil)
    return { start: 0, drain: [], wakeAt: group.backoffUntil };
  return { start: Math.max(0, Math.min(missing, max - group.replicas.length)), drain: [], wakeAt: null };
}

function planDrains(group: GroupSnapshot, staying: ReplicaSnapshot[], wanted: number, now: number): GroupPlan {
  const spare = staying.length - wanted;
  if (spare === 0) return { start: 0, drain: [], wakeAt: null };
  if (!group.live && group.waiting === 0) {
    const unused = staying.filter((replica) => replica.load === 0).slice(0, spare);
    return { start: 0, drain: unused.map((replica) => replica.id), wakeAt: null };
  }
  const idle = staying
    .filter((replica) => replica.idleSince !== null)
    .sort((a, b) => Number(a.idleSince) - Number(b.idleSince))
    .slice(0, spare);
  const due = idle.filter((replica) => Number(replica.idleSince) + group.keepWarmMs <= now);
  const next = idle[due.length];
  return {
    start: 0,
    drain: due.map((replica) => replica.id),
    wakeAt: next === undefined ? null : Number(next.idleSince) + group.keepWarmMs,
  };
}
