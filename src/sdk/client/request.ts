import { AthanorError, type ErrorCode } from "../../protocol/errors.ts";
import type { Problem } from "../../protocol/wire.ts";

export type Query = Record<string, string | number | boolean | undefined>;

export interface RequestInitJson {
  query?: Query | undefined;
  /** Sent as JSON. */
  body?: unknown;
  headers?: Record<string, string> | undefined;
  signal?: AbortSignal | undefined;
}

export interface Sender {
  url: string;
  token: string | null;
  fetch: typeof fetch;
  /** Node's own HTTP client may be used in place of `fetch`. */
  node: boolean;
}

/**
 * One HTTP exchange with the server; resolves with a response of status 2xx.
 * @throws AthanorError what the server answered, or `server_unreachable`; the signal's reason where it aborts.
 */
export async function send(
  sender: Sender,
  method: string,
  path: string,
  init: RequestInitJson = {},
): Promise<Response> {
  const url = `${sender.url}${path}${queryText(init.query)}`;
  const headers = requestHeaders(sender, init.headers ?? {}, init.body !== undefined);
  const request: RequestInit = { method, headers, signal: init.signal ?? null };
  if (init.body !== undefined) request.body = JSON.stringify(init.body);
  const response = await sender.fetch(url, request).catch((error: unknown) => {
    throw unreachable(sender.url, error, init.signal);
  });
  if (response.ok) return response;
  throw await problemOf(response, `${method} ${path}`);
}

export function requestHeaders(sender: Sender, own: Record<string, string>, hasBody: boolean): Record<string, string> {
  const headers: Record<string, string> = { accept: "application/json, application/problem+json", ...own };
  if (sender.token !== null) headers.authorization = `Bearer ${sender.token}`;
  if (hasBody) headers["content-type"] = "application/json";
  return headers;
}

/** What a failure to send, or to read on, is to the caller. */
export function unreachable(url: string, error: unknown, signal?: AbortSignal): unknown {
  if (signal?.aborted) return signal.reason;
  const why = reason(error);
  const hint = /certificate|ALTNAME/i.test(why)
    ? "Name the authority that signed the server's certificate: --ca FILE of the CLI, NODE_EXTRA_CA_CERTS of Node. The URL's host must be one that it names."
    : undefined;
  return new AthanorError("server_unreachable", `cannot reach the server at ${url}: ${why}`, {
    cause: error,
    ...(hint !== undefined && { hint }),
  });
}

/** fetch hides why it failed in its error's cause. */
function reason(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  if (cause instanceof AggregateError && cause.errors.length > 0) return reason({ ...cause, cause: cause.errors[0] });
  if (cause instanceof Error) return cause.message;
  return error instanceof Error ? error.message : String(error);
}

/** Bytes of an answer that is no problem document which its error may show. */
const SHOWN_CHARS = 200;

/** The error that an answer without success is. */
export async function problemOf(response: Response, what: string): Promise<AthanorError> {
  const text = await response.text().catch(() => "");
  const retryAfter = response.headers.get("retry-after");
  const headers: Record<string, string> = retryAfter === null ? {} : { "retry-after": retryAfter };
  const problem = parseProblem(text);
  if (problem) {
    const error = AthanorError.fromProblem(problem);
    return new AthanorError(error.code, error.detail, {
      hint: error.hint,
      headers,
      ...(error.errors && { errors: error.errors }),
    });
  }
  const shown = text.trim().slice(0, SHOWN_CHARS);
  const detail = `${what} was answered with ${response.status}${shown === "" ? "" : `: ${shown}`}`;
  return new AthanorError(codeOfStatus(response.status), detail, {
    headers,
    hint: "The answer is not one of Athanor's: check that the address is its server's, and what stands between.",
  });
}

function parseProblem(text: string): Problem | null {
  try {
    const value = JSON.parse(text) as Partial<Problem> | null;
    if (typeof value?.code !== "string" || typeof value.detail !== "string") return null;
    return { hint: "", type: "about:blank", title: "", status: 0, ...value } as Problem;
  } catch {
    return null;
  }
}

function codeOfStatus(status: number): ErrorCode {
  if (status === 401 || status === 403) return "unauthorized";
  if (status === 404) return "not_found";
  if (status === 413) return "body_too_large";
  if (status >= 502 && status <= 504) return "server_unreachable";
  return status < 500 ? "bad_request" : "internal";
}

function queryText(query: Query | undefined): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) if (value !== undefined) params.set(name, String(value));
  return params.size === 0 ? "" : `?${params}`;
}

/** True for a failure that may be over on another try: no answer, or one that says so. */
export function isPassing(error: unknown): error is AthanorError {
  return error instanceof AthanorError && ["server_unreachable", "shutting_down", "overloaded"].includes(error.code);
}
