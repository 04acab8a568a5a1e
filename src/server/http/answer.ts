import { randomUUID } from "node:crypto";
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import type { Http2ServerResponse } from "node:http2";
import { AthanorError, ERRORS, PROBLEM_CONTENT_TYPE } from "../../protocol/errors.ts";
import type { Log } from "../log.ts";
import type { Exchange } from "./exchange.ts";

/** Bytes and time for which a refused body is still read, so that the client gets to see the refusal. */
const LINGER_BYTES = 64 * 1024 * 1024;
const LINGER_MS = 1000;
const JOINED_MAX_BYTES = 4096;
const RETRY_AFTER_S = "1";

export function sendJson(x: Exchange, status: number, body: unknown, headers: Record<string, string> = {}): void {
  sendText(x, status, JSON.stringify(body), { "content-type": "application/json; charset=utf-8", ...headers });
}

export function sendText(
  x: Exchange,
  status: number,
  text: string | Uint8Array,
  headers: Record<string, string>,
): void {
  const { res } = x;
  if (res.headersSent || res.destroyed) return;
  const bytes = typeof text === "string" ? Buffer.from(text) : text;
  res.setHeader("x-request-id", x.requestId);
  res.setHeader("x-content-type-options", "nosniff");
  // HTTP/2 has a stream for each exchange, and no field to end it.
  if (x.isHttp2) delete headers.connection;
  res.writeHead(status, { ...headers, "content-length": bytes.length });
  endAnswer(x, bytes);
}

/** Answers with no body: 204, 304. */
export function sendEmpty(x: Exchange, status: number, headers: Record<string, string> = {}): void {
  const { res } = x;
  if (res.headersSent || res.destroyed) return;
  res.writeHead(status, { "x-request-id": x.requestId, ...headers });
  res.end();
}

/** Any error as problem+json; what is no AthanorError is a fault of the server: logged, and answered without its message. */
export function sendProblem(x: Exchange, thrown: unknown, log: Log): void {
  // The client left halfway through its own body: nobody is there to answer, and nothing is wrong here.
  if (x.hasBody && x.req.destroyed && !x.req.complete) return;
  const error = toAthanorError(thrown);
  x.failure = error.code;
  if (ERRORS[error.code].cause === "system" && error.code !== "shutting_down") {
    log.error({ requestId: x.requestId, code: error.code, err: describe(thrown) }, `${x.method} ${x.rawPath} failed`);
  }
  if (x.res.headersSent) {
    // Too late for a problem; cutting the connection is the one way left to say that the answer is not whole.
    x.res.destroy();
    return;
  }
  sendText(x, error.status, JSON.stringify(error.toProblem()), {
    "content-type": PROBLEM_CONTENT_TYPE,
    ...headersOf(error),
  });
}

/** Answers a request that became no exchange; the connection ends with it, since where the next one begins on it is not certain. */
export function refuseRequest(res: ServerResponse, error: AthanorError, http2: boolean): void {
  const body = Buffer.from(JSON.stringify(error.toProblem()));
  res.writeHead(error.status, {
    "content-type": PROBLEM_CONTENT_TYPE,
    "content-length": body.length,
    "x-request-id": randomUUID(),
    "x-content-type-options": "nosniff",
    ...(http2 ? {} : { connection: "close" }),
  });
  res.end(body);
  if (http2) (res as unknown as Http2ServerResponse).stream.close();
}

function headersOf(error: AthanorError): Record<string, string> {
  const headers = { ...error.headers };
  if (error.status === 429 || error.code === "overloaded" || error.code === "shutting_down")
    headers["retry-after"] ??= RETRY_AFTER_S;
  if (error.status === 401) headers["www-authenticate"] = 'Bearer realm="athanor"';
  return headers;
}

export function toAthanorError(thrown: unknown): AthanorError {
  if (thrown instanceof AthanorError) return thrown;
  const { code } = (thrown ?? {}) as NodeJS.ErrnoException;
  if (code === "ENOSPC" || code === "EDQUOT")
    return new AthanorError("storage_full", "the server could not write to its data folder", { cause: thrown });
  return new AthanorError("internal", "the server failed to handle the request", { cause: thrown });
}

function describe(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  const cause = thrown.cause instanceof Error ? `\ncaused by ${thrown.cause.stack}` : "";
  return `${thrown.stack}${cause}`;
}

/**
 * Ends the answer with its last bytes. Where the request's body was not read to its end, it is read for a while first: a connection closed
 * on unread bytes is reset, and takes the answer with it; one that is kept would have them before its next request.
 */
export function endAnswer(x: Exchange, last?: Uint8Array): void {
  const { req, res } = x;
  if (req.complete || !x.hasBody || req.destroyed) {
    // As text of a byte each, it leaves in one write with the head; Node sends a buffer beside it, for a microsecond more.
    if (last && last.length <= JOINED_MAX_BYTES)
      res.end(Buffer.from(last.buffer, last.byteOffset, last.length).toString("latin1"), "latin1");
    else res.end(last);
    return;
  }
  if (last) res.write(last);
  let left = LINGER_BYTES;
  const end = (): void => {
    clearTimeout(timer);
    req.off("data", onData).off("end", end).off("error", end);
    if (!req.complete && !x.isHttp2) res.once("finish", () => req.socket.destroySoon());
    try {
      res.end();
    } catch {
      // It is not as long as it was declared: nobody is above to hear, and the client may not take it for whole.
      x.failure = "answer_invalid";
      res.destroy();
      return;
    }
    if (!req.complete && x.isHttp2) (res as unknown as Http2ServerResponse).stream.close();
  };
  const onData = (chunk: Buffer): void => {
    left -= chunk.length;
    if (left < 0) end();
  };
  const timer = setTimeout(end, LINGER_MS);
  // Whoever read it before has stopped; its listeners would keep the rest from flowing.
  req.removeAllListeners("readable").on("data", onData).once("end", end).once("error", end).resume();
  res.once("close", () => clearTimeout(timer));
}

/** Writes and waits while the client's connection is full. False once the client has gone. */
export async function writeWithBackPressure(
  res: ServerResponse,
  chunk: string | Uint8Array,
  signal: AbortSignal,
): Promise<boolean> {
  if (signal.aborted || res.destroyed) return false;
  if (res.write(chunk)) return true;
  try {
    await once(res, "drain", { signal });
    return true;
  } catch {
    return false;
  }
}
