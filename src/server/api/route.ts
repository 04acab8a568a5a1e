import { AthanorError } from "../../protocol/errors.ts";
import type { JsonSchema } from "../../protocol/json.ts";
import { parseId } from "../../protocol/names.ts";
import type { Principal } from "../auth.ts";
import type { Context } from "../context.ts";
import type { Exchange } from "../http/exchange.ts";

/**
 * Who may call a route:
 * `public`: anyone; `operator`: the holder of the server's token; `app`: also a replica of the app that `:app` names;
 * `job`: also a replica of the job's app, and whoever has the job's link with its `key`; `principal`: any token, the handler narrows.
 */
export type Access = "public" | "operator" | "app" | "job" | "principal";

/** One route of the API, as data: the router serves it and openapi.ts describes it. */
export interface Route {
  method: "GET" | "POST" | "DELETE";
  /** Segments that begin with `:` are parameters. */
  path: string;
  access: Access;
  summary: string;
  /** Query parameters; any other is refused. `key` is added where access is `job`. */
  query?: { [name: string]: { description: string; schema: JsonSchema } };
  /** Request headers that matter. */
  headers?: { [name: string]: string };
  /** Name of the schema of the request's body. */
  body?: string;
  /** Status and name of the schema of the answer; null: no body, or none that is JSON. */
  answers: { [status: number]: string | null };
  handle(call: ApiCall): void | Promise<void>;
}

/** What a handler is given. */
export interface ApiCall {
  x: Exchange;
  context: Context;
  params: { [name: string]: string };
  query: URLSearchParams;
  /** All of the API's. */
  routes: readonly Route[];
  principal: Principal | { kind: "anyone" } | { kind: "key" };
}

export function requireParam(call: ApiCall, name: string): string {
  const value = call.params[name];
  if (value === undefined) throw new Error(`the route has no :${name}`);
  return value;
}

/** The number in `:job`. Throws job_not_found, also for what is no id. */
export function jobParam(call: ApiCall): number {
  const text = requireParam(call, "job");
  const job = parseId("jobs", text);
  if (job === null) throw new AthanorError("job_not_found", `there is no job ${JSON.stringify(text.slice(0, 100))}`);
  return job;
}

/** The number in `:deployment`. Throws deployment_not_found. */
export function deploymentParam(call: ApiCall): number {
  const text = requireParam(call, "deployment");
  const deployment = parseId("deployments", text);
  if (deployment === null)
    throw new AthanorError("deployment_not_found", `there is no deployment ${JSON.stringify(text.slice(0, 100))}`);
  return deployment;
}

/** A number from the query, or the fallback where it is absent. Throws bad_request. */
export function numberQuery(
  call: ApiCall,
  name: string,
  p: { min: number; max: number; fallback: number; whole?: boolean },
): number {
  const text = call.query.get(name);
  if (text === null) return p.fallback;
  const number = /^\d{1,15}(?:\.\d{1,6})?$/.test(text) ? Number(text) : Number.NaN;
  if (!(number >= p.min && number <= p.max) || (p.whole !== false && !Number.isInteger(number))) {
    throw new AthanorError(
      "bad_request",
      `${name} is ${JSON.stringify(text.slice(0, 100))}; a ${p.whole === false ? "" : "whole "}number from ${p.min} to ${p.max} is needed`,
    );
  }
  return number;
}

/** `?name`, `?name=true` or `?name=false`. Throws bad_request. */
export function flagQuery(call: ApiCall, name: string): boolean {
  const text = call.query.get(name);
  if (text === null || text === "false" || text === "0") return false;
  if (text === "" || text === "true" || text === "1") return true;
  throw new AthanorError("bad_request", `${name} is ${JSON.stringify(text.slice(0, 100))}; true or false is needed`);
}

/** Some of the known names, separated by commas; null where the parameter is absent. Throws bad_request for any other. */
export function namesQuery<T extends string>(call: ApiCall, name: string, known: readonly T[]): ReadonlySet<T> | null {
  const text = call.query.get(name);
  if (text === null) return null;
  const names = text.split(",").map((given) => {
    const found = known.find((candidate) => candidate === given.trim());
    if (found === undefined) {
      const shown = JSON.stringify(given.slice(0, 100));
      const needed = `of ${known.join(", ")}, one or more with commas are needed`;
      throw new AthanorError("bad_request", `${name} has ${shown}; ${needed}`);
    }
    return found;
  });
  return new Set(names);
}
