import { CLIENT_DEFAULTS, SERVER_DEFAULTS } from "../../protocol/defaults.ts";
import { AthanorError } from "../../protocol/errors.ts";
import type { FunctionSpec } from "../../protocol/spec.ts";
import type { FunctionJson, SpawnManyRequest, SpawnRequest } from "../../protocol/wire.ts";
import {
  type CallOptions,
  type Handle,
  type Inputs,
  JobFailedError,
  type JobWatchEvent,
  type MapOptions,
  type WatchOptions,
} from "../handle.ts";
import { currentJobOn, currentTraceOn } from "../registry.ts";
import type { Api } from "./api.ts";
import { wireArguments } from "./arguments.ts";
import { delay } from "./backoff.ts";
import { wireOptions } from "./call-options.ts";
import { RemoteJob } from "./job.ts";
import { mapCalls, type Outcome } from "./map.ts";
import { persist } from "./persist.ts";
import { orderedKey, RemoteCall } from "./remote-call.ts";

const MAX_SPAWN_MANY = SERVER_DEFAULTS.maxSpawnMany;

/** A function of an app on a server, by names alone. */
export class RemoteFunction implements Handle<unknown[], unknown, unknown> {
  readonly #api: Api;
  readonly #app: string;
  readonly #name: string;
  readonly #options: CallOptions;

  constructor(api: Api, app: string, name: string, options: CallOptions = {}) {
    this.#api = api;
    this.#app = app;
    this.#name = name;
    this.#options = options;
  }

  with(options: CallOptions): RemoteFunction {
    return new RemoteFunction(this.#api, this.#app, this.#name, { ...this.#options, ...options });
  }

  async remote(...args: unknown[]): Promise<unknown> {
    const call = this.#call(args, this.#options.idempotencyKey);
    return call.ended();
  }

  async spawn(...args: unknown[]): Promise<RemoteJob> {
    return this.#call(args, this.#options.idempotencyKey).spawned();
  }

  async *remoteEvents(args: unknown[], options?: WatchOptions): AsyncGenerator<JobWatchEvent, void, undefined> {
    yield* (await this.spawn(...args)).watch(options);
  }

  async *remoteStream(...args: unknown[]): AsyncGenerator<unknown, void, undefined> {
    const job = await this.#call(args, this.#options.idempotencyKey).streamed();
    let over = false;
    try {
      yield* job.chunks();
      over = true;
    } catch (error) {
      over = error instanceof JobFailedError;
      throw error;
    } finally {
      if (!over) await job.cancel().catch(() => {});
    }
  }

  async spawnMany(calls: Iterable<unknown[]>): Promise<RemoteJob[]> {
    return this.#spawnMany([...take(calls, MAX_SPAWN_MANY + 1)], this.#options.idempotencyKey);
  }

  async spawnMap(inputs: Inputs<unknown>): Promise<RemoteJob[]> {
    const key = this.#options.idempotencyKey;
    const jobs: RemoteJob[] = [];
    let calls: unknown[][] = [];
    const flush = async () => {
      jobs.push(...(await this.#spawnMany(calls, keyAt(key, jobs.length))));
      calls = [];
    };
    for await (const input of inputs) {
      calls.push([input]);
      if (calls.length === MAX_SPAWN_MANY) await flush();
    }
    await flush();
    return jobs;
  }

  map(inputs: Inputs<unknown>, options: MapOptions = {}): AsyncGenerator<unknown, void, undefined> {
    return this.#map(inputs, (input) => [input], options);
  }

  starmap(inputs: Inputs<unknown[]>, options: MapOptions = {}): AsyncGenerator<unknown, void, undefined> {
    return this.#map(inputs, (args) => args, options);
  }

  async forEach(
    inputs: Inputs<unknown>,
    options: Omit<MapOptions, "ordered"> = {},
  ): Promise<{ succeeded: number; failed: number }> {
    const counts = { succeeded: 0, failed: 0 };
    const outcomes = this.#outcomes(inputs, (input) => [input], { ...options, ordered: false });
    for await (const { ok } of outcomes) counts[ok ? "succeeded" : "failed"] += 1;
    return counts;
  }

  async *#map<T>(
    inputs: Inputs<T>,
    argsOf: (input: T) => unknown[],
    options: MapOptions,
  ): AsyncGenerator<unknown, void, undefined> {
    for await (const outcome of this.#outcomes(inputs, argsOf, options))
      yield outcome.ok ? outcome.value : outcome.error;
  }

  #outcomes<T>(inputs: Inputs<T>, argsOf: (input: T) => unknown[], options: MapOptions): AsyncGenerator<Outcome> {
    const key = this.#options.idempotencyKey;
    return mapCalls({
      inputs,
      options,
      start: (input, index) => {
        const call = this.#call(argsOf(input), keyAt(key, index));
        return { result: call.ended({ waitForRoom: true }), cancel: () => call.cancel() };
      },
    });
  }

  #call(args: unknown[], idempotencyKey: string | undefined): RemoteCall {
    return new RemoteCall({
      api: this.#api,
      app: this.#app,
      function: this.#name,
      request: this.#request(args),
      idempotencyKey,
      parentJob: currentJobOn(this.#api.url),
    });
  }

  async #spawnMany(calls: unknown[][], given: string | undefined): Promise<RemoteJob[]> {
    if (calls.length === 0) return [];
    if (calls.length > MAX_SPAWN_MANY)
      throw new AthanorError(
        "usage",
        `spawnMany was given more than ${MAX_SPAWN_MANY} calls, which is the most for one commit`,
        {
          hint: "Use spawnMap, which takes as many commits as are needed, or several calls of spawnMany.",
        },
      );
    const parentJob = currentJobOn(this.#api.url);
    const request: SpawnManyRequest = { calls: await Promise.all(calls.map((args) => this.#request(args))) };
    // Its key makes one commit of all tries.
    const options = { idempotencyKey: given ?? orderedKey(), parentJob };
    const { job_ids: ids } = await persist(() => this.#api.spawnMany(this.#app, this.#name, request, options));
    return ids.map((id) => new RemoteJob(this.#api, id, { reached: true }));
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
    const options = wireOptions(this.#options);
    const traceparent = currentTraceOn(this.#api.url);
    const call = await wireArguments(args, () => this.#liveSpec());
    const traced = traceparent === null ? call : { ...call, traceparent };
    return Object.keys(options).length === 0 ? traced : { ...traced, options };
  }

  async #liveSpec(): Promise<FunctionSpec | undefined> {
    const { deployment_id } = await this.#api.getApp(this.#app);
    const spec = await this.#api.deploymentSpec(deployment_id);
    return spec.functions.find((fn) => fn.name === this.#name);
  }
}

/** The key of one input of many, of the key that holds for all. */
function keyAt(key: string | undefined, index: number): string | undefined {
  return key === undefined ? undefined : `${key}/${index}`;
}

function* take<T>(items: Iterable<T>, most: number): Generator<T, void, undefined> {
  let taken = 0;
  for (const item of items) {
    if (taken++ === most) return;
    yield item;
  }
}
