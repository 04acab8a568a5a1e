import { AthanorError } from "../protocol/errors.ts";
import type { EncodedMedia } from "../schema/encode.ts";
import { isMediaRef } from "../schema/media.ts";
import { preferred } from "./accept.ts";
import type { HttpAnswer, HttpCaller, HttpRequestHead } from "./http-face.ts";
import { byteRange } from "./http-range.ts";
import { header } from "./http-request.ts";
import { withInlineMedia } from "./inline-media.ts";
import { encode, encodeNow, isParsed } from "./invoke.ts";
import type { LoadedApp, LoadedFunction } from "./load.ts";

type Headers = [string, string][];

const JSON_TYPE = "application/json";
const NDJSON_TYPE = "application/x-ndjson";
const SSE_TYPE = "text/event-stream";

/** A plain result: JSON, or the bytes of a media value for a client that would rather have those. */
export async function sendValue(p: {
  answer: HttpAnswer;
  open: HttpRequestHead;
  app: LoadedApp;
  fn: LoadedFunction;
  value: unknown;
}): Promise<void> {
  const encoded = isParsed(p.fn) ? await encode(p.app, p.fn, p.value) : encodeNow(p.app, p.fn, p.value);
  const media = isMediaRef(encoded.value) ? encoded.attachments[0] : undefined;
  if (media && preferred(header(p.open, "accept"), [JSON_TYPE, media.content_type]) !== JSON_TYPE)
    return sendMedia(p, media);
  const bytes = Buffer.from(JSON.stringify(withInlineMedia(encoded)));
  const headers: Headers = [
    ["content-type", JSON_TYPE],
    ["content-length", String(bytes.length)],
  ];
  if (media) headers.push(["vary", "accept"]);
  p.answer.head(200, headers);
  if (p.open.method !== "HEAD") await p.answer.body(bytes);
}

async function sendMedia(
  { answer, open }: { answer: HttpAnswer; open: HttpRequestHead },
  media: EncodedMedia,
): Promise<void> {
  const size = media.bytes.length;
  const headers: Headers = [
    ["content-type", media.content_type],
    ["content-disposition", `inline; filename*=UTF-8''${encodeRfc8187(media.file_name)}`],
    ["accept-ranges", "bytes"],
    ["vary", "accept"],
    ["x-content-type-options", "nosniff"],
  ];
  // An SVG opened as a page would run its scripts with the origin's rights.
  if (media.content_type === "image/svg+xml")
    headers.push(["content-security-policy", "sandbox; default-src 'none'; style-src 'unsafe-inline'"]);
  const range = open.method === "GET" ? byteRange(header(open, "range"), size) : null;
  if (range === "unsatisfiable") {
    answer.head(416, [
      ["content-range", `bytes */${size}`],
      ["content-length", "0"],
    ]);
    return;
  }
  const bytes = range ? media.bytes.subarray(range.from, range.to + 1) : media.bytes;
  if (range) headers.push(["content-range", `bytes ${range.from}-${range.to}/${size}`]);
  answer.head(range ? 206 : 200, [...headers, ["content-length", String(bytes.length)]]);
  if (open.method !== "HEAD") await answer.body(bytes);
}

function encodeRfc8187(text: string): string {
  return encodeURIComponent(text.toWellFormed()).replace(
    /['()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** A Response that the handler made passes as it is. */
export async function sendResponse(p: {
  answer: HttpAnswer;
  call: HttpCaller;
  open: HttpRequestHead;
  response: Response;
}): Promise<void> {
  const { answer, call, open, response } = p;
  if (response.status < 200 || response.status > 599)
    throw new Error(`The handler returned a Response with status ${response.status}`);
  answer.head(response.status, [...response.headers.entries()]);
  if (response.body === null) return;
  if (open.method === "HEAD") {
    // Not waited for: how the code ends a body that nobody asked for is no part of the answer.
    void response.body.cancel().catch(() => {});
    return;
  }
  const reader = (response.body as ReadableStream<unknown>).getReader();
  // A body that is long in coming would not see by itself that nobody waits for it.
  const stop = (reason: unknown) => void reader.cancel(reason).catch(() => {});
  call.onCancel(stop);
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    const bytes = bytesOf(read.value);
    if (bytes === null) {
      const error = new TypeError("The body of the handler's Response yields what is no Uint8Array");
      stop(error);
      throw error;
    }
    if (!(await answer.body(bytes))) return stop(call.cancelled);
  }
}

/** The standard knows bytes alone; frameworks that were made for Bun yield texts too. */
function bytesOf(chunk: unknown): Uint8Array | null {
  if (chunk instanceof Uint8Array) return chunk;
  return typeof chunk === "string" ? Buffer.from(chunk) : null;
}

/**
 * A generator's chunks as they come: a line of JSON each, or server-sent events for a client that asks for them (`data` a chunk each,
 * then `event: end` or `event: error`). The head waits for the first chunk, so that what is thrown before it is still an answer of its own.
 */
export async function sendStream(p: {
  answer: HttpAnswer;
  open: HttpRequestHead;
  app: LoadedApp;
  fn: LoadedFunction;
  chunks: AsyncIterable<unknown> | Iterable<unknown>;
  onError: (error: unknown) => void;
}): Promise<void> {
  const type = preferred(header(p.open, "accept"), [NDJSON_TYPE, SSE_TYPE]);
  const frame = type === SSE_TYPE ? (json: string) => `data: ${json}\n\n` : (json: string) => `${json}\n`;
  const headers: Headers = [
    ["content-type", type],
    ["cache-control", "no-store"],
    ["vary", "accept"],
    ["x-accel-buffering", "no"],
  ];
  let begun = false;
  const begin = () => {
    if (!begun) p.answer.head(200, headers);
    begun = true;
  };
  if (p.open.method === "HEAD") {
    begin();
    return;
  }
  try {
    for await (const chunk of p.chunks) {
      const text = frame(JSON.stringify(withInlineMedia(await encode(p.app, p.fn, chunk))));
      begin();
      if (!(await p.answer.body(Buffer.from(text)))) return;
    }
  } catch (error) {
    if (!begun || type !== SSE_TYPE) throw error;
    p.onError(error);
    const problem = new AthanorError(
      "handler_error",
      `${p.fn.spec.name} threw an error; its log says more`,
    ).toProblem();
    await p.answer.body(Buffer.from(`event: error\ndata: ${JSON.stringify(problem)}\n\n`));
    return;
  }
  begin();
  if (type === SSE_TYPE) await p.answer.body(Buffer.from("event: end\ndata: null\n\n"));
}
