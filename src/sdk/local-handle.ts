import { AthanorError } from "../protocol/errors.ts";
import { toWireName } from "../protocol/names.ts";
import type { Api } from "./client/api.ts";
import { RemoteFunction } from "./client/remote-function.ts";
import { connect, knownServerUrl } from "./connection.ts";
import type { CallOptions, Handle, Inputs, JobHandle, JobWatchEvent, MapOptions, WatchOptions } from "./handle.ts";
import { nodeModule } from "./node.ts";
import { DECLARED, type DeclaredFunction, type Registration } from "./registry.ts";
import type { ServiceOptions } from "./service-options.ts";

interface LocalHandleInit {
  app: string;
  /** Null: a function that only the server knows, by `name`. */
  registration: Registration | null;
  /** The files of `new App(...)` and of the registration's call, whose exports may tell the name. */
  entry: string | null;
  file: string | null;
  name?: string;
}

/**
 * The handle in the code that declares the function: `export const infer = app.function(...)`. Its name is what the build says, in built
 * code; elsewhere it is found when first needed, as the name under which the module exports this very object.
 */
export class LocalHandle implements Handle<unknown[], unknown, unknown> {
  readonly #init: LocalHandleInit;
  /** The handle that the module exports: this one, or that which it was made of by `with`. */
  readonly #declared: LocalHandle;
  readonly #options: CallOptions;
  #name: string | null;

  constructor(init: LocalHandleInit, p: { declared?: LocalHandle; options?: CallOptions } = {}) {
    this.#init = init;
    this.#declared = p.declared ?? this;
    this.#options = p.options ?? {};
    this.#name = init.registration?.site?.name ?? (init.name === undefined ? null : toWireName(init.name));
  }

  /** What it stands for, to `athanor/testing`, which may have another copy of this class. */
  get [DECLARED](): DeclaredFunction {
    return { app: this.#init.app, registration: this.#init.registration, name: this.#name };
  }

  isNamed(name: string): boolean {
    const method = this.#init.registration?.methodName;
    const known = this.#name ?? (method == null ? null : toWireName(method));
    return known !== null && known === toWireName(name);
  }

  async remote(...args: unknown[]): Promise<unknown> {
    return (await this.#function()).remote(...args);
  }

  async spawn(...args: unknown[]): Promise<JobHandle> {
    return (await this.#function()).spawn(...args);
  }

  async *remoteEvents(args: unknown[], options?: WatchOptions): AsyncGenerator<JobWatchEvent, void, undefined> {
    yield* (await this.#function()).remoteEvents(args, options);
  }

  async *remoteStream(...args: unknown[]): AsyncGenerator<unknown, void, undefined> {
    yield* (await this.#function()).remoteStream(...args);
  }

  async spawnMany(calls: Iterable<unknown[]>): Promise<JobHandle[]> {
    return (await this.#function()).spawnMany(calls);
  }

  async spawnMap(inputs: Inputs<unknown>): Promise<JobHandle[]> {
    return (await this.#function()).spawnMap(inputs);
  }

  async *map(inputs: Inputs<unknown>, options?: MapOptions): AsyncGenerator<unknown, void, undefined> {
    yield* (await this.#function()).map(inputs, options);
  }

  async *starmap(inputs: Inputs<unknown[]>, options?: MapOptions): AsyncGenerator<unknown, void, undefined> {
    yield* (await this.#function()).starmap(inputs, options);
  }

  async forEach(
    inputs: Inputs<unknown>,
    options?: Omit<MapOptions, "ordered">,
  ): Promise<{ succeeded: number; failed: number }> {
    return (await this.#function()).forEach(inputs, options);
  }

  with(options: CallOptions): LocalHandle {
    return new LocalHandle(this.#init, { declared: this.#declared, options: { ...this.#options, ...options } });
  }

  get serviceUrl(): string | null {
    const { registration, app } = this.#init;
    const server = knownServerUrl();
    if (server === null || registration === null || registration.kind === "function") return null;
    const given = registration.kind === "endpoint" ? registration : (registration.options as ServiceOptions);
    const path = given.path ?? (this.#name === null ? null : `/${this.#name}`);
    if (path === null) return null;
    return `${server}/${app}${registration.kind === "endpoint" || path === "/" ? path : `${path}/`}`;
  }

  async getWebUrl(options?: { timeoutS?: number; signal?: AbortSignal }): Promise<string> {
    return (await this.#function()).getWebUrl(options);
  }

  async #function(): Promise<RemoteFunction> {
    const api: Api = connect();
    return new RemoteFunction(api, this.#init.app, await this.#resolveName(), this.#options);
  }

  async #resolveName(): Promise<string> {
    this.#name ??= await this.#exportedName();
    return this.#name;
  }

  async #exportedName(): Promise<string> {
    const { registration, file, entry } = this.#init;
    if (registration?.methodName != null) return toWireName(registration.methodName);
    for (const candidate of new Set([file, entry])) {
      if (candidate === null) continue;
      const url = candidate.startsWith("file:") ? candidate : nodeModule("node:url").pathToFileURL(candidate).href;
      const exported = Object.entries((await import(url)) as object).find(([, value]) => value === this.#declared);
      if (exported) return toWireName(exported[0]);
    }
    throw new AthanorError(
      "function_not_found",
      `a function of the app ${this.#init.app} was called, but no module exports it`,
      {
        hint: 'Export it: `export const infer = app.function(...)`, or call it by name: app.functions["infer"].',
      },
    );
  }
}
