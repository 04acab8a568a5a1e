import { AthanorError } from "../../protocol/errors.ts";
import type { Exchange } from "../http/exchange.ts";
import { eachRequestHeader, type ForwardedRequest, HOP_BY_HOP } from "./headers.ts";

/** How the request's body goes on: its length is known, or it is sent in chunks. */
export type BodyFraming = "none" | "length" | "chunked";

export interface HopRequest {
  head: string;
  framing: BodyFraming;
}

/** What could be read as the end of the target by one and not by another; a request over HTTP/2 may hold it. */
const TARGET = /^\/[\x21-\x7e\x80-\xff]*$/;
const METHOD = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const BEYOND_LATIN1 = /[^\0-\xff]/;

/** The request as the service gets it: over HTTP/1.1, on one of the gateway's own connections. `path` is undecoded. Throws bad_request. */
export function hopRequest(x: Exchange, p: { path: string; forwarded: ForwardedRequest }): HopRequest {
  const target = x.search === "" ? p.path : `${p.path}?${x.search}`;
  if (!TARGET.test(target) || !METHOD.test(x.method))
    throw new AthanorError("bad_request", "the request's method or target has a character that is not allowed there");
  let head = `${x.method} ${target} HTTP/1.1\r\nhost: ${p.forwarded.host}\r\n`;
  eachRequestHeader(x, p.forwarded, (name, value) => {
    if (name !== "host") head += `${name}: ${value}\r\n`;
  });
  const framing = x.hasBody ? (x.contentLength === null ? "chunked" : "length") : "none";
  if (framing === "chunked") {
    head += "transfer-encoding: chunked\r\n";
    const trailer = x.header("trailer");
    if (trailer !== undefined) head += `trailer: ${trailer}\r\n`;
  }
  if (x.upgrade !== null) head += "connection: upgrade\r\nupgrade: websocket\r\n";
  else if (/(?:^|,)\s*trailers\s*(?:,|;|$)/i.test(x.header("te") ?? "")) head += "te: trailers\r\nconnection: te\r\n";
  // Written byte for byte, a character beyond would become another one.
  if (BEYOND_LATIN1.test(head))
    throw new AthanorError("bad_request", "the request's headers hold a character that HTTP/1.1 cannot carry");
  return { head: `${head}\r\n`, framing };
}

/** Fields that say how a message is framed, or whom it is for, may not come after it (RFC 9110, 6.5.1). */
const NOT_IN_TRAILERS: ReadonlySet<string> = new Set([
  ...HOP_BY_HOP,
  "content-length",
  "content-encoding",
  "content-type",
  "content-range",
  "host",
  "authorization",
  "set-cookie",
  "x-request-id",
]);

export function mayTrail(name: string): boolean {
  return !NOT_IN_TRAILERS.has(name) && !name.startsWith("x-forwarded-");
}

/** The client's trailers; empty until the body has ended. */
export function requestTrailers(x: Exchange): [string, string][] {
  const raw = x.req.rawTrailers;
  const trailers: [string, string][] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = (raw[i] as string).toLowerCase();
    if (mayTrail(name)) trailers.push([name, raw[i + 1] as string]);
  }
  return trailers;
}
