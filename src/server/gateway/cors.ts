import type { CorsSpec } from "../../protocol/spec.ts";
import type { Exchange } from "../http/exchange.ts";

const EXPOSED = "location, retry-after, x-request-id, preference-applied";
const PREFLIGHT_MAX_AGE_S = 600;

/** Lets pages of other origins read the answer, where the endpoint allows theirs. */
export function allowOrigin(x: Exchange, cors: CorsSpec): boolean {
  const origin = x.header("origin");
  const any = cors.origins.includes("*");
  // The answer depends on the origin, so a cache must not hand one origin's to another.
  if (!any || cors.credentials) x.res.appendHeader("vary", "Origin");
  if (origin === undefined || !(any || cors.origins.includes(origin))) return false;
  x.res.setHeader("access-control-allow-origin", any && !cors.credentials ? "*" : origin);
  x.res.setHeader("access-control-expose-headers", EXPOSED);
  if (cors.credentials) x.res.setHeader("access-control-allow-credentials", "true");
  return true;
}

/** Answers to a browser that asks before it sends: which methods and headers it may use. */
export function preflightHeaders(x: Exchange, cors: CorsSpec, methods: ReadonlySet<string>): Record<string, string> {
  const asked = x.header("access-control-request-headers") ?? "";
  const any = cors.headers.includes("*");
  // With credentials a `*` means nothing to browsers, so what was asked for is named.
  const headers = any ? asked : ["content-type", "idempotency-key", "prefer", ...cors.headers].join(", ");
  return {
    "access-control-allow-methods": [...methods].join(", "),
    ...(headers === "" ? {} : { "access-control-allow-headers": headers }),
    "access-control-max-age": String(PREFLIGHT_MAX_AGE_S),
  };
}
