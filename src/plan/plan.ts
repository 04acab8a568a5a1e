/** What a deploy would change against what is live. Pure: two descriptions in, a list of changes out. */
import { isDeepStrictEqual } from "node:util";
import type { AppSpec, DependencySet } from "../protocol/spec.ts";
import type { Plan, PlanChange } from "./change.ts";
import { functionChanges } from "./functions.ts";

export interface PlanSide {
  spec: AppSpec;
  /** Undefined: not known. */
  dependencies: DependencySet | null | undefined;
  digest: string;
}

/** `before`: what is live; null where nothing is. */
export function planOf(before: PlanSide | null, after: PlanSide): Plan {
  if (before?.digest === after.digest) return { changes: [], breaking: 0 };
  const changes = [
    ...appChanges(before?.spec ?? null, after.spec),
    ...functionChanges(before?.spec ?? { ...after.spec, functions: [] }, after.spec),
    ...dependencyChanges(before?.dependencies, after.dependencies, before === null),
  ];
  if (before !== null)
    changes.push(of("code", "changed", "", changes.length === 0 ? "the code, and nothing else" : "the code"));
  return { changes, breaking: changes.filter(({ breaking }) => breaking).length };
}

function of(area: PlanChange["area"], change: PlanChange["change"], what: string, text: string): PlanChange {
  return { area, change, function: null, of: what, breaking: false, text };
}

function appChanges(before: AppSpec | null, after: AppSpec): PlanChange[] {
  if (before === null) return [of("app", "added", after.name, `the app ${after.name} is new`)];
  if (before.compute === after.compute) return [];
  return [of("app", "changed", "compute", `compute: ${before.compute} -> ${after.compute}`)];
}

function dependencyChanges(
  before: DependencySet | null | undefined,
  after: DependencySet | null | undefined,
  isNew: boolean,
): PlanChange[] {
  // What the live one has is not known where its upload is gone.
  if (after === undefined || (before === undefined && !isNew)) return [];
  const [old, next] = [before?.packages ?? {}, after?.packages ?? {}];
  const names = [...new Set([...Object.keys(old), ...Object.keys(next)])].toSorted();
  const changes = names.flatMap((name): PlanChange[] => {
    const [a, b] = [old[name], next[name]];
    if (a === b) return [];
    if (a === undefined) return [of("dependency", "added", name, `${name} ${b}`)];
    if (b === undefined) return [of("dependency", "removed", name, `${name} ${a}`)];
    return [{ ...of("dependency", "changed", name, `${name} ${a} -> ${b}`), before: a, after: b }];
  });
  if (changes.length === 0 && !isNew && !isDeepStrictEqual(before?.lockfile, after?.lockfile))
    changes.push(of("dependency", "changed", "", "what the packages need, as the lock file has it"));
  return changes;
}
