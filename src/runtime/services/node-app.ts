import { once } from "node:events";
import { createServer, type RequestListener, Server } from "node:http";
import type { Socket } from "node:net";
import { AthanorError } from "../../protocol/errors.ts";
import type { ServiceAddress } from "../../protocol/replica.ts";
import { whatIs } from "./fetch-handler.ts";

/** An app that listens. */
export interface NodeApp {
  address: ServiceAddress;
  /** Gives its server a connection that did not come to its address. */
  connect(socket: Socket): void;
  close(): Promise<void>;
}

/** What frameworks' apps look like from outside. */
interface AnyApp {
  callback?: () => RequestListener;
  init?: () => Promise<unknown>;
  ready?: () => Promise<unknown>;
  close?: () => unknown;
  listen?: (...args: unknown[]) => unknown;
  getHttpServer?: () => unknown;
  server?: unknown;
  httpServer?: unknown;
}

/**
 * Lets what a factory of `app.node` made listen at `path`, unless it listens already, and says where.
 * @throws AthanorError `startup_failed`, naming what it made.
 */
export async function nodeAppOf(made: unknown, p: { name: string; path: string }): Promise<NodeApp> {
  const isThing = (typeof made === "object" || typeof made === "function") && made !== null;
  if (!isThing) throw unusable(made, p.name);
  const app = made as AnyApp;
  if (made instanceof Server) return listening(made, p.path, {});
  if (typeof made === "function") return listening(createServer(made as RequestListener), p.path, {});
  // NestJS, on Express or Fastify: its own listen takes a path with the one and not with the other.
  if (typeof app.init === "function" && typeof app.getHttpServer === "function") {
    await app.init();
    await nestInstance(app)?.ready?.();
    return listening(app.getHttpServer(), p.path, app);
  }
  if (typeof app.callback === "function") return listening(createServer(app.callback()), p.path, {});
  // Fastify: by its own listen, so that its hooks for that run.
  if (typeof app.ready === "function" && app.server instanceof Server) {
    await app.ready();
    if (!app.server.listening) await app.listen?.({ path: p.path });
    return listening(app.server, p.path, app);
  }
  const server = app.httpServer ?? app.server;
  if (server instanceof Server) return listening(server, p.path, app);
  throw unusable(made, p.name);
}

function nestInstance(app: object): AnyApp | undefined {
  const adapter = (app as { getHttpAdapter?: () => { getType?(): string; getInstance?(): AnyApp } }).getHttpAdapter?.();
  return adapter?.getType?.() === "fastify" ? adapter.getInstance?.() : undefined;
}

async function listening(server: unknown, path: string, owner: AnyApp): Promise<NodeApp> {
  if (!(server instanceof Server))
    throw new AthanorError("startup_failed", `the app's server is ${whatIs(server)}, but must be an http.Server`);
  leaveLimitsToTheGateway(server);
  if (!server.listening) {
    server.listen(path);
    await once(server, "listening");
  }
  return {
    address: addressOf(server),
    connect: (socket) => void server.emit("connection", socket),
    close: () => closeServer(server, owner),
  };
}

/**
 * The gateway holds the time limits, on heads, bodies and idle connections, and keeps connections to this server: one that closed them by itself
 * would do so just as a request is on its way. Heads are a little larger here than they came, by what is forwarded.
 */
function leaveLimitsToTheGateway(server: Server): void {
  Object.assign(server, { keepAliveTimeout: 0, headersTimeout: 0, requestTimeout: 0, maxHeaderSize: MAX_HEADER_BYTES });
}

const MAX_HEADER_BYTES = 128 * 1024;

function addressOf(server: Server): ServiceAddress {
  const address = server.address();
  if (address === null) throw new AthanorError("startup_failed", "the app's server was closed before it was ready");
  if (typeof address === "string") return { path: address };
  const isAny = address.address === "::" || address.address === "0.0.0.0";
  return { host: isAny ? "127.0.0.1" : address.address, port: address.port };
}

/** The app's own close, which may wait for connections to end, and so cuts those that are idle. */
async function closeServer(server: Server, owner: AnyApp): Promise<void> {
  server.closeIdleConnections();
  if (typeof owner.close === "function") await owner.close();
  if (server.listening) await new Promise((resolve) => server.close(resolve));
}

function unusable(made: unknown, name: string): AthanorError {
  return new AthanorError(
    "startup_failed",
    `the factory of ${name} returned ${whatIs(made)}, but must return ${ALLOWED}`,
    {
      hint:
        typeof (made as { fetch?: unknown } | null | undefined)?.fetch === "function"
          ? "An app with a `fetch` of its own is declared with app.fetch."
          : "Return the app at the end of the factory.",
    },
  );
}

const ALLOWED = "a (request, response) listener, an app of Express, Koa, Fastify or NestJS, or an http.Server";
