import { readFileSync } from "node:fs";
import { join } from "node:path";
import { groupsOf } from "../../protocol/groups.ts";
import { formatId } from "../../protocol/names.ts";
import { loadValidators, type Validators } from "../../schema/validators.ts";
import type { DeploymentRecord } from "../store/store.ts";
import { BUNDLE_FILE, VALIDATORS_FILE } from "./files.ts";
import type { LoadedDeployment } from "./loaded.ts";

/** Reads nothing from disk until the validators are asked for. */
export function loadDeployment(record: DeploymentRecord, root: string): LoadedDeployment {
  const { deployment, app, digest, spec, createdAt } = record;
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
