import { request as httpRequest, type IncomingMessage } from "node:http";
import { type Duplex, duplexPair, Readable } from "node:stream";
import type { ReadableStream as NodeReadableStream } from "node:stream/web";
import type { Json } from "../protocol/json.ts";
import type { ImageFile } from "../sdk/media.ts";
import { MEDIA, type MediaContent } from "../sdk/media.ts";
import type { TestHost } from "./host.ts";

type Body = string | Uint8Array | Blob | FormData | URLSearchParams | ReadableStream;

/** A field of a form; a Blob, bytes or an image is a file. */
export type FormValue = string | number | boolean | Blob | Uint8Array | ImageFile;

export interface CallInit {
  /** Default: the endpoint's own; else GET, or POST where there is a body. */
  method?: string;
  /** Added to the path's own. */
  query?: Record<string, string | number | boolean | readonly (string | number | boolean)[] | undefined>;
  headers?: Headers | Record<string, string> | [string, string][];
  /** Sent as JSON. */
  json?: unknown;
  /** Sent as multipart/form-data. */
  form?: FormData | Record<string, FormValue | readonly FormValue[]>;
  /** Sent as it is. */
  body?: Body;
  /** Sent as `Authorization: Bearer`. */
  token?: string;
  signal?: AbortSignal;
}

const ORIGIN = "http://localhost";
/** Of which a Response can have no body. */
const BODILESS: ReadonlySet<number> = new Set([101, 204, 205, 304]);

/** Node's own client and server, with a pair of streams between them in place of a connection. */
export async function request(host: TestHost, path: string, init: CallInit): Promise<Response> {
  const url = new URL(path, ORIGIN);
  for (const [name, value] of Object.entries(init.query ?? {}))
    for (const item of value === undefined ? [] : [value].flat()) url.searchParams.append(name, String(item));
  const body = bodyOf(init);
  const method = init.method ?? methodAt(host, url.pathname, body !== undefined);
  const web = new Request(url, {
    method,
    headers: headersOf(init),
    ...(body === undefined ? {} : { body, duplex: "half" }),
  } as RequestInit);
  const [client, server] = duplexPair();
  host.server.emit("connection", server);
  const answer = await send(web, url, client, init.signal);
  const headers = Object.entries(answer.headersDistinct).flatMap(([name, values]) =>
    (values ?? []).map((value): [string, string] => [name, value]),
  );
  // An end of the pair that is destroyed leaves the other half open: the server must be told, as by a network.
  answer.once("close", () => answer.complete || server.destroy());
  const status = answer.statusCode ?? 500;
  // What is not read ends with the stream that it comes from, which holds nothing.
  const content = BODILESS.has(status) || method === "HEAD" ? null : (Readable.toWeb(answer) as ReadableStream);
  if (content === null) answer.resume();
  return new Response(content, { status, statusText: answer.statusMessage ?? "", headers });
}

function send(web: Request, url: URL, connection: Duplex, signal: AbortSignal | undefined): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest({
      createConnection: () => connection,
      method: web.method,
      path: `${url.pathname}${url.search}`,
      headers: { host: url.host, ...Object.fromEntries(web.headers), connection: "close" },
      ...(signal === undefined ? {} : { signal }),
    });
    outgoing.once("response", resolve);
    outgoing.once("error", reject);
    if (web.body === null) outgoing.end();
    else
      Readable.fromWeb(web.body as NodeReadableStream)
        .once("error", (error) => outgoing.destroy(error))
        .pipe(outgoing);
  });
}

function methodAt(host: TestHost, path: string, hasBody: boolean): string {
  const { functions } = host.app.built.upload.spec;
  const methods = functions.find(({ endpoint }) => endpoint?.path === decodeURIComponent(path))?.endpoint?.methods;
  return methods?.[0] ?? (hasBody ? "POST" : "GET");
}

function headersOf({ headers, json, token }: CallInit): Headers {
  const made = new Headers(headers);
  if (json !== undefined && !made.has("content-type")) made.set("content-type", "application/json");
  if (token !== undefined) made.set("authorization", `Bearer ${token}`);
  return made;
}

function bodyOf({ json, form, body }: CallInit): Body | undefined {
  if (json !== undefined) return JSON.stringify(json as Json);
  if (form === undefined || form instanceof FormData) return form ?? body;
  const made = new FormData();
  for (const [name, value] of Object.entries(form))
    for (const item of [value].flat() as FormValue[]) append(made, name, item);
  return made;
}

function append(form: FormData, name: string, value: FormValue): void {
  if (typeof value !== "object") form.append(name, String(value));
  else if (value instanceof Blob) form.append(name, value);
  else if (value instanceof Uint8Array) form.append(name, new Blob([value as Uint8Array<ArrayBuffer>]), name);
  else {
    const { bytes, fileName, contentType } = (value as unknown as { [MEDIA](): MediaContent })[MEDIA]();
    form.append(name, new Blob([bytes as Uint8Array<ArrayBuffer>], { type: contentType }), fileName);
  }
}
