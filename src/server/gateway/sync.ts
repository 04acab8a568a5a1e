import { SERVER_DEFAULTS } from "../../protocol/defaults.ts";
import { AthanorError } from "../../protocol/errors.ts";
import type { OpenHttp } from "../../protocol/replica.ts";
import { MAX_TIMER_MS } from "../alarm.ts";
import { endAnswer, writeWithBackPressure } from "../http/answer.ts";
import { acceptBody, bodyStream } from "../http/body.ts";
import type { Exchange } from "../http/exchange.ts";
import type { HttpCall } from "../replicas/session.ts";
import type { Lease, Scheduler } from "../scheduler/scheduler.ts";
import { setAnswerHead } from "./headers.ts";
import type { EndpointRoute } from "./routes.ts";

/**
 * One exchange with a synchronous endpoint: the body goes to a replica as it comes, and its answer back as it comes.
 *
 *   waiting --a replica has room--> open --head and body--> done
 *   open --timeoutS is over--> CANCEL, 504 --the code goes on for the grace--> its replica is killed
 *   open --the client leaves--> CANCEL
 */
export async function callEndpoint(
  x: Exchange,
  p: { scheduler: Scheduler; route: EndpointRoute; message: (hasBody: boolean) => OpenHttp },
): Promise<void> {
  const { route, scheduler } = p;
  const { deployment, fn } = route;
  // Before a replica is asked for: a body that is too large needs none.
  if ((x.contentLength ?? 0) > route.maxBodyBytes) acceptBody(x, route.maxBodyBytes);
  const lease = scheduler.tryAcquire(deployment, fn) ?? (await scheduler.acquire({ deployment, fn, signal: x.signal }));
  acceptBody(x, route.maxBodyBytes);
  const call = openCall(x, lease, p.message(x.hasBody));
  const timer = timeLimit(call, lease, fn.timeoutS);
  const left = (): void => {
    if (!x.res.writableFinished) call.cancel("disconnected");
  };
  x.res.once("close", left);
  try {
    await Promise.race([passAnswer(x, call), timer.over]);
  } catch (error) {
    if (!timer.isOver) call.cancel("disconnected");
    throw error;
  } finally {
    void call.closed.then(() => {
      timer.clear();
      lease.release();
    });
  }
}

function openCall(x: Exchange, lease: Lease, message: OpenHttp): HttpCall {
  try {
    return lease.session.openHttp(message, bodyStream(x));
  } catch (error) {
    lease.release();
    throw error;
  }
}

async function passAnswer(x: Exchange, call: HttpCall): Promise<void> {
  const head = await call.head;
  if (x.res.headersSent || x.res.destroyed) return;
  setAnswerHead(x, head);
  // The head leaves with the first bytes, or by itself where those are long in coming.
  const flush = setImmediate(() => x.res.flushHeaders());
  try {
    for await (const chunk of call.body) {
      if (!(await writeWithBackPressure(x.res, chunk, x.signal))) return;
    }
  } finally {
    clearImmediate(flush);
  }
  endAnswer(x);
}

interface TimeLimit {
  /** Never resolves; rejects with `timeout`. */
  over: Promise<never>;
  isOver: boolean;
  clear(): void;
}

/** Runs until the replica is done with the call, also when the client has gone: code that does not heed its signal must end some time. */
function timeLimit(call: HttpCall, lease: Lease, timeoutS: number): TimeLimit {
  const { promise, reject } = Promise.withResolvers<never>();
  promise.catch(() => {});
  const limit: TimeLimit = { over: promise, isOver: false, clear: () => clearTimeout(timer) };
  let timer = setTimeout(
    () => {
      limit.isOver = true;
      call.cancel("timeout");
      lease.session.probe();
      timer = setTimeout(() => void lease.session.kill(), SERVER_DEFAULTS.cancelGraceMs);
      reject(new AthanorError("timeout", `the function did not answer within ${timeoutS} s`));
    },
    Math.min(timeoutS * 1000, MAX_TIMER_MS),
  );
  return limit;
}
