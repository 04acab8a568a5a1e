import type { Http2ServerResponse } from "node:http2";
import { AthanorError } from "../../protocol/errors.ts";
import { toAthanorError } from "../http/answer.ts";
import type { Exchange } from "../http/exchange.ts";
import { HOP_BY_HOP, isFit, UNFIT } from "./headers.ts";
import { mayTrail } from "./hop-request.ts";

type Pairs = readonly [string, string][];

/** Said by the gateway alone where the service has a `cors` option. */
const CORS = /^access-control-(?:allow-origin|allow-credentials|expose-headers)$/;

export interface PassedHead {
  status: number;
  headers: Pairs;
  /** The body comes in chunks, and trailers may follow it. */
  chunked: boolean;
}

/** Sets the head of a service's answer; it leaves with the first bytes, or by `flushHeaders`. `ownCors`: the gateway has said who may read it. */
export function beginAnswer(x: Exchange, head: PassedHead, ownCors: boolean): void {
  const { res } = x;
  const flat: string[] = [];
  for (const [name, value] of passedHeaders(head.headers)) {
    if (ownCors && CORS.test(name)) continue;
    if (name === "content-length" && (head.chunked || head.status === 204)) continue;
    flat.push(name, value);
  }
  if (head.chunked && mayHaveTrailers(x)) {
    const trailer = head.headers.find(([name]) => name === "trailer");
    if (trailer) flat.push(...trailer);
  }
  if (!x.isHttp2 && res.getHeaderNames().length === 0) {
    flat.push("x-request-id", x.requestId);
    res.writeHead(head.status, flat);
    return;
  }
  for (let i = 0; i < flat.length; i += 2) res.appendHeader(flat[i] as string, flat[i + 1] as string);
  res.setHeader("x-request-id", x.requestId);
  res.writeHead(head.status);
}

/** Without what belongs to one connection, and what HTTP cannot carry. */
export function passedHeaders(headers: Pairs): [string, string][] {
  const named = connectionTokens(headers);
  const passed: [string, string][] = [];
  let hasLength = false;
  for (const [name, value] of headers) {
    if (HOP_BY_HOP.has(name) || name === "x-request-id" || named?.has(name) === true) continue;
    if (!isFit(name, value, hasLength)) continue;
    hasLength ||= name === "content-length";
    passed.push([name, value]);
  }
  return passed;
}

function connectionTokens(headers: Pairs): Set<string> | null {
  let named: Set<string> | null = null;
  for (const [name, value] of headers) {
    if (name !== "connection" || value === "keep-alive" || value === "close") continue;
    named ??= new Set();
    for (const token of value.split(",")) named.add(token.trim().toLowerCase());
  }
  return named;
}

/** In HTTP/1.0, and where no body follows, there is no place for them. */
function mayHaveTrailers(x: Exchange): boolean {
  return x.req.httpVersion !== "1.0" && x.method !== "HEAD";
}

/** Call before the answer is ended. */
export function addTrailers(x: Exchange, trailers: Pairs): void {
  const passed = trailers.filter(([name, value]) => mayTrail(name) && !UNFIT.test(value));
  if (passed.length === 0 || !mayHaveTrailers(x)) return;
  if (!x.isHttp2) {
    x.res.addTrailers(passed as [string, string][]);
    return;
  }
  // Node takes a name once, and of some names one value alone; it says so where nobody could catch it.
  const joined = new Map<string, string>();
  for (const [name, value] of passed) joined.set(name, joined.has(name) ? `${joined.get(name)}, ${value}` : value);
  x.res.addTrailers(Object.fromEntries(joined));
}

/** A head that comes before the answer's own: early hints. Clients of HTTP/1.0 know none. */
export function passInformation(x: Exchange, status: number, headers: Pairs): void {
  const { res, req } = x;
  // The gateway itself has said 100 when it began to read the body.
  if (status === 100 || res.headersSent || req.httpVersion === "1.0") return;
  const passed: Record<string, string[]> = {};
  for (const [name, value] of passedHeaders(headers))
    if (name !== "content-length") passed[name] = [...(passed[name] ?? []), value];
  if (!x.isHttp2) res.writeInformation?.(status, passed);
  else if (status === 103) addHints(res as unknown as Http2ServerResponse, passed);
}

/** What Node refuses of them is left out: a hint may not fail the answer. */
function addHints(res: Http2ServerResponse, headers: Record<string, string[]>): void {
  const joined = Object.entries(headers).map(([name, values]) => [name, values.join(", ")]);
  try {
    if (!res.stream.destroyed) res.stream.additionalHeaders({ ":status": 103, ...Object.fromEntries(joined) });
  } catch {}
}

/** Node checks the length of a body that was declared, where it is asked to: one of another length would run into the connection's next answer. */
export function answerError(thrown: unknown): AthanorError {
  if ((thrown as NodeJS.ErrnoException).code !== "ERR_HTTP_CONTENT_LENGTH_MISMATCH") return toAthanorError(thrown);
  return wrongLength();
}

export function wrongLength(): AthanorError {
  return new AthanorError("answer_invalid", "the answer's body is not of the length that its Content-Length says");
}
