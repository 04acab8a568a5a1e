import type { IncomingMessage, ServerResponse } from "node:http";
import type { Exchange } from "../http/exchange.ts";

/** Belong to one connection, not to the message (RFC 9110, 7.6.1), and the framing, which each hop has of its own. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "expect",
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
]);

/** What the function sees: the client's own headers, and where the request came from. */
export function requestHeaders(
  x: Exchange,
  p: { scheme: string; host: string; prefix: string; behindProxy: boolean; hideAuthorization: boolean },
): [string, string][] {
  const headers: [string, string][] = [];
  const named = connectionTokens(x.req);
  const raw = x.req.rawHeaders;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = (raw[i] as string).toLowerCase();
    if (HOP_BY_HOP.has(name) || FORWARDED.has(name) || named?.has(name) === true) continue;
    // The server's own token opened the endpoint; it is not the function's to see.
    if (p.hideAuthorization && name === "authorization") continue;
    headers.push([name, raw[i + 1] as string]);
  }
  headers.push(
    ["x-forwarded-for", forwardedFor(x, p.behindProxy)],
    ["x-forwarded-host", p.host],
    ["x-forwarded-proto", p.scheme],
    ["x-forwarded-prefix", p.prefix],
    ["x-request-id", x.requestId],
  );
  return headers;
}

/** Headers that the Connection header names go no further either. */
function connectionTokens(req: IncomingMessage): Set<string> | null {
  const connection = req.headers.connection;
  if (connection === undefined || connection === "keep-alive" || connection === "close") return null;
  return new Set(connection.split(",").map((token) => token.trim().toLowerCase()));
}

/** Behind a proxy (a public URL is set) the addresses that it added are kept. */
function forwardedFor(x: Exchange, behindProxy: boolean): string {
  const peer = x.req.socket.remoteAddress ?? "";
  const given = x.header("x-forwarded-for");
  return behindProxy && given !== undefined ? `${given}, ${peer}` : peer;
}

/** Sets the head of the function's answer, which leaves with the first bytes. A header that HTTP cannot carry is left out. */
export function setAnswerHead(x: Exchange, head: { status: number; headers: [string, string][] }): void {
  const { res } = x;
  res.statusCode = head.status;
  for (const [name, value] of head.headers) {
    if (HOP_BY_HOP.has(name) || name === "x-request-id") continue;
    try {
      appendHeader(res, name, value);
    } catch {
      // A name or value with characters that are not allowed there.
    }
  }
  res.setHeader("x-request-id", x.requestId);
}

function appendHeader(res: ServerResponse, name: string, value: string): void {
  if (name === "set-cookie" || (name === "vary" && res.hasHeader(name))) res.appendHeader(name, value);
  else res.setHeader(name, value);
}
