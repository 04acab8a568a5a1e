import { SERVER_DEFAULTS } from "../../protocol/defaults.ts";
import { AthanorError } from "../../protocol/errors.ts";
import type { OpenHttp, ServiceAddress } from "../../protocol/replica.ts";
import { MAX_TIMER_MS } from "../alarm.ts";
import { acceptBody, arrivedBody, bodyStream } from "../http/body.ts";
import type { Exchange } from "../http/exchange.ts";
import type { Log } from "../log.ts";
import { exitError } from "../replicas/exit.ts";
import type { ReplicaSession } from "../replicas/session.ts";
import type { Lease, Scheduler } from "../scheduler/scheduler.ts";
import type { OpenWebSocket, WebSockets } from "../websockets/open.ts";
import { FrameExchange } from "./frame-exchange.ts";
import { FramedHop } from "./framed-hop.ts";
import type { ForwardedRequest } from "./headers.ts";
import { requestHeaders } from "./headers.ts";
import { type HopConnections, HopExchange, type Unanswered } from "./hop-exchange.ts";
import { hopRequest } from "./hop-request.ts";
import type { Hops } from "./hops.ts";
import { exitOf, isGone, isLoss, isRepeatable, mayGoElsewhere } from "./retry.ts";
import type { ServiceRoute } from "./routes.ts";
import type { KeptBody } from "./sync.ts";
import { joinWebSocket, mayHandOver, type Switched } from "./websocket.ts";

export interface ServiceCall {
  scheduler: Scheduler;
  hops: Hops;
  webSockets: WebSockets;
  /** Aborts when the server stops. */
  stopping: AbortSignal;
  log: Pick<Log, "warn">;
  route: ServiceRoute;
  /** As the service sees it, undecoded. */
  path: string;
  /** `http://shop.example.com`, as the client sees the server. */
  origin: string;
  forwarded: ForwardedRequest;
}

/**
 * One exchange with a service: over a connection of the gateway's own to where it listens, or in frames. Resolves once the client has its answer,
 * or has gone; throws what is to be answered as a problem.
 */
export async function callService(x: Exchange, p: ServiceCall): Promise<void> {
  const { scheduler, route } = p;
  const { deployment, fn } = route;
  const kept: KeptBody = { body: null };
  for (let attempt = 1; ; attempt++) {
    const lease =
      scheduler.tryAcquire(deployment, fn) ?? (await scheduler.acquire({ deployment, fn, signal: x.signal }));
    const { session } = lease;
    x.replica = session.id;
    const unanswered = await (session.address === null
      ? inFrames(x, p, lease, kept)
      : overHop(x, p, lease, poolOf(x, p, lease, session.address)));
    if (unanswered === null) return;
    const gone = !x.res.headersSent && isLoss(unanswered.error) && (await isGone(session));
    if (gone && mayGoElsewhere(x, { attempt, ...unanswered })) continue;
    // A connection breaks a moment before it is known why.
    const exit = gone ? await exitOf(session) : null;
    const error = exit === null ? unanswered.error : exitError(session.id, exit);
    p.log.warn(
      { requestId: x.requestId, app: deployment.app, function: fn.name, replica: session.id, code: error.code },
      `${x.method} ${x.path} was not answered in whole: ${error.detail}`,
    );
    throw error;
  }
}

/** Of the service's own address, or, where the client's connection may be handed over, one that comes to its HTTP server in frames. */
function poolOf(x: Exchange, p: ServiceCall, { session }: Lease, address: ServiceAddress): HopConnections {
  const { fn } = p.route;
  if (!mayHandOver(x, session)) return p.hops.poolOf(session, address, fn.concurrency);
  return new FramedHop(session, { function: fn.name, requestId: x.requestId });
}

async function overHop(x: Exchange, p: ServiceCall, lease: Lease, pool: HopConnections): Promise<Unanswered | null> {
  const { fn, deployment } = p.route;
  const { session } = lease;
  let timer: NodeJS.Timeout | undefined;
  let webSocket: OpenWebSocket | undefined;
  const join = (switched: Switched): void => {
    const handOver = pool instanceof FramedHop ? pool.call : null;
    webSocket = joinWebSocket(x, { webSockets: p.webSockets, lease, switched, handOver });
  };
  try {
    const exchange = new HopExchange({
      x,
      pool,
      request: hopRequest(x, { path: p.path, forwarded: p.forwarded }),
      name: `${fn.name} of ${deployment.app} on ${session.id}`,
      ownCors: fn.service.cors !== null,
      ending: { superseded: lease.ending, stopping: p.stopping },
      repeatable: isRepeatable(x),
      answered: () => clearTimeout(timer),
      onSwitch: x.upgrade === null ? null : join,
    });
    timer = setTimeout(() => exchange.cancel(tooLate(p.route, session)), Math.min(fn.timeoutS * 1000, MAX_TIMER_MS));
    return await exchange.done;
  } finally {
    clearTimeout(timer);
    // A WebSocket takes its place for as long as it is open.
    if (webSocket === undefined) lease.release();
    else void webSocket.done.then(() => lease.release());
  }
}

async function inFrames(x: Exchange, p: ServiceCall, lease: Lease, kept: KeptBody): Promise<Unanswered | null> {
  const { fn } = p.route;
  const { session } = lease;
  let exchange: FrameExchange;
  try {
    acceptBody(x, Number.POSITIVE_INFINITY);
    if (x.hasBody) kept.body ??= (await arrivedBody(x)) ?? bodyStream(x);
    // The client has left, which its answer will not say again.
    if (x.res.closed) {
      lease.release();
      return null;
    }
    const message = openMessage(x, p, session);
    exchange = new FrameExchange({
      x,
      session,
      message,
      body: kept.body,
      ownCors: fn.service.cors !== null,
      ending: { superseded: lease.ending, stopping: p.stopping },
      onSwitch: (switched) => {
        const handOver = message.handOver === true && !("write" in switched.service) ? switched.service : null;
        joinWebSocket(x, { webSockets: p.webSockets, lease, switched, handOver });
      },
    });
  } catch (error) {
    lease.release();
    // Its connection has broken: nothing was sent.
    if (error instanceof AthanorError) return { error, sent: "nothing" };
    throw error;
  }
  void exchange.closed.then(() => lease.release());
  const timer = setTimeout(
    () => exchange.cancel(tooLate(p.route, session)),
    Math.min(fn.timeoutS * 1000, MAX_TIMER_MS),
  );
  void exchange.answered.then(() => clearTimeout(timer));
  try {
    return await exchange.done;
  } finally {
    clearTimeout(timer);
  }
}

function openMessage(x: Exchange, p: ServiceCall, session: ReplicaSession): OpenHttp {
  return {
    kind: "http",
    requestId: x.requestId,
    function: p.route.fn.name,
    method: x.method,
    url: `${p.origin}${p.path}${x.search === "" ? "" : `?${x.search}`}`,
    headers: requestHeaders(x, p.forwarded),
    hasBody: x.hasBody,
    maxBodyBytes: Number.MAX_SAFE_INTEGER,
    upgrade: x.upgrade === null ? null : "websocket",
    ...(mayHandOver(x, session) && { handOver: true }),
  };
}

/** No answer has begun in time. Others of the replica go on, unless its event loop is what hangs: then it is killed. */
function tooLate({ fn }: ServiceRoute, session: ReplicaSession): AthanorError {
  session.probe();
  setTimeout(() => {
    if (session.state === "ready" && !session.takesCalls) void session.kill();
  }, SERVER_DEFAULTS.cancelGraceMs).unref();
  return new AthanorError("timeout", `${fn.name} did not begin to answer within ${fn.timeoutS} s`);
}
