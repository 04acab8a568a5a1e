import type { FunctionKind } from "../protocol/spec.ts";

/**
 * What user code registers, and where the runtime and the build find it. It lives on `globalThis` under registered
 * symbols, because the bundle may hold another copy of this module than the runtime does.
 *
 *   importing the bundle -> `new App()` adds itself to `apps`
 *                        -> `app.endpoint(...)`, `app.function(...)`, `app.fetch(...)` and so on add a Registration to their app
 *                        -> a class with decorated methods adds itself to `classes` (a static block that the build inserts)
 */
export const REGISTRY = Symbol.for("athanor.registry");
export const APP_STATE = Symbol.for("athanor.app");
export const RUNTIME = Symbol.for("athanor.runtime");
/** Of a handle. */
export const DECLARED = Symbol.for("athanor.declared");

export interface Registry {
  apps: RegisteredApp[];
  /** Classes with decorated methods, by the name that the build gives in `Site.className`. */
  // biome-ignore lint/complexity/noBannedTypes: any class, whatever its constructor takes
  classes: Map<string, Function>;
}

export interface RegisteredApp {
  readonly [APP_STATE]: AppState;
}

export interface AppState {
  readonly name: string;
  /** The file of `new App(...)`, as the engine names it; null: it does not say. */
  readonly entry: string | null;
  readonly options: object;
  readonly registrations: Registration[];
  /** The enter and exit hooks of each class that has functions, base class first. */
  readonly hooks: ReadonlyMap<string, ClassHooks>;
}

export interface ClassHooks {
  enter: string[];
  exit: string[];
}

/** What the build knows of a call to `app.endpoint`, `app.function`, `app.fetch` and so on, and inserts as its last argument. */
export interface Site {
  /** Wire name. */
  name: string;
  codeName: string;
  className: string | null;
}

/** The key of the argument that the build inserts. */
export const SITE_KEY = "athanor:site";

export interface Registration {
  /** Null in code that the build has not been at. */
  site: Site | null;
  kind: FunctionKind;
  /** Of an endpoint, as given; null: `/<wire name>`. */
  path: string | null;
  /** Of a web server, as given. */
  port: number | null;
  /** As given; see options.ts and service-options.ts. */
  options: object;
  /** The function; of a service what makes it. Null for a method of a class, and where a program is the service. */
  // biome-ignore lint/complexity/noBannedTypes: any function
  handler: Function | null;
  methodName: string | null;
}

/** The function that a handle is for. */
export interface DeclaredFunction {
  /** The app's name. */
  app: string;
  /** Null: it is known by its name alone. */
  registration: Registration | null;
  /** Wire name; null in code that the build has not been at. */
  name: string | null;
}

/** Set by the runtime before it imports the bundle; absent everywhere else. */
export interface RuntimeGlobal {
  /** Resolves from the deployment's installed packages, then from Athanor's own. */
  require(name: string): unknown;
  serverUrl: string;
  /** Holds for the replica's own app while the replica lives. */
  serverToken: string;
  /** The job on whose behalf the running code runs, `jobs:123`; null where it is no one job. */
  currentJobId(): string | null;
  /** The trace of the call whose code runs. Absent in a runtime that is older than the bundle. */
  currentTraceparent?(): string | null;
}

type Globals = { [REGISTRY]?: Registry; [RUNTIME]?: RuntimeGlobal };

export function registry(): Registry {
  const globals = globalThis as Globals;
  globals[REGISTRY] ??= { apps: [], classes: new Map() };
  return globals[REGISTRY];
}

export function runtimeGlobal(): RuntimeGlobal | undefined {
  return (globalThis as Globals)[RUNTIME];
}

/** The job whose code runs here, to the server that runs it: `jobs:123`. Null for any other server, and where no one job's code runs. */
export function currentJobOn(serverUrl: string): string | null {
  return runtimeOf(serverUrl)?.currentJobId() ?? null;
}

/** The trace of the call whose code runs here, to the server that runs it. */
export function currentTraceOn(serverUrl: string): string | null {
  return runtimeOf(serverUrl)?.currentTraceparent?.() ?? null;
}

function runtimeOf(serverUrl: string): RuntimeGlobal | null {
  const runtime = runtimeGlobal();
  return runtime?.serverUrl.replace(/\/+$/, "") === serverUrl ? runtime : null;
}
