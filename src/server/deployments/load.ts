import { readFileSync } from "node:fs";
import { join } from "node:path";
import { groupsOf } from "../../protocol/groups.ts";
import { formatId } from "../../protocol/names.ts";
import type { AppSpec, FunctionSpec } from "../../protocol/spec.ts";
import { loadValidators, type Validators } from "../../schema/validators.ts";
import { MAX_TIMER_MS } from "../alarm.ts";
import type { DeploymentRecord } from "../store/store.ts";
import { BUNDLE_FILE, VALIDATORS_FILE } from "./files.ts";
import type { LoadedDeployment } from "./loaded.ts";

/** As long as a timer can wait: 24 days. */
const MAX_TIMER_S = Math.floor(MAX_TIMER_MS / 1000);

/**
 * Reads nothing from disk until the validators are asked for. `inspect` names a function that somebody debugs: who stops at a breakpoint
 * is not to be cut off, so it has no time limit, and a replica that a debugger can be attached to before the first call.
 */
export function loadDeployment(record: DeploymentRecord, root: string, inspect: string | null): LoadedDeployment {
  const { deployment, app, digest, createdAt } = record;
  const spec = inspect === null ? record.spec : forDebugger(record.spec, inspect);
  const dir = join(root, digest);
  const validatorsPath = join(dir, VALIDATORS_FILE);
  const groups = groupsOf(spec);
  const functions = new Map(spec.functions.map((fn) => [fn.name, fn]));
  const groupOf = new Map(groups.flatMap((group) => group.functions.map((fn) => [fn.name, group] as const)));
  let validators: Validators | undefined;
  return {
    number: deployment,
    id: formatId("deployments", deployment),
    app,
    digest,
    spec,
    createdAt,
    dir,
    bundlePath: join(dir, BUNDLE_FILE),
    validatorsPath,
    groups,
    validators: () => {
      validators ??= loadValidators(readFileSync(validatorsPath, "utf8"));
      return validators;
    },
    fn: (name) => functions.get(name),
    groupOf: (name) => groupOf.get(name),
  };
}

function forDebugger(spec: AppSpec, name: string): AppSpec {
  const functions = spec.functions.map((fn): FunctionSpec => {
    if (fn.name !== name) return fn;
    const unhurried = { serviceStartupTimeoutS: MAX_TIMER_S };
    return {
      ...fn,
      timeoutS: MAX_TIMER_S,
      minReplicas: Math.max(1, fn.minReplicas),
      endpoint: fn.endpoint && { ...fn.endpoint, ...unhurried },
      service: fn.service && { ...fn.service, ...unhurried, startupTimeoutS: MAX_TIMER_S },
    };
  });
  return { ...spec, functions };
}
