import { AthanorError } from "../../protocol/errors.ts";
import type { OpenHttp } from "../../protocol/replica.ts";
import { MAX_TIMER_MS } from "../alarm.ts";
import { functionsJson } from "../deployments/json.ts";
import type { LoadedDeployment } from "../deployments/loaded.ts";
import { sendEmpty, sendJson } from "../http/answer.ts";
import type { Exchange } from "../http/exchange.ts";
import { idempotencyKeyOf } from "../http/idempotency.ts";
import { preferencesOf } from "../http/prefer.ts";
import { WebSockets } from "../websockets/open.ts";
import type { GatewayContext } from "./context.ts";
import { allowOrigin, preflightHeaders } from "./cors.ts";
import { serveDocs } from "./docs.ts";
import { type ForwardedRequest, requestHeaders } from "./headers.ts";
import { Hops } from "./hops.ts";
import { callAsJob } from "./queued.ts";
import {
  type AppRoutes,
  type EndpointRoute,
  type RouteTable,
  rawPathOf,
  routeTable,
  type ServiceRoute,
  serviceAt,
  type Target,
  targetOf,
} from "./routes.ts";
import { callService } from "./service.ts";
import { callEndpoint } from "./sync.ts";

const SERVICE_METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]);

/** First path segments that are the API's, not an app's. */
const API_PATH = /^\/(?:$|v1(?:\/|$)|healthz$|readyz$|metrics$|openapi\.json$)/;

/** Takes public HTTP traffic to the apps. */
export class Gateway {
  readonly #context: GatewayContext;
  readonly #publicHost: string | null;
  readonly #hops = new Hops();
  readonly #webSockets: WebSockets;
  #routes: RouteTable = new Map();

  constructor(context: GatewayContext) {
    this.#context = context;
    this.#webSockets = new WebSockets(context.stopping);
    const { publicUrl } = context.config;
    this.#publicHost = publicUrl === null ? null : new URL(publicUrl).host;
  }

  /** One assignment, so that a request sees either the old or the new. */
  setLive(live: LoadedDeployment[]): void {
    this.#routes = routeTable(live);
  }

  targetOf(x: Exchange): Target | null {
    const target = targetOf({
      host: x.host,
      path: x.path,
      domain: this.#context.config.domain,
      publicHost: this.#publicHost?.replace(/:\d+$/, "") ?? null,
    });
    return target.prefix !== "" && API_PATH.test(x.path) ? null : target;
  }

  /** Answers, or throws what is to be answered as a problem. */
  serve(x: Exchange, target: Target): Promise<void> | void {
    const app = this.#routes.get(target.app);
    return app ? this.#serveApp(x, target, app) : this.#serveNewApp(x, target);
  }

  /** One that is not served here may have been deployed on another server a moment ago. */
  async #serveNewApp(x: Exchange, target: Target): Promise<void> {
    const { deployments } = this.#context;
    const app = (await deployments.find(target.app)) && this.#routes.get(target.app);
    if (!app) throw deployments.absence(target.app);
    await this.#serveApp(x, target, app);
  }

  #serveApp(x: Exchange, target: Target, app: AppRoutes): Promise<void> | void {
    if (target.fn !== null) return this.#serveFunction(x, target, app, target.fn);
    const route = app.byPath.get(target.path);
    x.served = (route ?? app).served;
    if (route) return this.#serveEndpoint(x, target, route);
    const rawPath = app.services.length === 0 ? null : rawPathOf(x.rawPath, target);
    const found = rawPath === null ? null : serviceAt(app.services, rawPath);
    if (found) x.served = found.route.served;
    if (found) return this.#serveService(x, target, found.route, found.path);
    return this.#serveOwn(x, target, app);
  }

  /** By a host of its own: a service with all paths, an endpoint at the root. */
  #serveFunction(x: Exchange, target: Target, app: AppRoutes, name: string): Promise<void> {
    const route = app.byName.get(name);
    x.served = (route ?? app).served;
    if (route && "prefix" in route) return this.#serveService(x, target, route, x.rawPath);
    if (route && target.path === "/") return this.#serveEndpoint(x, target, route);
    const shown = JSON.stringify(target.path.slice(0, 200));
    throw new AthanorError(
      "not_found",
      route
        ? `${name} of ${target.app} is an endpoint: its own host has nothing at ${shown}`
        : `the app ${target.app} has no endpoint and no service called ${JSON.stringify(name.slice(0, 63))}`,
      { hint: route ? "Call it at /." : `\`athanor app show ${target.app}\` lists what it has.` },
    );
  }

  /** `path`: as the service sees it. */
  #serveService(x: Exchange, target: Target, route: ServiceRoute, path: string): Promise<void> {
    const { access, cors } = route.fn.service;
    const origin = cors !== null && allowOrigin(x, cors);
    // Only what a browser asks of its own accord: any other OPTIONS is for the service.
    if (cors !== null && x.method === "OPTIONS" && x.header("access-control-request-method") !== undefined) {
      sendEmpty(x, 204, origin ? preflightHeaders(x, cors, SERVICE_METHODS) : {});
      return Promise.resolve();
    }
    if (access === "token") this.#requireToken(x, target.app);
    const { client } = this.#origins(x, target);
    return callService(x, {
      scheduler: this.#context.scheduler,
      hops: this.#hops,
      webSockets: this.#webSockets,
      stopping: this.#context.stopping,
      log: this.#context.log,
      route,
      path,
      origin: client,
      forwarded: this.#forwarded(x, target, {
        prefix: target.fn === null ? `${target.prefix}${route.prefix}` : "",
        access,
      }),
    });
  }

  #forwarded(x: Exchange, target: Target, p: { prefix: string; access: "public" | "token" }): ForwardedRequest {
    const { scheme, host } = this.#origins(x, target);
    return {
      host,
      scheme,
      prefix: p.prefix,
      proxies: this.#context.config.proxies,
      hideAuthorization: p.access === "token",
    };
  }

  #serveEndpoint(x: Exchange, target: Target, route: EndpointRoute): Promise<void> {
    const { endpoint } = route.fn;
    const origin = endpoint.cors !== null && allowOrigin(x, endpoint.cors);
    if (x.method === "OPTIONS" && !route.methods.has("OPTIONS")) {
      sendEmpty(x, 204, {
        allow: route.allow,
        ...(origin && endpoint.cors !== null ? preflightHeaders(x, endpoint.cors, route.methods) : {}),
      });
      return Promise.resolve();
    }
    if (!route.methods.has(x.method)) {
      throw new AthanorError(
        "method_not_allowed",
        `${x.method} is not allowed at ${target.prefix}${target.path}, which takes ${route.allow}`,
        { headers: { allow: route.allow } },
      );
    }
    if (endpoint.access === "token") this.#requireToken(x, target.app);
    const preferences = preferencesOf(x.header("prefer"));
    const queued = route.fn.queue !== null;
    // GET and DELETE may be repeated anyway; a key on a POST needs a job that remembers it.
    const idempotencyKey =
      queued || x.method === "POST" || x.method === "PATCH" || preferences.respondAsync ? idempotencyKeyOf(x) : null;
    if (!queued && !preferences.respondAsync && idempotencyKey === null) {
      return callEndpoint(x, {
        scheduler: this.#context.scheduler,
        route,
        message: (hasBody) => this.#message(x, target, route, hasBody),
      });
    }
    const applied = [
      ...(preferences.respondAsync && !queued ? ["respond-async"] : []),
      ...(preferences.waitS !== null ? [`wait=${preferences.waitS}`] : []),
    ];
    // Without a preference the client of a synchronous endpoint waits as long as the call may take, its replica's start included.
    const untilDone = queued || preferences.respondAsync ? 0 : route.fn.timeoutS + endpoint.serviceStartupTimeoutS;
    const waitMs = Math.min((preferences.waitS ?? untilDone) * 1000, MAX_TIMER_MS);
    const origins = this.#origins(x, target);
    return callAsJob(x, {
      context: this.#context,
      route,
      url: new URL(`${origins.client}${x.rawPath}${x.search === "" ? "" : `?${x.search}`}`),
      apiOrigin: origins.api,
      absoluteLinks: target.prefix === "",
      idempotencyKey,
      waitMs,
      applied,
    });
  }

  /** The app's index, its OpenAPI document and its docs, where no endpoint of the app is at these paths. */
  #serveOwn(x: Exchange, target: Target, app: AppRoutes): Promise<void> | void {
    const own =
      target.path === "/" ||
      target.path === "/openapi.json" ||
      target.path === "/docs" ||
      target.path.startsWith("/docs/");
    if (!own) {
      throw new AthanorError(
        "not_found",
        `the app ${target.app} has no endpoint and no service at ${JSON.stringify(target.path.slice(0, 200))}`,
        { hint: `Its endpoints are listed at ${target.prefix || "/"}.` },
      );
    }
    if (x.method !== "GET" && x.method !== "HEAD") {
      const allow = "GET, HEAD, OPTIONS";
      if (x.method === "OPTIONS") return sendEmpty(x, 204, { allow });
      throw new AthanorError("method_not_allowed", `${x.method} is not allowed at ${target.prefix}${target.path}`, {
        headers: { allow },
      });
    }
    const { deployment } = app;
    if (target.path !== "/")
      return serveDocs(x, {
        deployment,
        path: target.path,
        prefix: target.prefix,
        origin: this.#origins(x, target).client,
      });
    const links = { openapi: `${target.prefix}/openapi.json`, docs: `${target.prefix}/docs` };
    sendJson(x, 200, {
      app: deployment.app,
      deployment_id: deployment.id,
      // Plain functions are called with the token alone, and named to its holders alone.
      functions: functionsJson(deployment.spec).filter(({ url }) => url !== null),
      links,
    });
  }

  #requireToken(x: Exchange, app: string): void {
    const principal = this.#context.auth.authenticate(x.header("authorization"));
    if (principal === null) throw new AthanorError("unauthorized", "this is for holders of the server's token");
    if (principal.kind === "replica" && principal.app !== app)
      throw new AthanorError("unauthorized", `this token is a replica's and holds for the app ${principal.app} alone`);
  }

  #message(x: Exchange, target: Target, route: EndpointRoute, hasBody: boolean): OpenHttp {
    const { client } = this.#origins(x, target);
    return {
      kind: "http",
      requestId: x.requestId,
      function: route.fn.name,
      method: x.method,
      url: `${client}${x.rawPath}${x.search === "" ? "" : `?${x.search}`}`,
      headers: requestHeaders(x, this.#forwarded(x, target, { ...target, access: route.fn.endpoint.access })),
      hasBody,
      maxBodyBytes: route.maxBodyBytes,
      upgrade: null,
    };
  }

  /** Where the client finds this app's URLs, and where the API. */
  #origins(x: Exchange, target: Target): { client: string; api: string; scheme: string; host: string } {
    const { publicUrl, domain, tls } = this.#context.config;
    const scheme = (publicUrl === null ? tls !== null : publicUrl.startsWith("https:")) ? "https" : "http";
    if (target.prefix !== "") {
      // Without TLS come, where there is TLS, programs on this machine, by an address that is not for others.
      const isLocal = tls !== null && !x.isSecure;
      const host = this.#publicHost ?? (x.host === "" || isLocal ? this.#ownHost() : x.host);
      const client = publicUrl ?? `${scheme}://${host}`;
      return { client, api: client, scheme, host };
    }
    const port = /:\d+$/.exec(x.host)?.[0] ?? "";
    return { client: `${scheme}://${x.host}`, api: publicUrl ?? `${scheme}://${domain}${port}`, scheme, host: x.host };
  }

  #ownHost(): string {
    return new URL(this.#context.url()).host;
  }
}
