import { SERVER_DEFAULTS } from "../../protocol/defaults.ts";
import { AthanorError } from "../../protocol/errors.ts";
import type { OpenHttp } from "../../protocol/replica.ts";
import { MAX_TIMER_MS } from "../alarm.ts";
import { endAnswer, writeWithBackPressure } from "../http/answer.ts";
import { acceptBody, arrivedBody, bodyStream } from "../http/body.ts";
import type { Exchange } from "../http/exchange.ts";
import type { HttpCall, RequestBody } from "../replicas/session.ts";
import type { Lease, Scheduler } from "../scheduler/scheduler.ts";
import { answerError, wrongLength } from "./answer.ts";
import { mayHaveBody, setAnswerHead } from "./headers.ts";
import { mayGoElsewhere } from "./retry.ts";
import type { EndpointRoute } from "./routes.ts";

/**
 * One exchange with a synchronous endpoint: the body goes to a replica as it comes, and its answer back as it comes.
 *
 *   waiting --a replica has room--> open --head and body--> done
 *   open --timeoutS is over--> CANCEL, 504 --the code goes on for the grace--> its replica is killed
 *   open --the client leaves--> CANCEL
 *   open --the replica dies--> waiting, where nothing was sent or the request may be made twice
 */
export async function callEndpoint(x: Exchange, p: EndpointCall): Promise<void> {
  const { route, scheduler } = p;
  const { deployment, fn } = route;
  // Before a replica is asked for: a body that is too large needs none.
  if ((x.contentLength ?? 0) > route.maxBodyBytes) acceptBody(x, route.maxBodyBytes);
  const kept: KeptBody = { body: null };
  for (let attempt = 1; ; attempt++) {
    const lease =
      scheduler.tryAcquire(deployment, fn) ?? (await scheduler.acquire({ deployment, fn, signal: x.signal }));
    x.replica = lease.session.id;
    let call: HttpCall | null = null;
    try {
      call = await openCall(x, lease, p, kept);
      if (call === null) return;
      await exchange(x, lease, call, fn.timeoutS);
      return;
    } catch (error) {
      const sent = call === null ? "nothing" : x.hasBody ? "body" : "head";
      if (!mayGoElsewhere(x, { attempt, sent, error })) throw answerError(error);
    }
  }
}

export interface EndpointCall {
  scheduler: Scheduler;
  route: EndpointRoute;
  message: (hasBody: boolean) => OpenHttp;
}

async function exchange(x: Exchange, lease: Lease, call: HttpCall, timeoutS: number): Promise<void> {
  const timer = new TimeLimit(call, lease, timeoutS);
  const left = (): void => {
    if (!x.res.writableFinished) call.cancel("disconnected");
  };
  x.res.once("close", left);
  void call.closed.then(() => {
    timer.clear();
    lease.release();
  });
  try {
    await passAnswer(x, call);
  } catch (error) {
    call.cancel("disconnected");
    x.res.off("close", left);
    throw error;
  }
}

/** Read from the connection once, for whichever replica it goes to. */
export interface KeptBody {
  body: RequestBody;
}

/** Null: the client has left, which its answer will not say again. */
async function openCall(x: Exchange, lease: Lease, p: EndpointCall, kept: KeptBody): Promise<HttpCall | null> {
  try {
    acceptBody(x, p.route.maxBodyBytes);
    if (!x.hasBody) return lease.session.openHttp(p.message(false), null);
    kept.body ??= (await arrivedBody(x)) ?? bodyStream(x);
    if (x.res.closed) {
      lease.release();
      return null;
    }
    return lease.session.openHttp(p.message(true), kept.body);
  } catch (error) {
    lease.release();
    throw error;
  }
}

async function passAnswer(x: Exchange, call: HttpCall): Promise<void> {
  const head = await call.head;
  const { res } = x;
  if (res.headersSent || res.destroyed) {
    call.cancel("disconnected");
    return;
  }
  const whole = call.whole();
  if (whole !== null) {
    const declared = head.headers.find(([name]) => name === "content-length")?.[1];
    if (declared !== undefined && Number(declared) !== whole.length && mayHaveBody(x, head.status)) throw wrongLength();
    setAnswerHead(x, head, true);
    endAnswer(x, whole);
    return;
  }
  // The head leaves with the first bytes, or by itself where those are long in coming.
  const flush = setImmediate(() => {
    if (res.headersSent || res.destroyed) return;
    setAnswerHead(x, head, false);
    res.flushHeaders();
  });
  try {
    for await (const chunk of call.body) {
      if (!res.headersSent) setAnswerHead(x, head, false);
      if (!(await writeWithBackPressure(res, chunk, x.signal))) return;
    }
  } finally {
    clearImmediate(flush);
  }
  if (!res.headersSent) setAnswerHead(x, head, false);
  endAnswer(x);
}

/** Runs until the replica is done with the call, also when the client has gone: code that does not heed its signal must end some time. */
class TimeLimit {
  #timer: NodeJS.Timeout;

  constructor(call: HttpCall, lease: Lease, timeoutS: number) {
    const over = (): void => {
      call.cancel("timeout", new AthanorError("timeout", `the function did not answer within ${timeoutS} s`));
      lease.session.probe();
      this.#timer = setTimeout(() => void lease.session.kill(), SERVER_DEFAULTS.cancelGraceMs);
    };
    this.#timer = setTimeout(over, Math.min(timeoutS * 1000, MAX_TIMER_MS));
  }

  clear(): void {
    clearTimeout(this.#timer);
  }
}
