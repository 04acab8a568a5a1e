import { formatId } from "../../protocol/names.ts";
import type { AppSpec, FunctionSpec } from "../../protocol/spec.ts";
import type { DeploymentJson, DeployPhaseJson, FunctionJson } from "../../protocol/wire.ts";
import type { DeploymentRecord } from "../store/store.ts";

/** How deployments look on the wire. */

function functionJson(app: string, fn: FunctionSpec): FunctionJson {
  return {
    name: fn.name,
    kind: fn.kind,
    url: urlOf(app, fn),
    methods: fn.endpoint?.methods ?? [],
    queued: fn.queue !== null,
    description: fn.description,
  };
}

function urlOf(app: string, { endpoint, service }: FunctionSpec): string | null {
  if (service !== null) return service.path === "/" ? `/${app}/` : `/${app}${service.path}/`;
  return endpoint === null ? null : `/${app}${endpoint.path}`;
}

export function functionsJson(spec: AppSpec): FunctionJson[] {
  return spec.functions.map((fn) => functionJson(spec.name, fn));
}

export function deploymentJson(record: DeploymentRecord, phases: readonly DeployPhaseJson[] = []): DeploymentJson {
  const { error } = record;
  return {
    deployment_id: formatId("deployments", record.deployment),
    app: record.app,
    digest: record.digest,
    // What is still building is no version yet: to a client it is not there, or has failed with its server.
    status: record.status === "building" ? "failed" : record.status,
    created_at: new Date(record.createdAt).toISOString(),
    functions: functionsJson(record.spec),
    error: error && { code: error.code, message: error.message, last_stderr: error.lastStderr ?? [] },
    phases: [...phases],
  };
}

export const appLinks = (app: string): { app: string; openapi: string; docs: string } => ({
  app: `/${app}`,
  openapi: `/${app}/openapi.json`,
  docs: `/${app}/docs`,
});
