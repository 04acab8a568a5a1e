import type { StandardSchemaV1 } from "@standard-schema/spec";
import { AthanorError } from "../protocol/errors.ts";
import type { Json } from "../protocol/json.ts";
import type { MediaRef } from "../protocol/media.ts";
import type { InvalidPath } from "../protocol/wire.ts";
import { decodeInput } from "../schema/decode.ts";
import { type Encoded, encodeOutput } from "../schema/encode.ts";
import { JobContext, JobProgress } from "../sdk/context.ts";
import { ImageFile } from "../sdk/media.ts";
import type { LoadedApp, LoadedFunction } from "./load.ts";

/** What is injected into a call: made only for parameters that ask for it. */
export interface Injected {
  jobId: string | null;
  attempt: number;
  /** The jobs of a batch; null: the call is on behalf of one. */
  batch: JobContext["batch"];
  traceparent(): string | null;
  signal(): AbortSignal;
  progress(fraction: number, message: string | null): void;
  /** Undefined in a job. */
  request(): Request | undefined;
}

/** Calls the function with a valid wire body. What it returns is a value, a promise of one, or a generator. */
export async function invoke(p: {
  app: LoadedApp;
  fn: LoadedFunction;
  body: Json;
  attachments: Uint8Array[];
  injected: Injected;
}): Promise<unknown> {
  const { app, fn, injected } = p;
  const { input } = fn.spec;
  // Called by itself, not as a property of ours: the first frame of its stacks bears no name but its own.
  const { call } = fn;
  if (input.mode === "standard") {
    const value = await parse(fn.input, decode(p)[0], (errors) => inputError(fn, errors));
    return call(value, contextOf(injected));
  }
  if (input.mode === "request") return call(...input.params.map((param) => inject(param.inject, injected)));
  if (input.params.length === 0) return call();
  const args = decode({ app, fn, body: p.body, attachments: p.attachments });
  for (const [i, param] of input.params.entries()) if (param.inject) args[i] = inject(param.inject, injected);
  return call(...args);
}

/** What the parameters get of one job of a batch, in their order; undefined for those that are injected. */
export async function argumentsOf(p: {
  app: LoadedApp;
  fn: LoadedFunction;
  body: Json;
  attachments: Uint8Array[];
}): Promise<unknown[]> {
  const args = decode(p);
  if (p.fn.spec.input.mode !== "standard") return args;
  return [await parse(p.fn.input, args[0], (errors) => inputError(p.fn, errors))];
}

/** Calls the function once for several jobs: each parameter is an array with an element of each. */
export async function invokeBatch(p: { fn: LoadedFunction; jobs: unknown[][]; injected: Injected }): Promise<unknown> {
  const { call, spec } = p.fn;
  if (spec.input.mode === "standard") return call(column(p.jobs, 0), contextOf(p.injected));
  const args = spec.input.params.map(({ inject: kind }, index) =>
    kind ? inject(kind, p.injected) : column(p.jobs, index),
  );
  return call(...args);
}

function column(jobs: unknown[][], index: number): unknown[] {
  return jobs.map((args) => args[index]);
}

function decode(p: { app: LoadedApp; fn: LoadedFunction; body: Json; attachments: Uint8Array[] }): unknown[] {
  const { args } = decodeInput({
    fn: p.fn.spec,
    $defs: p.app.$defs,
    validators: p.app.validators,
    body: p.body,
    media: (ref) => imageOf(ref, p.attachments),
  });
  return args;
}

function imageOf(ref: MediaRef, attachments: Uint8Array[]): ImageFile {
  const bytes = typeof ref.$media === "number" ? attachments[ref.$media] : undefined;
  if (!bytes) throw new AthanorError("media_invalid", `${ref.file_name} came without its bytes`);
  return ImageFile.fromBytes(bytes, { fileName: ref.file_name });
}

function inject(kind: "progress" | "context" | "request" | null, injected: Injected): unknown {
  if (kind === "progress") return new JobProgress(injected.progress);
  if (kind === "context") return contextOf(injected);
  return kind === "request" ? injected.request() : undefined;
}

function contextOf(injected: Injected): JobContext {
  return new JobContext({
    jobId: injected.jobId,
    attempt: injected.attempt,
    batch: injected.batch,
    get traceparent() {
      return injected.traceparent();
    },
    get signal() {
      return injected.signal();
    },
    log: (...values) => console.log(...values),
    get request() {
      return injected.request();
    },
  });
}

/** The wire form of a result or of one chunk. Throws output_invalid with the paths that are wrong. */
export async function encode(app: LoadedApp, fn: LoadedFunction, value: unknown): Promise<Encoded> {
  if (!isParsed(fn)) return encodeNow(app, fn, value);
  return encodeNow(app, fn, await parse(fn.output, value, (errors) => outputError(fn, errors)));
}

/** The user's own schema has a say in the result, and may take its time. */
export function isParsed(fn: LoadedFunction): boolean {
  return fn.output !== null && fn.spec.output.standard;
}

/** As encode, of a value that is parsed, if it is to be. */
export function encodeNow(app: LoadedApp, fn: LoadedFunction, value: unknown): Encoded {
  const encoded = encodeOutput(value);
  if (fn.spec.output.schema !== null) {
    const errors = app.validators.output(fn.spec.name, encoded.value);
    if (errors.length > 0) throw outputError(fn, errors);
  }
  return encoded;
}

/** The items of a generator; null for any other result. */
export function chunksOf(fn: LoadedFunction, value: unknown): AsyncIterable<unknown> | Iterable<unknown> | null {
  if (typeof value !== "object" || value === null) return null;
  const isAsync = Symbol.asyncIterator in value && "next" in value;
  if (isAsync) return value as unknown as AsyncIterable<unknown>;
  const iterable = Symbol.asyncIterator in value || Symbol.iterator in value;
  return fn.spec.output.stream && iterable ? (value as AsyncIterable<unknown>) : null;
}

async function parse(
  schema: StandardSchemaV1 | null,
  value: unknown,
  failure: (errors: InvalidPath[]) => AthanorError,
): Promise<unknown> {
  if (!schema) return value;
  const result = await schema["~standard"].validate(value);
  if (result.issues) throw failure(result.issues.map(toInvalidPath));
  return result.value;
}

function toInvalidPath(issue: StandardSchemaV1.Issue): InvalidPath {
  const keys = (issue.path ?? []).map((segment) => (typeof segment === "object" ? segment.key : segment));
  const path = keys.map((key) => `/${String(key).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
  return { path, expected: issue.message };
}

export function inputError(fn: LoadedFunction, errors: InvalidPath[]): AthanorError {
  return new AthanorError("input_invalid", `the body of ${fn.spec.name} is invalid: ${list(errors)}`, { errors });
}

function outputError(fn: LoadedFunction, errors: InvalidPath[]): AthanorError {
  return new AthanorError(
    "output_invalid",
    `the result of ${fn.spec.name} is not of its declared type: ${list(errors)}`,
    { errors },
  );
}

function list(errors: InvalidPath[]): string {
  const shown = errors
    .slice(0, 5)
    .map(
      (error) =>
        `${error.path || "/"} should be ${error.expected}${error.actual === undefined ? "" : `, but is ${error.actual}`}`,
    );
  return shown.join("; ") + (errors.length > 5 ? `; and ${errors.length - 5} more` : "");
}
