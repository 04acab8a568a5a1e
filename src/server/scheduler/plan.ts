/**
 * Decides how many replicas each group should have. Pure: the same snapshot, policy and time give the same plan, so that
 * every rule here can be tested without a process or a clock. docs/scaling.md tells users the rules.
 *
 * Calls that are there now are what replicas are started for, at once. What was there lately decides what becomes of those that are too many, as
 * in Knative's autoscaler (knative.dev/docs/serving/autoscaling/kpa-specific): averages over a stable and a panic window, and its scale-down delay.
 */
import type { SCALING_DEFAULTS } from "../../protocol/defaults.ts";
import type { Demand } from "./demand.ts";

/** What SCALING_DEFAULTS has. */
export type ScalingPolicy = { readonly [name in keyof typeof SCALING_DEFAULTS]: number };

export interface ReplicaSnapshot {
  id: string;
  state: "starting" | "ready" | "draining";
  /** Calls that it holds now. */
  load: number;
  /** Since when it has been ready and without a call; null: it is not so. */
  idleSince: number | null;
}

/** What a plan tells the next one. */
export interface PlanMemory {
  /** So many replicas, of those that are ready the ones that started first, share the calls; the others get what these have no place for. */
  sharing: number;
  /** A burst is under way, or was until now: until this time nothing is taken away. Null: none is. */
  panicUntil: number | null;
  /** There have been more calls than places since then, or since the last start; null: there are not. */
  shortSince: number | null;
}

export const NO_MEMORY: PlanMemory = { sharing: Number.POSITIVE_INFINITY, panicUntil: null, shortSince: null };

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
  scaleUpDelayMs: number;
  /** Calls that wait for a place: held requests and due jobs. */
  waiting: number;
  /** Of running and waiting calls; null: it has one replica at most, and nothing hangs on it. */
  demand: Demand | null;
  /** Starts failed; none is tried before this time. Null: the last one did not fail. */
  backoffUntil: number | null;
  replicas: ReplicaSnapshot[];
  memory: PlanMemory;
}

export interface GroupPlan {
  /** Replicas that there are to be, once what is started and drained now, and what must wait for its time, is done. */
  wanted: number;
  /** Replicas to start now. */
  start: number;
  /** Idle replicas to drain now, and starting ones that nobody waits for any more. */
  drain: string[];
  /** When this plan may change although nothing else happens; null: never. */
  wakeAt: number | null;
  memory: PlanMemory;
}

/** The facts that the rules below share. */
interface Facts {
  group: GroupSnapshot;
  policy: ScalingPolicy;
  now: number;
  max: number;
  /** Kept whatever the demand. */
  floor: number;
  /** Without those that drain. */
  staying: ReplicaSnapshot[];
  /** Running and waiting. */
  calls: number;
  /** Replicas that could hold all of them, within floor and max. */
  needed: number;
}

export function plan(group: GroupSnapshot, policy: ScalingPolicy, now: number): GroupPlan {
  const facts = factsOf(group, policy, now);
  return facts.needed > facts.staying.length ? planStarts(facts) : planDrains(facts);
}

function factsOf(group: GroupSnapshot, policy: ScalingPolicy, now: number): Facts {
  const max = Math.max(0, group.maxReplicas);
  const floor = Math.min(max, Math.max(group.prepared, group.live ? group.minReplicas : 0));
  const staying = group.replicas.filter((replica) => replica.state !== "draining");
  const calls = staying.reduce((sum, replica) => sum + replica.load, group.waiting);
  const needed = Math.min(max, Math.max(floor, Math.ceil(calls / group.concurrency)));
  return { group, policy, now, max, floor, staying, calls, needed };
}

/** Draining replicas still use their share of the machine, so they count against the maximum until they are gone. */
function planStarts(facts: Facts): GroupPlan {
  const { group, now, max, floor, staying, needed, calls } = facts;
  const shortSince = calls > staying.length * group.concurrency ? (group.memory.shortSince ?? now) : null;
  const planned = {
    wanted: needed,
    drain: [],
    memory: { sharing: Number.POSITIVE_INFINITY, panicUntil: panicUntil(facts), shortSince },
  };
  if (group.backoffUntil !== null && now < group.backoffUntil)
    return { ...planned, start: 0, wakeAt: group.backoffUntil };
  const room = Math.max(0, max - group.replicas.length);
  // The first and the minimum are for whoever calls next; only what comes on top may wait to see whether the demand lasts.
  const atOnce = Math.max(1, floor) - staying.length;
  if (group.scaleUpDelayMs === 0) return { ...planned, start: Math.min(room, needed - staying.length), wakeAt: null };
  if (atOnce > 0) return { ...planned, start: Math.min(room, atOnce), wakeAt: null };
  const dueAt = (shortSince ?? now) + group.scaleUpDelayMs;
  if (now < dueAt) return { ...planned, start: 0, wakeAt: dueAt };
  return { ...planned, start: Math.min(room, 1), wakeAt: null };
}

function planDrains(facts: Facts): GroupPlan {
  const { group, now, staying, needed, calls } = facts;
  const until = panicUntil(facts);
  const sharing = until === null ? sharingReplicas(facts) : Number.POSITIVE_INFINITY;
  const memory = { sharing, panicUntil: until, shortSince: null };
  if (!group.live && group.waiting === 0) {
    const unused = staying.filter(({ load }) => load === 0).slice(0, staying.length - needed);
    return {
      wanted: staying.length - unused.length,
      start: 0,
      drain: unused.map(({ id }) => id),
      wakeAt: null,
      memory,
    };
  }
  const idle = staying
    .filter((replica) => replica.idleSince !== null)
    .sort((a, b) => Number(a.idleSince) - Number(b.idleSince));
  const due = idle.filter((replica) => Number(replica.idleSince) + group.keepWarmMs <= now);
  const drain = due.slice(0, Math.max(0, staying.length - keptReplicas(facts, memory, due)));
  const next = idle[due.length];
  const times = [
    ...(next !== undefined && staying.length > needed ? [Number(next.idleSince) + group.keepWarmMs] : []),
    // While calls come and go nothing tells of the averages: they are looked at.
    ...(calls > 0 && staying.length > 1 ? [now + facts.policy.panicWindowMs] : []),
  ];
  return {
    wanted: staying.length - drain.length,
    start: 0,
    drain: drain.map(({ id }) => id),
    wakeAt: times.length === 0 ? null : Math.min(...times),
    memory,
  };
}

/** How many share the calls, by the average of the last minute: packed so, the others become idle when there are too many. */
function sharingReplicas({ group, policy, staying, needed }: Facts): number {
  if (group.demand === null) return Number.POSITIVE_INFINITY;
  const byAverage = Math.ceil(group.demand.stable / (group.concurrency * policy.targetUtilization));
  return Math.max(1, needed, Math.min(staying.length, byAverage));
}

/** How many stay, however long some of them have been idle. */
function keptReplicas({ group, floor, staying, needed, calls }: Facts, memory: PlanMemory, due: unknown[]): number {
  // Nobody has called for keepWarm, or nothing is to be kept: what was a minute ago says nothing.
  const isQuiet = calls === 0 && due.length === staying.length;
  if (isQuiet || group.keepWarmMs === 0 || group.demand === null) return Math.max(floor, needed);
  if (memory.panicUntil !== null) return staying.length;
  return Math.max(needed, memory.sharing, Math.ceil(group.demand.peak / group.concurrency));
}

/** A burst is more, over the short window, than twice what the replicas that share the calls can hold; it is over a stable window later. */
function panicUntil({ group, policy, staying, now }: Facts): number | null {
  if (group.demand === null) return null;
  const ready = staying.filter(({ state }) => state === "ready").length;
  const capacity = group.concurrency * Math.max(1, Math.min(ready, group.memory.sharing));
  if (group.demand.panic >= capacity * policy.panicThreshold) return now + policy.stableWindowMs;
  const { panicUntil: until } = group.memory;
  return until !== null && until > now ? until : null;
}
