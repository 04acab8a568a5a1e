import { AthanorError } from "../protocol/errors.ts";
import type { OpenHttp } from "../protocol/replica.ts";
import type { Call } from "./call.ts";

/** Lower-case name; null where the request has no such header. */
export function header(open: OpenHttp, name: string): string | null {
  for (const [key, value] of open.headers) if (key === name) return value;
  return null;
}

/** The Web-standard request of a call; `withBody`: its bytes, untouched and as they come. */
export function webRequest(open: OpenHttp, call: Call, withBody: boolean): Request {
  const body = withBody && open.hasBody ? ReadableStream.from(limited(call.input, open.maxBodyBytes)) : null;
  return new Request(open.url, {
    method: open.method,
    headers: open.headers,
    signal: call.signal,
    ...(body === null ? {} : { body, duplex: "half" }),
  });
}

async function* limited(body: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<Uint8Array, void, void> {
  let total = 0;
  for await (const bytes of body) {
    total += bytes.length;
    if (total > maxBytes) throw new AthanorError("body_too_large", `the body is over ${maxBytes} bytes`);
    if (bytes.length > 0) yield bytes;
  }
}
