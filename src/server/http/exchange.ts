import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { AthanorError } from "../../protocol/errors.ts";

/** One HTTP request and its answer, as every part of the server sees it. */
export class Exchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  /** The client's, where it sent a plausible one. */
  readonly requestId: string;
  readonly method: string;
  /** Decoded, begins with `/`. */
  readonly path: string;
  /** As the client wrote it. */
  readonly rawPath: string;
  /** Without `?`; undecoded. */
  readonly search: string;
  /** Lower case, with the port where one was given; empty where the client sent none. */
  readonly host: string;
  #disconnected: AbortController | null = null;

  /** Throws bad_request. */
  constructor(req: IncomingMessage, res: ServerResponse) {
    this.req = req;
    this.res = res;
    this.requestId = requestIdOf(req.headers["x-request-id"]);
    this.method = req.method ?? "GET";
    const target = splitTarget(req.url ?? "/");
    this.path = target.path;
    this.rawPath = target.rawPath;
    this.search = target.search;
    this.host = hostOf(req, target.host);
  }

  get query(): URLSearchParams {
    return new URLSearchParams(this.search);
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

function requestIdOf(given: string | string[] | undefined): string {
  return typeof given === "string" && /^[\w.:-]{1,100}$/.test(given) ? given : randomUUID();
}

/** Of a request target in origin-form (`/path?query`) or absolute-form, which a client of a proxy sends. */
function splitTarget(target: string): { path: string; rawPath: string; search: string; host: string | null } {
  if (!target.startsWith("/")) {
    const url = URL.parse(target);
    if (!url || !/^https?:$/.test(url.protocol))
      throw new AthanorError("bad_request", "the request's target is neither a path nor an http URL");
    return { path: decodePath(url.pathname), rawPath: url.pathname, search: url.search.slice(1), host: url.host };
  }
  const end = target.indexOf("?");
  const rawPath = end < 0 ? target : target.slice(0, end);
  return { path: decodePath(rawPath), rawPath, search: end < 0 ? "" : target.slice(end + 1), host: null };
}

function decodePath(path: string): string {
  if (!path.includes("%")) return path;
  try {
    return decodeURIComponent(path);
  } catch {
    throw new AthanorError("bad_request", "the path holds a % that no two hexadecimal digits of UTF-8 follow");
  }
}

function hostOf(req: IncomingMessage, target: string | null): string {
  const host = (target ?? req.headers.host ?? "").toLowerCase();
  if (host === "" && req.httpVersion === "1.1" && req.headers.host === undefined)
    throw new AthanorError("bad_request", "the Host header is missing");
  if (!/^(?:[a-z0-9._~-]*|\[[0-9a-f:.]+\])(?::\d{0,5})?$/.test(host))
    throw new AthanorError("bad_request", "the Host header is no host name with an optional port");
  return host;
}
