import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { AthanorError } from "../protocol/errors.ts";
import type { FunctionSpec } from "../protocol/spec.ts";
import { bindApp, type LoadedApp, registrationBySite } from "../runtime/load.ts";
import { loadValidators } from "../schema/validators.ts";
import { APP_STATE, type AppState, type RegisteredApp, type Registration } from "../sdk/registry.ts";
import { type Built, cacheFolder, readCached, writeCached } from "./build-cache.ts";
import { importBuilt } from "./built-bundle.ts";

/** An app whose functions can be called in this process. */
export interface OpenApp {
  loaded: LoadedApp;
  built: Built;
  /** What the spec says of the function that this process has registered so. */
  specOf(registration: Registration): FunctionSpec | undefined;
}

/**
 * Builds the entry file of an app, or takes what was built of the very same files, and ties the types of its functions to the code that is loaded
 * in this process. Runs no hooks. Throws what a build throws, and `usage` where the entry or the functions are not found.
 */
export async function openApp(app: RegisteredApp, given: string | URL | undefined): Promise<OpenApp> {
  const state = app[APP_STATE];
  const entry = entryOf(state, given);
  const built = await builtFrom(entry);
  const { spec } = built.upload;
  if (spec.name !== state.name)
    throw new AthanorError("usage", `${entry} makes the app ${spec.name}, not ${state.name}`, { hint: ENTRY_HINT });
  const order = inOrder(state, spec.functions, entry);
  const specOf = (registration: Registration): FunctionSpec | undefined =>
    spec.functions[state.registrations.indexOf(registration)];
  return { loaded: await load(state, built, order, cacheFolder(entry)), built, specOf };
}

const ENTRY_HINT =
  'Name the file that `athanor deploy` would be given: { entry: new URL("./app.ts", import.meta.url) }.';

function entryOf(state: AppState, given: string | URL | undefined): string {
  const named = given ?? state.entry;
  if (named === null)
    throw new AthanorError("usage", `the file of \`new App("${state.name}")\` is not known here`, { hint: ENTRY_HINT });
  const text = String(named);
  const file = text.startsWith("file:") ? fileURLToPath(text) : text;
  if (!existsSync(file))
    throw new AthanorError("usage", `the entry file of the app ${state.name}, ${file}, is not there`, {
      hint: ENTRY_HINT,
    });
  return file;
}

async function builtFrom(entry: string): Promise<Built> {
  const folder = cacheFolder(entry);
  const cached = folder === null ? null : readCached(folder, entry);
  if (cached !== null) return cached;
  // The compiler and the bundler: only where they are needed.
  const [{ Builder }, { compileValidators }] = await Promise.all([
    import("../build/builder.ts"),
    import("../schema/compile.ts"),
  ]);
  await using builder = new Builder({ entry, splits: false });
  const upload = await builder.build();
  const built: Built = { upload, validators: await compileValidators(upload.spec) };
  if (folder !== null) await writeCached(folder, entry, built, builder.inputs);
  return built;
}

/**
 * The registrations in the order of the spec's functions, which the build has seen run in a process of its own. Code that registers the same
 * functions in the same order there and here is what ties them: names are not known to code that was not built.
 */
function inOrder(state: AppState, functions: readonly FunctionSpec[], entry: string): readonly Registration[] {
  const { registrations } = state;
  const fits = (fn: FunctionSpec, registration: Registration | undefined): boolean =>
    registration?.kind === fn.kind &&
    (registration.path === null || registration.path === fn.endpoint?.path) &&
    (registration.methodName === null) === (fn.className === null);
  const at = functions.findIndex((fn, index) => !fits(fn, registrations[index]));
  if (at < 0 && functions.length === registrations.length) return registrations;
  throw new AthanorError(
    "usage",
    at < 0
      ? `this process has registered ${registrations.length} functions of the app ${state.name}, and ${entry} has ${functions.length}`
      : `function ${at + 1} of the app ${state.name} is ${functions[at]?.codeName} in ${entry}, and another one in this process`,
    { hint: `Import the whole entry file, and register nothing besides. ${ENTRY_HINT}` },
  );
}

async function load(
  state: AppState,
  built: Built,
  order: readonly Registration[],
  folder: string | null,
): Promise<LoadedApp> {
  const { functions, $defs } = built.upload.spec;
  const validators = loadValidators(built.validators);
  if (functions.every(({ className }) => className === null)) {
    const registrationOf = (spec: FunctionSpec) => order[functions.indexOf(spec)] as Registration;
    return bindApp({ app: state, functions, $defs, validators, registrationOf });
  }
  // A decorated method does not know its class, unless the build has been at it.
  const bundled = await importBuilt(built.upload, folder);
  return bindApp({
    app: bundled,
    functions,
    $defs,
    validators,
    registrationOf: (spec) => registrationBySite(bundled, spec),
  });
}
