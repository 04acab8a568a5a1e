import type { AppSpec, FunctionSpec, HttpFaceSpec } from "./spec.ts";

/** Functions that live together in one replica. */
export interface ReplicaGroup {
  /** Unique in the deployment: the function's name, or `endpoints` and a number for shared ones. */
  name: string;
  functions: FunctionSpec[];
}

/** Synchronous endpoints with equal placement and scaling share a replica; everything else has its own. */
export function groupsOf(spec: AppSpec): ReplicaGroup[] {
  const groups: ReplicaGroup[] = [];
  const shared = new Map<string, ReplicaGroup>();
  for (const fn of spec.functions) {
    if (fn.queue !== null || fn.service !== null) {
      groups.push({ name: fn.name, functions: [fn] });
      continue;
    }
    const { placement, minReplicas, maxReplicas, keepWarmS, scaleUpDelayS, concurrency } = fn;
    const key = JSON.stringify([placement, minReplicas, maxReplicas, keepWarmS, scaleUpDelayS, concurrency]);
    const group = shared.get(key);
    if (group) group.functions.push(fn);
    else {
      // A dot cannot stand in a function's name, so a shared group never collides with one.
      const made = { name: `endpoints.${shared.size + 1}`, functions: [fn] };
      shared.set(key, made);
      groups.push(made);
    }
  }
  return groups;
}

/** How its HTTP face is reached; null for a plain function. */
export function httpFaceOf(fn: FunctionSpec): HttpFaceSpec | null {
  return fn.endpoint ?? fn.service;
}
