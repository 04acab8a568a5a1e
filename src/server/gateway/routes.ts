import { AthanorError } from "../../protocol/errors.ts";
import type { FunctionSpec, ServiceSpec } from "../../protocol/spec.ts";
import { bodyLimitBytes } from "../../schema/body.ts";
import type { LoadedDeployment } from "../deployments/loaded.ts";

/** Who answers, for the access log. */
export interface Served {
  app: string;
  function: string;
  deployment: string;
}

const servedBy = ({ app, id }: LoadedDeployment, fn: string): Served => ({ app, function: fn, deployment: id });

/** One endpoint of a live deployment, with what the hot path would else work out at each request. */
export interface EndpointRoute {
  deployment: LoadedDeployment;
  fn: FunctionSpec & { endpoint: NonNullable<FunctionSpec["endpoint"]> };
  methods: ReadonlySet<string>;
  /** For the Allow header. */
  allow: string;
  maxBodyBytes: number;
  served: Served;
}

/** One service of a live deployment. */
export interface ServiceRoute {
  deployment: LoadedDeployment;
  fn: FunctionSpec & { service: ServiceSpec };
  /** Below the app, `/api`; empty for the one at the app's root. */
  prefix: string;
  served: Served;
}

/** One app's paths, without the app's prefix: `/hello`. */
export interface AppRoutes {
  deployment: LoadedDeployment;
  byPath: ReadonlyMap<string, EndpointRoute>;
  /** Those with the longest path first. */
  services: readonly ServiceRoute[];
  /** Of endpoints and services, which have hosts of their own. */
  byName: ReadonlyMap<string, EndpointRoute | ServiceRoute>;
  /** By no function: the app's own pages, and what is not there. */
  served: Served;
}

export type RouteTable = ReadonlyMap<string, AppRoutes>;

export function routeTable(live: LoadedDeployment[]): RouteTable {
  return new Map(live.map((deployment) => [deployment.app, routesOf(deployment)]));
}

function routesOf(deployment: LoadedDeployment): AppRoutes {
  const byPath = pathsOf(deployment);
  const services = servicesOf(deployment);
  const byName = new Map([...byPath.values(), ...services].map((route) => [route.fn.name, route]));
  return { deployment, byPath, services, byName, served: servedBy(deployment, "") };
}

function servicesOf(deployment: LoadedDeployment): ServiceRoute[] {
  return deployment.spec.functions
    .filter((fn): fn is ServiceRoute["fn"] => fn.service !== null)
    .map((fn) => ({
      deployment,
      fn,
      prefix: fn.service.path === "/" ? "" : fn.service.path,
      served: servedBy(deployment, fn.name),
    }))
    .toSorted((a, b) => b.prefix.length - a.prefix.length);
}

/**
 * The service that a path belongs to, and the path as it sees it. The path is the client's own text: segments are compared decoded, so that
 * `/ap%69/x` is `/api/x`, while the `%2F` in `/api%2Fx` separates nothing; what is left goes to the service as it was written. Throws bad_request
 * where that begins with two slashes: programs that resolve it against a base take what follows for a host.
 */
export function serviceAt(
  services: readonly ServiceRoute[],
  rawPath: string,
): { route: ServiceRoute; path: string } | null {
  for (const route of services) {
    const path = below(rawPath, route.prefix);
    if (path?.startsWith("//") === true)
      throw new AthanorError("bad_request", `the path goes on with two slashes behind ${route.prefix || "/"}`);
    if (path !== null) return { route, path };
  }
  return null;
}

/** The app's own part of the client's path, undecoded. */
export function rawPathOf(rawPath: string, target: Target): string | null {
  return below(rawPath, target.prefix);
}

/** What follows `prefix`, which is decoded, in a path that is not; at least `/`. Null where the path is not below it. */
function below(rawPath: string, prefix: string): string | null {
  let end = 0;
  for (const segment of prefix === "" ? [] : prefix.slice(1).split("/")) {
    const next = rawPath.indexOf("/", end + 1);
    const raw = rawPath.slice(end + 1, next < 0 ? undefined : next);
    if (raw !== segment && decodeURIComponent(raw) !== segment) return null;
    end = next < 0 ? rawPath.length : next;
  }
  return end === rawPath.length ? "/" : rawPath.slice(end);
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
      served: servedBy(deployment, fn.name),
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
  /** Where the host names it: its root is there. */
  fn: string | null;
}

/** The app and the path below it that a request is for: by host `<app>.<domain>` or `<function>--<app>.<domain>`, else by the first segment. */
export function targetOf(p: { host: string; path: string; domain: string; publicHost: string | null }): Target {
  const label = labelOfHost(p.host, p.domain, p.publicHost);
  if (label !== null) {
    const at = label.indexOf("--");
    const [fn, app] = at < 0 ? [null, label] : [label.slice(0, at), label.slice(at + 2)];
    return { app, path: p.path, prefix: "", fn };
  }
  const end = p.path.indexOf("/", 1);
  const app = end < 0 ? p.path.slice(1) : p.path.slice(1, end);
  return { app, path: end < 0 ? "/" : p.path.slice(end), prefix: `/${app}`, fn: null };
}

/** The label before the domain; null where the host is the domain itself, the server's public one, or another name or address. */
function labelOfHost(host: string, domain: string, publicHost: string | null): string | null {
  const colon = host.lastIndexOf(":");
  const name = colon < 0 || host.endsWith("]") ? host : host.slice(0, colon);
  if (name === publicHost || !name.endsWith(domain) || name.length <= domain.length + 1) return null;
  const label = name.slice(0, -domain.length - 1);
  return name[label.length] === "." && !label.includes(".") ? label : null;
}
