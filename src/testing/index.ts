/**
 * Calls of an app's code in the test's own process: built types, validation, hooks and errors as on a server, and no socket.
 *
 *   absent --first call() or invoke(), or open()--> open: enter hooks have run --close(), or the process has nothing left to do--> closed: exit hooks have run
 */

import { AthanorError } from "../protocol/errors.ts";
import type { App } from "../sdk/app.ts";
import type { Handle } from "../sdk/handle.ts";
import { APP_STATE, DECLARED, type DeclaredFunction, registry } from "../sdk/registry.ts";
import { type CallInit, request } from "./call.ts";
import { TestHost } from "./host.ts";
import { type Invoked, invokeFunction } from "./invoke.ts";

export type { CallInit, FormValue } from "./call.ts";
export type { Invoked } from "./invoke.ts";

export interface OpenOptions {
  /** The file that `athanor deploy` would be given. Default: that of `new App(...)`. */
  entry?: string | URL;
  /** What `access: "token"` asks for. */
  token?: string;
}

const hosts = new Map<App, Promise<TestHost>>();

/**
 * A request to the app, which goes the way of a real one but for the network.
 * @param path Below the app, `/hello`, with or without a query.
 * @returns the answer, of whatever status.
 */
export async function call(app: App, path: string, init: CallInit = {}): Promise<Response> {
  const host = await hostOf(app);
  return request(host, path, init);
}

/**
 * Calls a function, or the code of a queued endpoint, as a job would: its arguments and its result cross the wire's types.
 * @returns its result; of a generator the list of its chunks.
 * @throws what the function throws, itself; AthanorError `input_invalid`, `output_invalid`.
 */
export async function invoke<A extends readonly unknown[], R, C>(
  fn: Handle<A, R, C>,
  ...args: A
): Promise<Invoked<R, C>> {
  const declared = (fn as unknown as { [DECLARED]?: DeclaredFunction })[DECLARED];
  if (declared === undefined)
    throw new AthanorError(
      "usage",
      "invoke() takes a function of an app: what app.function() or app.endpoint() has returned",
    );
  const { app, host } = await hostOfDeclared(declared);
  return (await invokeFunction(host.app, host.specOf(app[APP_STATE], declared), args as readonly unknown[])) as Invoked<
    R,
    C
  >;
}

/**
 * Opens the app ahead of its first call: to name its entry file, or to have its start apart from the first test.
 * @throws AthanorError for whatever is wrong with the app; what an enter hook throws.
 */
export async function open(app: App, options: OpenOptions = {}): Promise<AsyncDisposable> {
  await hostOf(app, options);
  return { [Symbol.asyncDispose]: () => close(app) };
}

/** Runs the exit hooks; a call after it opens the app anew. Where it is left out, they run once the process has nothing left to do. */
export async function close(app: App): Promise<void> {
  const host = hosts.get(app);
  hosts.delete(app);
  await (await host)?.close();
}

function hostOf(app: App, options: OpenOptions = {}): Promise<TestHost> {
  let host = hosts.get(app);
  if (host === undefined) {
    if (hosts.size === 0) process.once("beforeExit", closeAll);
    host = TestHost.open(app, options);
    hosts.set(app, host);
    // Whoever asks again may have mended what was wrong.
    host.catch(() => hosts.delete(app));
  }
  return host;
}

async function closeAll(): Promise<void> {
  for (const app of [...hosts.keys()]) await close(app);
}

async function hostOfDeclared({ app: name, registration }: DeclaredFunction): Promise<{ app: App; host: TestHost }> {
  const found = registry().apps.findLast(({ [APP_STATE]: state }) =>
    registration === null ? state.name === name : state.registrations.includes(registration),
  );
  if (found === undefined) throw new AthanorError("usage", `the app ${name} is not loaded in this process`);
  const app = found as App;
  return { app, host: await hostOf(app) };
}
