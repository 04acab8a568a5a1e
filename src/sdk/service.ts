import type { Handle } from "./handle.ts";

/** A service, where it is deployed: it has a URL, and is not called as a job. */
export type Service = Pick<Handle<[], unknown>, "serviceUrl" | "getWebUrl">;

/** What each request of a `fetch` service comes with, beside the environment: the third argument, as of a module on workerd. */
export interface FetchContext {
  /** As in the access log and in the answer's `X-Request-Id`. */
  readonly requestId: string;
  /** Keeps the call open until the promise settles, so that the replica is neither stopped nor counted as idle. */
  waitUntil(promise: Promise<unknown>): void;
  /** Does nothing; there for code that was written for workerd. */
  passThroughOnException(): void;
  readonly props: object;
}

/** A Web-standard handler. `env` is `process.env`. */
// biome-ignore lint/suspicious/noExplicitAny: frameworks type what comes after the request in ways of their own
export type FetchHandler = (request: Request, ...more: any[]) => Response | Promise<Response>;

/** Makes the handler, once in each replica: a function, or any object with `.fetch`, such as an app of Hono, H3 or Elysia. */
export type FetchFactory = () => Eventually<FetchHandler | { fetch: FetchHandler }>;

/**
 * Makes the app, once in each replica: a `(request, response)` listener, an app of Express, Koa, Fastify or NestJS, or an `http.Server`,
 * whether it listens already or not.
 */
export type NodeFactory = () => Eventually<object>;

/** Starts a server, once in each replica, at `port` of `host`. What it returns is closed at the end where it can be. */
export type WebServerStart = (at: { port: number; host: string }) => unknown;

type Eventually<T> = T | Promise<T>;
