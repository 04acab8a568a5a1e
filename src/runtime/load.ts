import { existsSync, readFileSync, realpathSync } from "node:fs";
import { createRequire, enableCompileCache } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { AthanorError } from "../protocol/errors.ts";
import type { JsonSchema } from "../protocol/json.ts";
import type { AssignMessage } from "../protocol/replica.ts";
import { type FunctionSpec, VENDOR_FILE } from "../protocol/spec.ts";
import { loadValidators, type Validators } from "../schema/validators.ts";
import { APP_STATE, type AppState, type Registration, RUNTIME, type RuntimeGlobal, registry } from "../sdk/registry.ts";
import { currentJobId, currentTraceparent } from "./call.ts";
import { mapStacks } from "./stacks.ts";

/** Whether what was thrown is worth another attempt. */
export type RetryOn = (error: unknown) => unknown;

export interface LoadedFunction {
  spec: FunctionSpec;
  /** The user's own function, bound to its instance where it is a method. Of a service, what makes it. */
  call: (...args: unknown[]) => unknown;
  input: StandardSchemaV1 | null;
  output: StandardSchemaV1 | null;
  retryOn: RetryOn | null;
}

export interface LoadedApp {
  functions: Map<string, LoadedFunction>;
  $defs: { [name: string]: JsonSchema };
  validators: Validators;
  /** Runs the enter hooks, class by class. */
  enter(): Promise<void>;
  /** Runs the exit hooks; the first error is thrown after all have run. */
  exit(): Promise<void>;
}

/** What of a function's options is code, which the spec cannot hold. */
interface OptionsInCode {
  input?: StandardSchemaV1;
  output?: StandardSchemaV1;
  retries?: number | { retryOn?: RetryOn };
}

type Instance = Record<string, (...args: unknown[]) => unknown>;

/** Turns this process into a replica: its folder, environment, and the user's bundle. Throws what the bundle throws, and import_failed. */
export async function loadApp(assign: AssignMessage): Promise<LoadedApp> {
  const bundleUrl = pathToFileURL(assign.bundlePath).href;
  process.chdir(assign.workDir);
  replaceEnv(assign.env);
  if (assign.functions.some(({ kind }) => kind === "webServer")) await (await import("./services/ports.ts")).givePort();
  setRuntimeGlobal(assign);
  mapStacks({ files: filesWithMaps(assign.bundlePath), runtimeUrl: import.meta.url });
  if (assign.compileCacheDir !== null) enableCompileCache(assign.compileCacheDir);
  // Node itself says on stderr where it listens.
  if (assign.inspect) process.getBuiltinModule("node:inspector").open(0, "127.0.0.1");
  const validators = loadValidators(readFileSync(assign.validatorsPath, "utf8"));
  await import(bundleUrl);
  return bind(assign, validators);
}

/** By URL as Node names it, which follows links, where the source map of each is. */
function filesWithMaps(bundlePath: string): Map<string, string> {
  const vendor = join(dirname(bundlePath), VENDOR_FILE);
  const vendors = existsSync(vendor) ? [realpathSync(vendor)] : [];
  return new Map([bundlePath, ...vendors].map((file) => [pathToFileURL(file).href, `${file}.map`]));
}

function replaceEnv(env: Record<string, string>): void {
  for (const name of Object.keys(process.env)) if (!(name in env)) delete process.env[name];
  Object.assign(process.env, env);
}

function setRuntimeGlobal(assign: AssignMessage): void {
  const requires = [createRequire(assign.bundlePath), createRequire(import.meta.url)];
  const runtime: RuntimeGlobal = {
    require(name) {
      const errors: unknown[] = [];
      for (const require of requires) {
        try {
          return require(name);
        } catch (error) {
          errors.push(error);
        }
      }
      throw new AggregateError(errors, `The package ${name} could not be loaded`);
    },
    serverUrl: assign.serverUrl,
    serverToken: assign.serverToken,
    currentJobId,
    currentTraceparent,
  };
  (globalThis as { [RUNTIME]?: RuntimeGlobal })[RUNTIME] = runtime;
}

function bind(assign: AssignMessage, validators: Validators): LoadedApp {
  const app = registry().apps.find((candidate) => candidate[APP_STATE].name === assign.app)?.[APP_STATE];
  if (!app) throw new AthanorError("import_failed", `the bundle makes no new App(${JSON.stringify(assign.app)})`);
  const { functions, $defs } = assign;
  return bindApp({ app, functions, $defs, validators, registrationOf: (spec) => registrationBySite(app, spec) });
}

/** The call in the bundle that declares the function. Throws import_failed. */
export function registrationBySite(app: AppState, spec: FunctionSpec): Registration {
  const found = app.registrations.find((candidate) => candidate.site?.name === spec.name);
  if (!found) throw new AthanorError("import_failed", `the bundle does not register the function ${spec.name}`);
  return found;
}

/** Ties what the spec says of functions to the code that was registered for them. */
export function bindApp(p: {
  app: AppState;
  functions: readonly FunctionSpec[];
  $defs: LoadedApp["$defs"];
  validators: Validators;
  registrationOf(spec: FunctionSpec): Registration;
}): LoadedApp {
  const { app } = p;
  const instances = new Map<string, Instance>();
  const functions = new Map<string, LoadedFunction>();
  for (const spec of p.functions) functions.set(spec.name, bindFunction(spec, p.registrationOf(spec), app, instances));
  return {
    functions,
    $defs: p.$defs,
    validators: p.validators,
    async enter() {
      for (const [className, instance] of instances) await runHooks(app, className, instance, "enter");
    },
    async exit() {
      const errors: unknown[] = [];
      for (const [className, instance] of instances)
        await runHooks(app, className, instance, "exit").catch((error: unknown) => errors.push(error));
      if (errors.length > 0) throw errors[0];
    },
  };
}

function bindFunction(
  spec: FunctionSpec,
  registration: Registration,
  app: AppState,
  instances: Map<string, Instance>,
): LoadedFunction {
  const options = registration.options as OptionsInCode;
  const retries = options.retries ?? (app.options as OptionsInCode).retries;
  return {
    spec,
    call: codeOf(spec, registration, instances),
    input: options.input ?? null,
    output: options.output ?? null,
    retryOn: typeof retries === "object" ? (retries.retryOn ?? null) : null,
  };
}

function codeOf(
  spec: FunctionSpec,
  registration: Registration,
  instances: Map<string, Instance>,
): LoadedFunction["call"] {
  if (registration.handler) return registration.handler as LoadedFunction["call"];
  return spec.className === null ? () => undefined : method(spec, registration, instances);
}

/** The method on the one instance of its class, made when its first function is bound. */
function method(
  spec: FunctionSpec,
  registration: Registration,
  instances: Map<string, Instance>,
): LoadedFunction["call"] {
  const className = registration.site?.className ?? "";
  let instance = instances.get(className);
  if (!instance) {
    const Class = registry().classes.get(className) as (new () => Instance) | undefined;
    if (!Class)
      throw new AthanorError("import_failed", `the bundle does not register the class ${className} of ${spec.name}`);
    instance = new Class();
    instances.set(className, instance);
  }
  const found = instance[registration.methodName ?? spec.codeName];
  if (typeof found !== "function")
    throw new AthanorError("import_failed", `${className} has no method ${registration.methodName}`);
  return found.bind(instance);
}

async function runHooks(app: AppState, className: string, instance: Instance, kind: "enter" | "exit"): Promise<void> {
  for (const name of app.hooks.get(className)?.[kind] ?? []) await instance[name]?.();
}
