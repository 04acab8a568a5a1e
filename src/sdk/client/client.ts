import { toWireName } from "../../protocol/names.ts";
import type { ServerWatchEvent } from "../../protocol/server-event.ts";
import type { CancelManyResult } from "../../protocol/wire.ts";
import type { HandleOf, JobHandle, UntypedHandle } from "../handle.ts";
import type { Service } from "../service.ts";
import { Api } from "./api.ts";
import { RemoteJob } from "./job.ts";
import { RemoteFunction } from "./remote-function.ts";
import { type ServerEventOptions, serverEvents } from "./server-events.ts";

// biome-ignore lint/suspicious/noExplicitAny: matches any method
type AnyMethod = (...args: any[]) => unknown;
// biome-ignore lint/suspicious/noExplicitAny: matches any class
type AnyClass = abstract new (...args: any) => any;

/** The methods of an exported class; whether one is decorated does not show in its type. */
type MethodHandles<I> = {
  readonly [K in keyof I as I[K] extends AnyMethod ? K : never]: I[K] extends AnyMethod ? HandleOf<I[K]> : never;
};

/** The functions and services that a module exports, `typeof import("./app")`, as seen from another program. */
export type AppClient<M> = {
  readonly [K in keyof M as M[K] extends Service | AnyClass ? K : never]: M[K] extends Service
    ? M[K]
    : M[K] extends AnyClass
      ? MethodHandles<InstanceType<M[K]>>
      : never;
} & {
  /** By name, in code or on the wire, without types. */
  readonly functions: { readonly [name: string]: UntypedHandle };
};

export interface ClientOptions {
  /** The server's address: `http://127.0.0.1:7700`. */
  url: string;
  /** The server's token. Default: none, which opens nothing but public endpoints. */
  token?: string | undefined;
  /** Default: the global one. */
  fetch?: typeof fetch | undefined;
}

/** Which jobs to cancel. */
export interface CancelFilter {
  app?: string | undefined;
  /** In code or on the wire: `swapFace`, `swap-face`. */
  function?: string | undefined;
  /** Default: both. */
  status?: readonly ("queued" | "running")[] | undefined;
  concurrencyKey?: string | undefined;
  /** The job whose code spawned them. */
  parentId?: string | undefined;
  /** All jobs of the server, where no other part is given. */
  all?: boolean | undefined;
}

/**
 * Calls the functions of deployed apps from another program: Node, Deno, Bun or a browser. It needs `fetch` and nothing of the server.
 * In a browser the token is readable by whoever opens the page.
 */
export class Client {
  /** The server's API as it is on the wire. */
  readonly api: Api;

  constructor(options: ClientOptions) {
    this.api = new Api(options);
  }

  /**
   * The app's functions, typed by its entry file: `client.app<typeof import("./app")>("demo").infer.remote("hello")`. A type import adds
   * nothing to the program. A function goes by the name of its const; a method as `demo.Whisper.transcribe`, where its class is exported.
   */
  app<M = Record<never, never>>(name: string): AppClient<M> {
    const functions = new Proxy(
      {},
      { get: (_, key) => (typeof key === "string" ? this.#function(name, key) : undefined) },
    );
    const client = new Proxy({}, { get: (_, key) => this.#member(name, key, functions) });
    return client as AppClient<M>;
  }

  /** A job by its id, `jobs:123`. */
  job<R = unknown, C = unknown>(id: string): JobHandle<R, C> {
    return new RemoteJob(this.api, id) as JobHandle as JobHandle<R, C>;
  }

  /**
   * What happens on the server, through broken connections: first a `server.snapshot`, then jobs, replicas and deployments as they change. Needs
   * the server's token. It ends with the signal, by throwing its reason.
   */
  events(options: ServerEventOptions = {}): AsyncGenerator<ServerWatchEvent, void, undefined> {
    return serverEvents(this.api, options);
  }

  /**
   * Cancels all jobs that fit every part that is given, and what their code has spawned: queued ones end at once, of those that run the code is
   * stopped. It needs at least one part, or `all`.
   */
  async cancelJobs(filter: CancelFilter): Promise<CancelManyResult> {
    const { app, status, concurrencyKey, parentId, all } = filter;
    return this.api.cancelJobs({
      ...(app === undefined ? {} : { app }),
      ...(filter.function === undefined ? {} : { function: toWireName(filter.function) }),
      ...(status === undefined ? {} : { status: [...status] }),
      ...(concurrencyKey === undefined ? {} : { concurrency_key: concurrencyKey }),
      ...(parentId === undefined ? {} : { parent_id: parentId }),
      ...(all === undefined ? {} : { all }),
    });
  }

  #member(app: string, key: string | symbol, functions: object): unknown {
    // A promise-like would be called by `await` and by an async function that returns it.
    if (typeof key !== "string" || key === "then") return undefined;
    return key === "functions" ? functions : this.#classOrFunction(app, key);
  }

  /** Whether the name is a class's shows when a method is asked of it. */
  #classOrFunction(app: string, key: string): unknown {
    const fn = this.#function(app, key);
    return new Proxy(fn, {
      get: (target, member) => {
        if (typeof member !== "string" || member === "then") return undefined;
        const method = this.#function(app, member);
        return member in target ? either(target, member as keyof RemoteFunction, method) : method;
      },
    });
  }

  #function(app: string, codeName: string): RemoteFunction {
    return new RemoteFunction(this.api, app, toWireName(codeName));
  }
}

/** A class may have a method of the name of one of a handle's, such as `map`: which is meant shows in whether it is called, or a method is asked of it. */
function either(target: RemoteFunction, member: keyof RemoteFunction, method: RemoteFunction): unknown {
  const value = bound(target, member);
  if (typeof value !== "function") return value;
  return new Proxy(value, {
    get: (own, key) => (key in method ? bound(method, key as keyof RemoteFunction) : Reflect.get(own, key)),
  });
}

function bound(target: RemoteFunction, member: keyof RemoteFunction): unknown {
  const value = target[member] as unknown;
  return typeof value === "function" ? value.bind(target) : value;
}
