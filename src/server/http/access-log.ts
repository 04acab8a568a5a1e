import type { IncomingMessage, ServerResponse } from "node:http";
import type { AthanorError } from "../../protocol/errors.ts";
import type { Log } from "../log.ts";
import type { Exchange, Measure } from "./exchange.ts";
import { peerAddress, type TrustedProxies } from "./proxies.ts";

const MAX_AGENT_CHARS = 200;
const MAX_PATH_CHARS = 1000;

/**
 * A line in the server's log for each exchange of a share of all, and for each that failed by the server's or a function's fault. It holds no
 * query, no header but the user agent, and no body: those may bear secrets.
 */
export class AccessLog {
  readonly #log: Log;
  readonly #share: number;
  readonly #proxies: TrustedProxies;

  constructor(p: { log: Log; share: number; proxies: TrustedProxies }) {
    this.#log = p.log;
    this.#share = p.share;
    this.#proxies = p.proxies;
  }

  begin(x: Exchange): void {
    x.startedAt = performance.now();
    const isMeasured = this.#share === 1 || Math.random() < this.#share;
    if (isMeasured) x.measure = measure(x);
    if (isMeasured || x.isHttp2) void x.peer;
  }

  /** Its answer is complete, or its client has gone. */
  end(x: Exchange): void {
    if (x.measure === null && x.res.statusCode < 500 && x.failure === null) return;
    const { res, served, measure: m } = x;
    const status = statusOf(res);
    // Of a WebSocket nobody but its two ends knows whether it was over.
    const isSwitched = status === 101 || (x.isHttp2 && x.upgrade !== null && status === 200);
    const complete = res.writableFinished || isSwitched;
    this.#log.info(
      {
        request_id: x.requestId,
        trace_id: x.trace.traceId,
        method: x.method,
        host: x.host,
        path: x.rawPath.slice(0, MAX_PATH_CHARS),
        ...(served && { app: served.app, function: served.function || undefined, deployment: served.deployment }),
        ...(x.replica !== null && { replica: x.replica }),
        status,
        outcome: x.failure ?? (complete ? "ok" : "client_gone"),
        duration_ms: milliseconds(performance.now() - x.startedAt),
        ...(m && measured(x, m)),
        client: this.#proxies.clientOf(x.peer, x.header("x-forwarded-for")),
        user_agent: (x.header("user-agent") ?? "").slice(0, MAX_AGENT_CHARS),
        http: x.req.httpVersion,
      },
      `${x.method} ${x.rawPath.slice(0, MAX_PATH_CHARS)} ${status ?? "-"}`,
    );
  }

  /** One that became no exchange; `req` is null where its bytes were no request. */
  refused(p: {
    req: IncomingMessage | null;
    socket: { remoteAddress?: string | undefined };
    error: AthanorError;
  }): void {
    if (this.#share === 0 || (this.#share < 1 && Math.random() >= this.#share)) return;
    const { req, error } = p;
    this.#log.info(
      { ...(req && { method: req.method }), status: error.status, outcome: error.code, client: peerAddress(p.socket) },
      `refused ${error.status}: ${error.detail}`,
    );
  }
}

const milliseconds = (ms: number): number => Math.round(ms * 100) / 100;

/** Null: the client left before it got one. */
const statusOf = (res: ServerResponse): number | null =>
  res.headersSent || res.statusCode !== 200 ? res.statusCode : null;

function measure(x: Exchange): Measure {
  const { res } = x;
  const m: Measure = {
    startedAt: x.startedAt,
    firstByteAt: null,
    readBefore: x.isHttp2 ? 0 : x.req.socket.bytesRead,
    writtenBefore: x.isHttp2 ? 0 : x.req.socket.bytesWritten,
    bodyBytes: 0,
  };
  const { writeHead } = res;
  res.writeHead = function (this: ServerResponse, ...args: Parameters<typeof writeHead>) {
    m.firstByteAt ??= performance.now();
    return writeHead.apply(this, args);
  } as typeof writeHead;
  if (x.isHttp2) countBody(res, m);
  return m;
}

function countBody(res: ServerResponse, m: Measure): void {
  for (const name of ["write", "end"] as const) {
    const original = res[name] as (...args: unknown[]) => unknown;
    res[name] = function (this: ServerResponse, ...args: unknown[]) {
      const [chunk, encoding] = args;
      if (typeof chunk === "string") m.bodyBytes += Buffer.byteLength(chunk, encoding as BufferEncoding | undefined);
      else if (chunk instanceof Uint8Array) m.bodyBytes += chunk.length;
      m.firstByteAt ??= performance.now();
      return original.apply(this, args);
    } as never;
  }
}

/** Of HTTP/1.1, bytes of the connection: the answer's with its head, the request's past the part that came with its head. */
function measured(x: Exchange, m: Measure): object {
  const { socket } = x.req;
  const { bytesIn, bytesOut } = x.carried ?? { bytesIn: socket.bytesRead, bytesOut: socket.bytesWritten };
  return {
    ...(m.firstByteAt !== null && { ttfb_ms: milliseconds(m.firstByteAt - m.startedAt) }),
    bytes_in: x.contentLength ?? (x.isHttp2 || bytesIn === null ? null : bytesIn - m.readBefore),
    bytes_out: x.isHttp2 ? m.bodyBytes : bytesOut === null ? null : bytesOut - m.writtenBefore,
  };
}
