import { AthanorError } from "../protocol/errors.ts";
import type { OpenHttp } from "../protocol/replica.ts";
import { type BodyRequest, readBody, readWholeJson } from "../schema/body.ts";
import type { ReadBody } from "../schema/extract.ts";
import { type Call, traceparentIn } from "./call.ts";
import { sendResponse, sendStream, sendValue } from "./http-answer.ts";
import type { HttpAnswer, HttpCaller, HttpRequestHead } from "./http-face.ts";
import { HttpHead } from "./http-head.ts";
import { header, webRequest } from "./http-request.ts";
import { chunksOf, inputError, invoke } from "./invoke.ts";
import type { LoadedApp, LoadedFunction } from "./load.ts";
import type { Logs } from "./logs.ts";
import { shown } from "./thrown.ts";

/** Runs one synchronous call and sends its answer. Never throws. */
export async function runHttp(p: {
  call: Call;
  open: OpenHttp;
  app: LoadedApp;
  fn: LoadedFunction;
  logs: Logs;
}): Promise<void> {
  const { call, logs } = p;
  await answerHttp({ ...p, answer: new HttpHead(call), onError: (error) => report(error, call, logs) });
  logs.finish(call);
}

/** What one call of an endpoint takes, whichever way it came. */
interface EndpointCall {
  call: HttpCaller;
  open: HttpRequestHead;
  app: LoadedApp;
  fn: LoadedFunction;
}

/** Calls the function and sends its answer. Never throws: whatever is thrown is answered, and told to `onError`. */
export async function answerHttp(
  p: EndpointCall & { answer: HttpAnswer; onError: (error: unknown) => void },
): Promise<void> {
  const { call, open, app, fn, answer, onError } = p;
  try {
    const value = await invokeHttp(p);
    if (isResponse(value)) await sendResponse({ answer, call, open, response: value });
    else {
      const chunks = chunksOf(fn, value);
      if (chunks) await sendStream({ answer, open, app, fn, chunks, onError });
      else await sendValue({ answer, open, app, fn, value });
    }
  } catch (error) {
    onError(error);
    answer.fail(toProblemError(error, fn));
  }
}

async function invokeHttp(p: EndpointCall): Promise<unknown> {
  const { call, open, app, fn } = p;
  const reading = readInput(p);
  const { body, attachments } = reading instanceof Promise ? await reading : reading;
  let request: Request | undefined;
  return invoke({
    app,
    fn,
    body,
    attachments,
    injected: {
      jobId: null,
      attempt: 1,
      batch: null,
      traceparent: () => traceparentIn(open.headers),
      signal: () => call.signal,
      progress: () => {},
      request: () => (request ??= webRequest(open, call, fn.spec.input.mode === "request")),
    },
  });
}

/** At once, where it can be: each promise on the way of a small call costs it more than its reading. */
function readInput({ call, open, app, fn }: EndpointCall): ReadBody | Promise<ReadBody> {
  const { input } = fn.spec;
  if (input.mode === "request") return { body: null, attachments: [] };
  // The commonest call of all, a GET without parameters, needs none of what follows.
  if (input.mode === "params" && !open.hasBody && takesNothing(fn) && !open.url.includes("?"))
    return { body: {}, attachments: [] };
  const length = header(open, "content-length");
  const request: BodyRequest = {
    method: open.method,
    url: open.url,
    contentType: header(open, "content-type"),
    contentLength: length === null ? null : Number(length),
    body: open.hasBody ? (call.whole ?? call.input) : null,
    fn: fn.spec,
    $defs: app.$defs,
    maxBodyBytes: open.maxBodyBytes,
  };
  const whole = readWholeJson(request);
  return whole === null ? readBody(request).then((read) => checked(read, app, fn)) : checked(whole, app, fn);
}

function checked(read: ReadBody, app: LoadedApp, fn: LoadedFunction): ReadBody {
  const { input } = fn.spec;
  // A schema of the user's own judges by itself: what JSON Schema it shows may say less than it takes.
  const judged = input.mode !== "standard" && input.mode !== "request" && input.schema !== null;
  const errors = judged ? app.validators.input(fn.spec.name, read.body) : [];
  if (errors.length > 0) throw inputError(fn, errors);
  return read;
}

function takesNothing(fn: LoadedFunction): boolean {
  const { input } = fn.spec;
  return input.mode === "params" && input.params.every((param) => param.inject !== null);
}

/** By its shape: naming the class would load all of Node's fetch, 45 ms and 14 MB that most replicas never need. */
export function isResponse(value: unknown): value is Response {
  if (typeof value !== "object" || value === null || (value as object)[Symbol.toStringTag as never] !== "Response")
    return false;
  return typeof (value as Response).status === "number" && typeof (value as Response).headers?.entries === "function";
}

/** What the client did wrong it is told; what the code did wrong is for the log, and the client is told only that it is there. */
function toProblemError(error: unknown, fn: LoadedFunction): AthanorError {
  if (error instanceof AthanorError && error.status !== 500) return error;
  const code = error instanceof AthanorError && error.code === "output_invalid" ? "output_invalid" : "handler_error";
  const what = code === "output_invalid" ? "returned what is not of its declared type" : "threw an error";
  return new AthanorError(code, `${fn.spec.name} ${what}; its log says more`);
}

export function report(error: unknown, call: Call, logs: Logs): void {
  const text = call.cancelled ? null : reportOf(error);
  if (text !== null) logs.write("stderr", `${text}\n`, call);
}

/** What the log says of an error; null where it is the client's own. */
export function reportOf(error: unknown): string | null {
  if (!(error instanceof AthanorError)) return shown(error);
  return error.status < 500 ? null : `${error.code}: ${error.detail}`;
}
