import type { FunctionSpec } from "../../protocol/spec.ts";
import { bodyLimitBytes } from "../../schema/body.ts";
import type { LoadedDeployment } from "../deployments/loaded.ts";

/** One endpoint of a live deployment, with what the hot path would else work out at each request. */
export interface EndpointRoute {
  deployment: LoadedDeployment;
  fn: FunctionSpec & { endpoint: NonNullable<FunctionSpec["endpoint"]> };
  methods: ReadonlySet<string>;
  /** For the Allow header. */
  allow: string;
  maxBodyBytes: number;
}

/** One app's paths, without the app's prefix: `/hello`. */
export interface AppRoutes {
  deployment: LoadedDeployment;
  byPath: ReadonlyMap<string, EndpointRoute>;
}

export type RouteTable = ReadonlyMap<string, AppRoutes>;

export function routeTable(live: LoadedDeployment[]): RouteTable {
  return new Map(live.map((deployment) => [deployment.app, { deployment, byPath: pathsOf(deployment) }]));
}

function pathsOf(deployment: LoadedDeployment): Map<string, EndpointRoute> {
  const byPath = new Map<string, EndpointRoute>();
  for (const fn of deployment.spec.functions) {
    if (fn.endpoint === null) continue;
    const methods = new Set<string>(fn.endpoint.methods);
    // Whoever answers GET answers HEAD, and the gateway answers OPTIONS.
    if (methods.has("GET")) methods.add("HEAD");
    byPath.set(fn.endpoint.path, {
      deployment,
      fn: fn as EndpointRoute["fn"],
      methods,
      allow: [...methods, "OPTIONS"].join(", "),
      maxBodyBytes: bodyLimitBytes(fn, deployment.spec.$defs),
    });
  }
  return byPath;
}

export interface Target {
  app: string;
  /** Below the app; `/` at least. */
  path: string;
  /** What a link to the app begins with: `/demo`, or nothing where the host names the app. */
  prefix: string;
}

/** The app and the path below it that a request is for: by host `<app>.<domain>`, else by the first segment. */
export function targetOf(p: { host: string; path: string; domain: string; publicHost: string | null }): Target {
  const byHost = appOfHost(p.host, p.domain, p.publicHost);
  if (byHost !== null) return { app: byHost, path: p.path, prefix: "" };
  const end = p.path.indexOf("/", 1);
  const app = end < 0 ? p.path.slice(1) : p.path.slice(1, end);
  return { app, path: end < 0 ? "/" : p.path.slice(end), prefix: `/${app}` };
}

/** The label before the domain; null where the host is the domain itself, the server's public one, or another name or address. */
function appOfHost(host: string, domain: string, publicHost: string | null): string | null {
  const colon = host.lastIndexOf(":");
  const name = colon < 0 || host.endsWith("]") ? host : host.slice(0, colon);
  if (name === publicHost || !name.endsWith(domain) || name.length <= domain.length + 1) return null;
  const label = name.slice(0, -domain.length - 1);
  return name[label.length] === "." && !label.includes(".") ? label : null;
}
