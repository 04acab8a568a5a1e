import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Exchange } from "../http/exchange.ts";
import type { TrustedProxies } from "../http/proxies.ts";

/** Belong to one connection, not to the message (RFC 9110, 7.6.1), and the framing, which each hop has of its own. */
export const HOP_BY_HOP: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "http2-settings",
  "expect",
]);

/** Read by everyone on the way, so a client cannot have them left out by naming them in its Connection header. */
const NEVER_DROPPED: ReadonlySet<string> = new Set([
  "host",
  "content-length",
  "content-type",
  "content-encoding",
  "authorization",
  "cookie",
  "cache-control",
  "origin",
]);

/** Said by this server alone; what a client sends under these names is not believed. */
const FORWARDED: ReadonlySet<string> = new Set([
  "forwarded",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-proto",
  "x-forwarded-prefix",
  "x-real-ip",
  "x-request-id",
  "traceparent",
  "tracestate",
  // A CGI program reads it as the variable HTTP_PROXY, and sends its own requests there.
  "proxy",
]);

export interface ForwardedRequest {
  scheme: string;
  host: string;
  prefix: string;
  proxies: TrustedProxies;
  hideAuthorization: boolean;
}

/** What the function sees: the client's own headers, and where the request came from. */
export function requestHeaders(x: Exchange, p: ForwardedRequest): [string, string][] {
  const headers: [string, string][] = [];
  eachRequestHeader(x, p, (name, value) => headers.push([name, value]));
  return headers;
}

/** Names in lower case. */
export function eachRequestHeader(x: Exchange, p: ForwardedRequest, add: (name: string, value: string) => void): void {
  const named = connectionTokens(x.req);
  const raw = x.req.rawHeaders;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = (raw[i] as string).toLowerCase();
    if (x.isHttp2 && isOwnOfHttp2(name)) continue;
    if (HOP_BY_HOP.has(name) || FORWARDED.has(name) || named?.has(name) === true) continue;
    // To what keeps headers as CGI variables, `X_Forwarded_For` is the same as `X-Forwarded-For`.
    if (name.includes("_") && FORWARDED.has(name.replaceAll("_", "-"))) continue;
    // The server's own token opened the endpoint; it is not the function's to see.
    if (p.hideAuthorization && name === "authorization") continue;
    add(name, raw[i + 1] as string);
  }
  if (x.isHttp2) addForHttp2(x, add);
  add("x-forwarded-for", p.proxies.chainOf(x.peer, x.header("x-forwarded-for")));
  add("x-forwarded-host", p.host);
  add("x-forwarded-proto", p.scheme);
  add("x-forwarded-prefix", p.prefix);
  add("x-request-id", x.requestId);
  const { traceparent, tracestate } = x.trace;
  add("traceparent", traceparent);
  if (tracestate !== null) add("tracestate", tracestate);
}

/** HTTP/2 has the host in `:authority`, and cookies in as many fields as there are. */
const isOwnOfHttp2 = (name: string): boolean =>
  name.startsWith(":") || name === "host" || name === "cookie" || name === "sec-websocket-key";

function addForHttp2(x: Exchange, add: (name: string, value: string) => void): void {
  add("host", x.host);
  // There is none in HTTP/2, and services speak HTTP/1.1.
  if (x.upgrade !== null) add("sec-websocket-key", randomBytes(16).toString("base64"));
  const { cookie } = x.req.headers;
  if (cookie !== undefined) add("cookie", cookie);
}

/** Headers that the Connection header names go no further either. */
function connectionTokens(req: IncomingMessage): Set<string> | null {
  const connection = req.headers.connection;
  if (connection === undefined || connection === "keep-alive" || connection === "close") return null;
  const tokens = connection.split(",").map((token) => token.trim().toLowerCase());
  return new Set(tokens.filter((token) => !NEVER_DROPPED.has(token)));
}

/** What no header's value may hold; a name is a token of letters, as the replica's messages are checked for. */
export const UNFIT = /[^\t\x20-\x7e\x80-\xff]/;
const LENGTH = /^\d+$/;

/** A header that HTTP can carry. `hasLength`: there was one before; two of them would let the client choose where the answer ends. */
export function isFit(name: string, value: string, hasLength: boolean): boolean {
  if (UNFIT.test(value)) return false;
  return name !== "content-length" || (!hasLength && LENGTH.test(value));
}

/**
 * Sets the head of the function's answer, which leaves with the first bytes. A header that HTTP cannot carry is left out. `whole`: the body is
 * there, and of the length that the head says; else Node counts it, and then takes two writes for what is one.
 */
export function setAnswerHead(
  x: Exchange,
  head: { status: number; headers: [string, string][] },
  whole: boolean,
): void {
  const { res } = x;
  const flat: string[] = [];
  let hasLength = false;
  for (const [name, value] of head.headers) {
    if (HOP_BY_HOP.has(name) || name === "x-request-id" || !isFit(name, value, hasLength)) continue;
    hasLength ||= name === "content-length";
    flat.push(name, value);
  }
  flat.push("x-request-id", x.requestId);
  res.strictContentLength = !whole && hasLength && mayHaveBody(x, head.status);
  // Headers that the gateway has set itself, as CORS needs them, stand before those of the answer; Vary may have values of both.
  if (res.hasHeader("vary")) appendTo(res, "vary", flat);
  res.writeHead(head.status, flat);
}

export const mayHaveBody = (x: Exchange, status: number): boolean =>
  x.method !== "HEAD" && status !== 204 && status !== 304;

function appendTo(res: ServerResponse, name: string, flat: string[]): void {
  const own = String(res.getHeader(name));
  const at = flat.findIndex((entry, index) => index % 2 === 0 && entry === name);
  if (at >= 0) flat[at + 1] = `${own}, ${flat[at + 1]}`;
}
