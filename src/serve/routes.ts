import { groupsOf } from "../protocol/groups.ts";
import type { LoadedDeployment } from "../server/deployments/loaded.ts";
import { type AppRoutes, routeTable } from "../server/gateway/routes.ts";
import type { OpenApp } from "./open-app.ts";

/** The app's paths, as the gateway has them of a deployment; there is no deployment here, and nothing of its files is read. */
export function routesOf({ built, loaded }: OpenApp): AppRoutes {
  const { spec, digest } = built.upload;
  const deployment: LoadedDeployment = {
    number: 0,
    id: "serve",
    app: spec.name,
    digest,
    spec,
    createdAt: Date.now(),
    dir: "",
    bundlePath: "",
    validatorsPath: "",
    groups: groupsOf(spec),
    validators: () => loaded.validators,
    fn: (name) => spec.functions.find((fn) => fn.name === name),
    groupOf: () => undefined,
  };
  return routeTable([deployment]).get(spec.name) as AppRoutes;
}
