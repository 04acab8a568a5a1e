import { AthanorError } from "../../protocol/errors.ts";
import type { Context } from "../context.ts";
import { sendEmpty } from "../http/answer.ts";
import type { Exchange } from "../http/exchange.ts";
import { appRoutes } from "./apps.ts";
import { callRoutes } from "./calls.ts";
import { deploymentRoutes } from "./deployments.ts";
import { jobActionRoutes } from "./job-actions.ts";
import { jobDataRoutes } from "./job-data.ts";
import { jobRoutes } from "./jobs.ts";
import { openApiRoutes } from "./openapi.ts";
import { queueRoutes } from "./queues.ts";
import { replicaRoutes } from "./replicas.ts";
import type { ApiCall, Route } from "./route.ts";
import { scheduleRoutes } from "./schedules.ts";
import { serverRoutes } from "./server.ts";
import { serverEventRoutes } from "./server-events.ts";
import { spawnRoutes } from "./spawn-routes.ts";

export const ROUTES: readonly Route[] = [
  ...serverRoutes,
  ...openApiRoutes,
  ...deploymentRoutes,
  ...appRoutes,
  ...spawnRoutes,
  ...callRoutes,
  ...jobRoutes,
  ...jobActionRoutes,
  ...jobDataRoutes,
  ...queueRoutes,
  ...scheduleRoutes,
  ...replicaRoutes,
  ...serverEventRoutes,
];

interface CompiledRoute {
  route: Route;
  segments: string[];
}

/** By the number of segments, which tells most routes apart. */
const BY_LENGTH = Map.groupBy(
  ROUTES.map((route): CompiledRoute => ({ route, segments: route.path.split("/") })),
  ({ segments }) => segments.length,
);

/** Serves a request for the server's own API. Throws what is to be answered as a problem. */
export async function serveApi(x: Exchange, context: Context): Promise<void> {
  const { matches, params } = match(x.path);
  if (matches.length === 0)
    throw new AthanorError("not_found", `there is nothing at ${x.path.slice(0, 200)}`, {
      hint: "The API is described in /openapi.json.",
    });
  const allow = allowOf(matches);
  if (x.method === "OPTIONS") {
    sendEmpty(x, 204, { allow, ...(matches.some((route) => route.access === "job") ? preflight(allow) : {}) });
    return;
  }
  const method = x.method === "HEAD" ? "GET" : x.method;
  const route = matches.find((candidate) => candidate.method === method);
  if (!route)
    throw new AthanorError("method_not_allowed", `${x.method} is not allowed at ${x.path.slice(0, 200)}`, {
      headers: { allow },
    });
  // A job's link is for whoever has it, pages of any origin included; the key in it, and no cookie, is what opens it.
  if (route.access === "job") x.res.setHeader("access-control-allow-origin", "*");
  const query = checkQuery(x, route);
  const principal = await authorize({ x, context, route, params, query });
  // It may have been deployed on another server a moment ago.
  if (params.app !== undefined && context.deployments.live(params.app) === undefined)
    await context.deployments.find(params.app);
  await route.handle({ x, context, params, query, routes: ROUTES, principal });
}

function match(path: string): { matches: Route[]; params: { [name: string]: string } } {
  const segments = path.split("/");
  const matches: Route[] = [];
  let params: { [name: string]: string } = {};
  for (const { route, segments: pattern } of BY_LENGTH.get(segments.length) ?? []) {
    const found: { [name: string]: string } = {};
    const fits = pattern.every((part, index) => {
      const segment = segments[index] ?? "";
      if (!part.startsWith(":")) return part === segment;
      found[part.slice(1)] = segment;
      return segment !== "";
    });
    if (!fits) continue;
    matches.push(route);
    params = found;
  }
  return { matches, params };
}

function allowOf(routes: Route[]): string {
  const methods = new Set(routes.flatMap(({ method }) => (method === "GET" ? ["GET", "HEAD"] : [method])));
  return [...methods, "OPTIONS"].join(", ");
}

const preflight = (allow: string): Record<string, string> => ({
  "access-control-allow-origin": "*",
  "access-control-allow-methods": allow,
  "access-control-allow-headers": "accept, authorization, content-type, last-event-id",
  "access-control-max-age": "600",
});

function checkQuery(x: Exchange, route: Route): URLSearchParams {
  const query = x.query;
  const known = new Set(Object.keys(route.query ?? {}));
  if (route.access === "job") known.add("key");
  const seen = new Set<string>();
  for (const name of query.keys()) {
    if (!known.has(name))
      throw new AthanorError(
        "bad_request",
        `${JSON.stringify(name.slice(0, 100))} is no query parameter of ${route.method} ${route.path}; it takes ${[...known].join(", ") || "none"}`,
      );
    if (seen.has(name)) throw new AthanorError("bad_request", `the query parameter ${name} is given twice`);
    seen.add(name);
  }
  return query;
}

async function authorize(p: {
  x: Exchange;
  context: Context;
  route: Route;
  params: { [name: string]: string };
  query: URLSearchParams;
}): Promise<ApiCall["principal"]> {
  const { access } = p.route;
  if (access === "public") return { kind: "anyone" };
  const { auth, store } = p.context;
  const principal = auth.authenticate(p.x.header("authorization"));
  if (principal?.kind === "operator") return principal;
  const job = access === "job" ? jobNumber(p.params.job) : null;
  if (job !== null && auth.isJobKey(job, p.query.get("key"))) return { kind: "key" };
  if (principal === null) throw unauthorized(p.x);
  const allowed =
    access === "principal" ||
    (access === "app" && p.params.app === principal.app) ||
    (job !== null && (await store.jobGet({ job }))?.app === principal.app);
  if (!allowed)
    throw new AthanorError("unauthorized", `this token is a replica's and holds for the app ${principal.app} alone`);
  return principal;
}

function jobNumber(text: string | undefined): number | null {
  const number = Number(/^(?:jobs:)?([1-9]\d{0,15})$/.exec(text ?? "")?.[1] ?? Number.NaN);
  return Number.isSafeInteger(number) ? number : null;
}

function unauthorized(x: Exchange): AthanorError {
  const given =
    x.header("authorization") === undefined ? "no token was sent" : "the token that was sent is not valid here";
  return new AthanorError("unauthorized", given);
}
