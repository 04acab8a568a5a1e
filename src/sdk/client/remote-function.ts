import { CLIENT_DEFAULTS } from "../../protocol/defaults.ts";
import { AthanorError } from "../../protocol/errors.ts";
import { isFinal } from "../../protocol/job.ts";
import type { FunctionSpec } from "../../protocol/spec.ts";
import type { FunctionJson, JobJson, SpawnRequest } from "../../protocol/wire.ts";
import type { Handle, JobWatchEvent, WatchOptions } from "../handle.ts";
import type { Api } from "./api.ts";
import { delay } from "./backoff.ts";
import { encodeArgument } from "./encode.ts";
import { RemoteJob } from "./job.ts";
import { persist } from "./persist.ts";

/** A function of an app on a server, by names alone. */
export class RemoteFunction implements Handle<unknown[], unknown, unknown> {
  readonly #api: Api;
  readonly #app: string;
  readonly #name: string;

  constructor(api: Api, app: string, name: string) {
    this.#api = api;
    this.#app = app;
    this.#name = name;
  }

  async remote(...args: unknown[]): Promise<unknown> {
    // One exchange where the job ends soon: the answer to the enqueueing waits for it.
    const json = await this.#enqueue(args, CLIENT_DEFAULTS.waitS);
    const job = new RemoteJob(this.#api, json.job_id, json);
    return isFinal(json.status) ? job.resultOf(json) : job.result();
  }

  async spawn(...args: unknown[]): Promise<RemoteJob> {
    const json = await this.#enqueue(args);
    return new RemoteJob(this.#api, json.job_id, json);
  }

  async #enqueue(args: unknown[], waitS?: number): Promise<JobJson> {
    const request = await this.#request(args);
    // Its key makes one job of all tries.
    const idempotencyKey = orderedKey();
    const bytes = JSON.stringify(request).length;
    if (bytes > CLIENT_DEFAULTS.maxSharedCallBytes)
      return persist(() => this.#api.spawn(this.#app, this.#name, request, { idempotencyKey, waitS }));
    const call = {
      app: this.#app,
      function: this.#name,
      ...request,
      idempotency_key: idempotencyKey,
      wait: waitS !== undefined,
    };
    return persist(() => this.#api.call(call));
  }

  async *remoteEvents(args: unknown[], options?: WatchOptions): AsyncGenerator<JobWatchEvent, void, undefined> {
    yield* (await this.spawn(...args)).watch(options);
  }

  /** Null: only the server knows; see getWebUrl. */
  get serviceUrl(): null {
    return null;
  }

  async getWebUrl(options: { timeoutS?: number; signal?: AbortSignal } = {}): Promise<string> {
    const timeoutS = options.timeoutS ?? CLIENT_DEFAULTS.webUrlTimeoutS;
    const until = Date.now() + timeoutS * 1000;
    for (;;) {
      const fn = await this.#liveFunction(options.signal);
      if (fn?.url != null) return new URL(fn.url, this.#api.url).href;
      if (fn) throw new AthanorError("usage", `${this.#app}/${this.#name} is a plain function: it has no URL`);
      if (Date.now() >= until) {
        throw new AthanorError("timeout", `${this.#app}/${this.#name} was not live within ${timeoutS} s`, {
          hint: "Deploy its app with `athanor deploy ENTRY`.",
        });
      }
      await delay(CLIENT_DEFAULTS.webUrlPollMs, options.signal);
    }
  }

  async #liveFunction(signal: AbortSignal | undefined): Promise<FunctionJson | undefined> {
    try {
      const app = await this.#api.getApp(this.#app, signal);
      return app.functions.find((fn) => fn.name === this.#name);
    } catch (error) {
      if (error instanceof AthanorError && error.code === "app_not_found") return undefined;
      throw error;
    }
  }

  async #request(args: unknown[]): Promise<SpawnRequest> {
    const given = args.slice(0, args.findLastIndex((arg) => arg !== undefined) + 1);
    if (!given.includes(undefined))
      return { args: given.map((arg, index) => encodeArgument(arg, `argument ${index + 1}`)) };
    return this.#requestByName(given);
  }

  /** JSON has no undefined, so an argument that is left out before others are given has them sent by name. */
  async #requestByName(args: unknown[]): Promise<SpawnRequest> {
    const { deployment_id } = await this.#api.getApp(this.#app);
    const spec = await this.#api.deploymentSpec(deployment_id);
    const names = wireNames(spec.functions.find((fn) => fn.name === this.#name));
    const kwargs = args.flatMap((arg, index) => {
      const name = names[index];
      if (arg === undefined) return [];
      if (name === undefined)
        throw new AthanorError("input_invalid", `argument ${index + 1} follows one that is undefined, and has no name`);
      return [[name, encodeArgument(arg, name)] as const];
    });
    return { kwargs: Object.fromEntries(kwargs) };
  }
}

/** A random key that begins with the time, so that the keys of a time lie beside each other in the server's index. */
function orderedKey(): string {
  return `${Date.now().toString(36)}-${crypto.randomUUID()}`;
}

function wireNames(fn: FunctionSpec | undefined): string[] {
  if (fn === undefined || (fn.input.mode !== "params" && fn.input.mode !== "object")) return [];
  return fn.input.params.filter((param) => param.inject === null && !param.rest).map((param) => param.name);
}
