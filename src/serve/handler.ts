import { AthanorError } from "../protocol/errors.ts";
import { answerHttp, reportOf } from "../runtime/http.ts";
import { functionsJson } from "../server/deployments/json.ts";
import { allowOrigin, preflightHeaders } from "../server/gateway/cors.ts";
import { serveDocs } from "../server/gateway/docs.ts";
import { type AppRoutes, type EndpointRoute, type ServiceRoute, serviceAt } from "../server/gateway/routes.ts";
import { sendEmpty, sendJson } from "../server/http/answer.ts";
import { acceptBody, arrivedBody, bodyStream } from "../server/http/body.ts";
import type { Exchange } from "../server/http/exchange.ts";
import type { Log } from "../server/log.ts";
import { ExchangeAnswer } from "./answer.ts";
import { FetchServices } from "./fetch-services.ts";
import { LocalCall } from "./local-call.ts";
import { LocalRequest, originOf } from "./local-request.ts";
import { LocalSocket } from "./local-socket.ts";
import type { OpenApp } from "./open-app.ts";
import { routesOf } from "./routes.ts";
import type { TokenCheck } from "./token.ts";

const SERVICE_METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]);
/** The longest that a timer can wait. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** What the gateway does with a request to an app, where the app's code is in this process. */
export class AppHandler {
  readonly #app: OpenApp;
  readonly #routes: AppRoutes;
  readonly #services: FetchServices;
  readonly #isAllowed: TokenCheck;
  readonly #log: Log;

  constructor(p: { app: OpenApp; isAllowed: TokenCheck; log: Log }) {
    this.#app = p.app;
    this.#routes = routesOf(p.app);
    this.#services = new FetchServices(p.app.loaded);
    this.#isAllowed = p.isAllowed;
    this.#log = p.log;
  }

  /** Makes the handlers of services, after the enter hooks. */
  async start(): Promise<void> {
    await this.#services.start();
  }

  /** The server stops: what would never end by itself is told to. */
  leave(): void {
    this.#services.leave();
  }

  /** Answers, or throws what is to be answered as a problem. */
  handle(x: Exchange): Promise<void> | void {
    const endpoint = this.#routes.byPath.get(x.path);
    if (endpoint) return this.#serveEndpoint(x, endpoint);
    const service = serviceAt(this.#routes.services, x.rawPath);
    if (service) return this.#serveService(x, service.route, service.path);
    return this.#serveOwn(x);
  }

  #serveEndpoint(x: Exchange, route: EndpointRoute): Promise<void> | void {
    const { endpoint } = route.fn;
    const origin = endpoint.cors !== null && allowOrigin(x, endpoint.cors);
    if (x.method === "OPTIONS" && !route.methods.has("OPTIONS")) {
      const allow = { allow: route.allow };
      sendEmpty(
        x,
        204,
        origin && endpoint.cors ? { ...allow, ...preflightHeaders(x, endpoint.cors, route.methods) } : allow,
      );
      return;
    }
    if (!route.methods.has(x.method)) throw notAllowed(x, route.allow);
    if (endpoint.access === "token") this.#isAllowed(x);
    refuseJobs(x, route);
    return this.#call(x, route);
  }

  async #call(x: Exchange, route: EndpointRoute): Promise<void> {
    const { fn, maxBodyBytes } = route;
    const { loaded } = this.#app;
    acceptBody(x, maxBodyBytes);
    const whole = x.hasBody ? await arrivedBody(x) : null;
    // The client has left meanwhile: nothing would say so any more.
    if (x.res.closed) return;
    const call = new LocalCall(whole === null && x.hasBody ? bodyStream(x) : NOTHING, whole);
    const answer = new ExchangeAnswer(x, this.#log);
    const timer = setTimeout(
      () => {
        const late = new AthanorError("timeout", `the function did not answer within ${fn.timeoutS} s`);
        call.cancel(late);
        answer.fail(late);
      },
      Math.min(fn.timeoutS * 1000, MAX_TIMER_MS),
    );
    x.res.once("close", () => {
      clearTimeout(timer);
      if (!x.res.writableFinished) call.cancel(new AthanorError("cancelled", "the client disconnected"));
    });
    const { access } = fn.endpoint;
    const open = new LocalRequest(x, { function: fn.name, maxBodyBytes, access, prefix: "", path: x.rawPath });
    const bound = loaded.functions.get(fn.name);
    if (bound === undefined) throw new AthanorError("function_not_found", `there is no function ${fn.name}`);
    await answerHttp({ call, open, answer, app: loaded, fn: bound, onError: (error) => this.#report(error, call) });
    answer.end();
  }

  #serveService(x: Exchange, route: ServiceRoute, path: string): Promise<void> | void {
    const { cors, access } = route.fn.service;
    const origin = cors !== null && allowOrigin(x, cors);
    if (cors !== null && x.method === "OPTIONS" && x.header("access-control-request-method") !== undefined) {
      sendEmpty(x, 204, origin ? preflightHeaders(x, cors, SERVICE_METHODS) : {});
      return;
    }
    if (access === "token") this.#isAllowed(x);
    const call = new LocalCall(bodyStream(x));
    x.res.once("close", () => {
      if (!x.res.writableFinished) call.cancel(new AthanorError("cancelled", "the client disconnected"));
    });
    const open = new LocalRequest(x, {
      function: route.fn.name,
      maxBodyBytes: Number.MAX_SAFE_INTEGER,
      access,
      prefix: route.prefix,
      path,
    });
    const answer = new ExchangeAnswer(x, this.#log);
    return this.#services.answer({
      call,
      open,
      answer,
      socket: () => new LocalSocket(call, () => answer.take()),
      onError: (error) => this.#report(error, call),
    });
  }

  /** The app's index, its OpenAPI document and its docs, where nothing of the app is at these paths. */
  #serveOwn(x: Exchange): Promise<void> | void {
    const { path } = x;
    if (path !== "/" && path !== "/openapi.json" && path !== "/docs" && !path.startsWith("/docs/"))
      throw new AthanorError(
        "not_found",
        `the app has no endpoint and no service at ${JSON.stringify(path.slice(0, 200))}`,
        {
          hint: "Its endpoints are listed at /.",
        },
      );
    if (x.method === "OPTIONS") return sendEmpty(x, 204, { allow: OWN_METHODS });
    if (x.method !== "GET" && x.method !== "HEAD") throw notAllowed(x, OWN_METHODS);
    const { deployment } = this.#routes;
    if (path !== "/") return serveDocs(x, { deployment, path, prefix: "", origin: originOf(x) });
    const functions = functionsJson(deployment.spec).flatMap((fn) =>
      fn.url === null ? [] : [{ ...fn, url: fn.url.slice(deployment.app.length + 1) }],
    );
    sendJson(x, 200, {
      app: deployment.app,
      deployment_id: null,
      functions,
      links: { openapi: "/openapi.json", docs: "/docs" },
    });
  }

  #report(error: unknown, call: LocalCall): void {
    const text = call.cancelled ? null : reportOf(error);
    if (text !== null) process.stderr.write(`${text}\n`);
  }
}

const OWN_METHODS = "GET, HEAD, OPTIONS";

/** `Prefer: respond-async` is a wish that need not be heeded; a key that is to hold for a day is a promise. */
function refuseJobs(x: Exchange, { fn }: EndpointRoute): void {
  if (fn.queue !== null)
    throw new AthanorError(
      "jobs_unavailable",
      `${fn.name} is queued: its calls are jobs, which this process does not keep`,
    );
  if ((x.method === "POST" || x.method === "PATCH") && x.header("idempotency-key") !== undefined)
    throw new AthanorError(
      "jobs_unavailable",
      "a call with an Idempotency-Key is a job, which this process does not keep",
    );
}

function notAllowed(x: Exchange, allow: string): AthanorError {
  return new AthanorError("method_not_allowed", `${x.method} is not allowed at ${x.path}, which takes ${allow}`, {
    headers: { allow },
  });
}

const NOTHING: AsyncIterable<Uint8Array> = { async *[Symbol.asyncIterator]() {} };
