import { AthanorError } from "../protocol/errors.ts";
import type { OpenHttp } from "../protocol/replica.ts";
import type { HttpCaller, HttpRequestHead } from "./http-face.ts";

/** Lower-case name; null where the request has no such header. */
export function header(open: HttpRequestHead, name: string): string | null {
  if (open.header !== undefined) return open.header(name);
  for (const [key, value] of open.headers) if (key === name) return value;
  return null;
}

const FORBIDDEN: ReadonlySet<string> = new Set(["CONNECT", "TRACE", "TRACK"]);
/** Of which the standard's Request can have no body; one that comes all the same is not read. */
const BODILESS: ReadonlySet<string> = new Set(["GET", "HEAD"]);

/** The Web-standard request of a call; `withBody`: its bytes, untouched and as they come. */
export function webRequest(open: OpenHttp, call: HttpCaller, withBody: boolean): Request {
  // The standard reads these in any case, and HTTP/2 lets a client write them so.
  const method = open.method.toUpperCase();
  if (FORBIDDEN.has(method))
    throw new AthanorError("method_not_allowed", `${open.method} is no method that the standard's Request may have`);
  const body =
    withBody && open.hasBody && !BODILESS.has(method)
      ? ReadableStream.from(limited(call.whole ? [call.whole] : call.input, open.maxBodyBytes))
      : null;
  return new Request(open.url, {
    method: open.method,
    headers:
      open.upgrade === null ? open.headers : [...open.headers, ["upgrade", open.upgrade], ["connection", "Upgrade"]],
    signal: call.signal,
    ...(body === null ? {} : { body, duplex: "half" }),
  });
}

async function* limited(
  body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  maxBytes: number,
): AsyncGenerator<Uint8Array, void, void> {
  let total = 0;
  for await (const bytes of body) {
    total += bytes.length;
    if (total > maxBytes) throw new AthanorError("body_too_large", `the body is over ${maxBytes} bytes`);
    if (bytes.length > 0) yield bytes;
  }
}
