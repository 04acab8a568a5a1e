/**
 * Runs in a process of its own: waits for a request on file descriptor 4, imports the bundle that it names, reads what that registered, and
 * writes it as JSON to file descriptor 3.
 */
import { closeSync, readFileSync, writeSync } from "node:fs";
import { createRequire, enableCompileCache } from "node:module";
import { AthanorError } from "../protocol/errors.ts";
import { APP_STATE, REGISTRY, type Registration, type Registry, RUNTIME } from "../sdk/registry.ts";
import { resolveCompute, resolveOptions } from "../sdk/resolve-options.ts";
import type { ChildAnswer, ChildFunction, ChildRequest } from "./manifest-messages.ts";
import { jsonSchemaOf } from "./standard-schema.ts";

const ANSWER_FD = 3;
const REQUEST_FD = 4;

// Blocks until the request is there, and gets nothing where whoever was to send it has gone.
const requestText = readFileSync(REQUEST_FD, "utf8");
closeSync(REQUEST_FD);
if (requestText === "") process.exit(0);
const request = JSON.parse(requestText) as ChildRequest;

function answer(message: ChildAnswer): never {
  const bytes = Buffer.from(JSON.stringify(message));
  for (let at = 0; at < bytes.length; ) at += writeSync(ANSWER_FD, bytes, at);
  process.exit(0);
}

function failed(error: unknown): never {
  if (error instanceof AthanorError)
    answer({ type: "refused", code: error.code, detail: error.detail, hint: error.hint });
  if (isForeignRefusal(error))
    answer({ type: "refused", code: error.code, detail: error.detail, hint: error.hint, stack: error.stack });
  const isError = error instanceof Error;
  const message = isError ? `${error.name}: ${error.message}` : `it threw ${String(error)}, which is no Error`;
  answer({ type: "threw", message, stack: isError ? String(error.stack) : "" });
}

/** An AthanorError of the copy of the SDK that is in the bundle. */
function isForeignRefusal(error: unknown): error is AthanorError {
  return error instanceof Error && error.name === "AthanorError" && "code" in error && "detail" in error;
}

process.on("uncaughtException", failed);
process.on("unhandledRejection", failed);

// app.deploy() at the top of an entry file must not build and deploy within a build; it refuses where this is set.
Object.defineProperty(globalThis, RUNTIME, {
  configurable: true,
  value: { require: createRequire(request.bundlePath), serverUrl: "", serverToken: "", currentJobId: () => null },
});

if (request.compileCacheDir !== null) enableCompileCache(request.compileCacheDir);

try {
  await import(request.bundleUrl);
  answer(await readRegistry());
} catch (error) {
  failed(error);
}

async function readRegistry(): Promise<ChildAnswer> {
  const registry = (globalThis as { [REGISTRY]?: Registry })[REGISTRY];
  const apps = (registry?.apps ?? []).map((app) => app[APP_STATE]);
  const [app] = apps;
  if (app === undefined || apps.length > 1) return { type: "apps", names: apps.map(({ name }) => name) };
  const functions: ChildFunction[] = [];
  for (const registration of app.registrations) functions.push(await readFunction(registration, app.options));
  return { type: "app", name: app.name, compute: resolveCompute(app.options), functions };
}

async function readFunction(registration: Registration, app: object): Promise<ChildFunction> {
  const { site, kind, path, port, options } = registration;
  const made: ChildFunction = { site, kind, resolved: null, refused: null, input: null, output: null };
  try {
    made.resolved = resolveOptions({
      name: site?.name ?? "",
      kind,
      path,
      port,
      options,
      app,
      project: request.project,
    });
  } catch (error) {
    if (!(error instanceof AthanorError)) throw error;
    made.refused = { code: error.code, detail: error.detail };
    return made;
  }
  const { input, output } = options as { input?: unknown; output?: unknown };
  if (input !== undefined) made.input = await jsonSchemaOf(input, "input", request.projectDir);
  if (output !== undefined) made.output = await jsonSchemaOf(output, "output", request.projectDir);
  return made;
}
