import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest } from "node:http2";
import type { TLSSocket } from "node:tls";
import { HTTP_DEFAULTS } from "../../protocol/defaults.ts";
import { AthanorError } from "../../protocol/errors.ts";
import { peerAddress } from "./proxies.ts";
import { StreamUpgrade } from "./stream-upgrade.ts";
import { type RequestTarget, readHost, readTarget } from "./target.ts";
import { type Trace, traceOf } from "./trace.ts";
import type { Upgrade } from "./upgrade.ts";

const SERVER_WIDE: RequestTarget = { rawPath: "*", path: "*", search: "", authority: null };

/** What is measured of an exchange that is to be logged. */
export interface Measure {
  startedAt: number;
  firstByteAt: number | null;
  readBefore: number;
  writtenBefore: number;
  /** Of an answer over HTTP/2, whose connection bears others too. */
  bodyBytes: number;
}

/**
 * One HTTP request and its answer, as every part of the server sees it. Those of HTTP/2 are Node's compatible classes, which have all that the
 * server's parts use of these types, `socket` aside.
 */
export class Exchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  /** The client's, where it sent a plausible one. */
  readonly requestId: string;
  readonly method: string;
  /** Decoded but for `%2F` and `%5C`; begins with `/`, or is `*`: OPTIONS of the server as a whole. */
  readonly path: string;
  /** As the client wrote it. */
  readonly rawPath: string;
  /** Without `?`; undecoded. */
  readonly search: string;
  /** Lower case, with the port where one was given; empty where the client sent none. */
  readonly host: string;
  /** What is Node's of HTTP/1 alone, `req.socket` above all, is not to be used then. */
  readonly isHttp2: boolean;
  /** The client asks to switch to WebSocket; null: it does not. */
  readonly upgrade: Upgrade | StreamUpgrade | null;
  /** For the access log: who answers, when it began, what is measured of it, and the code of what went wrong. */
  served: { app: string; function: string; deployment: string } | null = null;
  replica: string | null = null;
  startedAt = 0;
  measure: Measure | null = null;
  /** Of a connection that another process has by now: what it has borne in all, where that is known. */
  carried: { bytesIn: number | null; bytesOut: number | null } | null = null;
  failure: string | null = null;
  #peer: string | null = null;
  #trace: Trace | null = null;
  #disconnected: AbortController | null = null;

  /** Throws bad_request, uri_too_long, header_too_large, method_not_allowed. */
  constructor(req: IncomingMessage, res: ServerResponse, upgrade: Upgrade | StreamUpgrade | null = null) {
    this.req = req;
    this.res = res;
    this.upgrade = upgrade;
    this.requestId = requestIdOf(req.headers["x-request-id"]);
    // HTTP/2 asks by CONNECT for what HTTP/1.1, and so the service, is asked by GET.
    this.method = upgrade instanceof StreamUpgrade ? "GET" : (req.method ?? "GET");
    this.isHttp2 = isHttp2(req);
    checkHead(req, this.isHttp2);
    const target = isServerWide(req) ? SERVER_WIDE : readTarget(req.url ?? "/");
    this.path = target.path;
    this.rawPath = target.rawPath;
    this.search = target.search;
    const authority = this.isHttp2 ? authorityOf(req) : target.authority;
    if (req.headers.host === undefined && authority === null && req.httpVersion !== "1.0")
      throw bad("the Host header is missing");
    this.host = readHost({ host: req.headers.host, authority });
  }

  /** It came over TLS. */
  get isSecure(): boolean {
    return this.isHttp2 || (this.req.socket as Partial<TLSSocket>).encrypted === true;
  }

  get query(): URLSearchParams {
    return new URLSearchParams(this.search);
  }

  /** The address at the other end of the connection. A connection that is gone has none, so whoever needs it then asks once before. */
  get peer(): string {
    this.#peer ??= peerAddress(this.req.socket);
    return this.#peer;
  }

  get trace(): Trace {
    this.#trace ??= traceOf({ traceparent: this.header("traceparent"), tracestate: this.header("tracestate") });
    return this.#trace;
  }

  header(name: string): string | undefined {
    const value = this.req.headers[name];
    return Array.isArray(value) ? value.join(", ") : value;
  }

  /** The declared length of the body; null where it is not declared. */
  get contentLength(): number | null {
    const text = this.req.headers["content-length"];
    return text === undefined ? null : Number(text);
  }

  get hasBody(): boolean {
    if (this.upgrade !== null) return false;
    if (this.isHttp2) return !(this.req as unknown as Http2ServerRequest).stream.endAfterHeaders;
    return this.req.headers["transfer-encoding"] !== undefined || (this.contentLength ?? 0) > 0;
  }

  /** Aborted when the client leaves before the answer is complete. */
  get signal(): AbortSignal {
    if (this.#disconnected === null) {
      const controller = new AbortController();
      this.#disconnected = controller;
      const { res } = this;
      const left = (): void => {
        if (!res.writableFinished) controller.abort();
      };
      if (res.closed) left();
      else res.once("close", left);
    }
    return this.#disconnected.signal;
  }
}

const bad = (detail: string): AthanorError => new AthanorError("bad_request", detail);

const isServerWide = (req: IncomingMessage): boolean => req.url === "*" && req.method === "OPTIONS";

/** Node's requests of HTTP/2 are told by their stream; a line of HTTP/1 may claim any version. */
const isHttp2 = (req: object): boolean => (req as { stream?: unknown }).stream !== undefined;

/** What HTTP/2 has in the place of the Host header. */
const authorityOf = (req: IncomingMessage): string | null => (req.headers[":authority"] as string | undefined) ?? null;

function requestIdOf(given: string | string[] | undefined): string {
  return typeof given === "string" && /^[\w.:-]{1,100}$/.test(given) ? given : randomUUID();
}

/** Fields that a request has once, if at all, by the length of their names; with two of them, two programs may each heed another. */
const SINGLE: readonly (string | null)[] = Array.from(
  { length: 14 },
  (_, length) => ["host", "content-type", "authorization"].find((name) => name.length === length) ?? null,
);

/** What Node's parser lets by, and another program beside this one may read otherwise. Throws bad_request, header_too_large, expectation_failed, method_not_allowed. */
function checkHead(req: IncomingMessage, http2: boolean): void {
  const { rawHeaders, headers, httpVersion } = req;
  if (rawHeaders.length > 2 * HTTP_DEFAULTS.maxHeaders)
    throw new AthanorError("header_too_large", `the request has over ${HTTP_DEFAULTS.maxHeaders} header fields`);
  if (httpVersion !== "1.1" && httpVersion !== "1.0" && !http2) throw bad(`the request is of HTTP/${httpVersion}`);
  let seen = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const field = rawHeaders[i] as string;
    const name = SINGLE[field.length] ?? null;
    if (name === null || field.toLowerCase() !== name) continue;
    if ((seen & (1 << field.length)) !== 0) throw bad(`the header ${name} is there twice`);
    seen |= 1 << field.length;
  }
  const coding = headers["transfer-encoding"];
  if (coding !== undefined) {
    if (httpVersion !== "1.1") throw bad(`Transfer-Encoding is not of HTTP/${httpVersion}`);
    if (coding.toLowerCase() !== "chunked")
      throw bad("Transfer-Encoding is not `chunked`, the one coding that this server takes");
  }
  const length = headers["content-length"];
  if (length !== undefined && !Number.isSafeInteger(Number(length)))
    throw bad("Content-Length is no length that can be");
  const { expect } = headers;
  if (expect !== undefined && httpVersion !== "1.0" && !/^100-continue$/i.test(expect))
    throw new AthanorError("expectation_failed", `the request expects ${JSON.stringify(expect.slice(0, 100))}`);
  if (req.method === "TRACE")
    throw new AthanorError("method_not_allowed", "this server takes no TRACE, which would echo the request's secrets");
}
