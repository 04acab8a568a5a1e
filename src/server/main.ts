import { existsSync } from "node:fs";
import { join } from "node:path";
import { AthanorError } from "../protocol/errors.ts";
import { serveApi } from "./api/router.ts";
import { givenToken } from "./auth.ts";
import { type Config, isLoopback } from "./config.ts";
import { createContext, type WiredContext } from "./context.ts";
import { sendEmpty } from "./http/answer.ts";
import type { Exchange } from "./http/exchange.ts";
import { Listener } from "./http/listener.ts";
import { lockDataDir } from "./lock.ts";
import { createLog } from "./log.ts";
import { VERSION } from "./version.ts";

/** Exchanges that are under way when the server stops have this long to end. */
const CLOSE_GRACE_MS = 5000;

/** A server that takes requests. */
export interface RunningServer extends AsyncDisposable {
  /** Where it is reached on this machine: `http://127.0.0.1:7700`. */
  readonly url: string;
  readonly port: number;
  /** The server's token, for `Authorization: Bearer`. */
  readonly token: string;
  /** Stops taking requests, drains, closes everything. Idempotent. */
  stop(): Promise<void>;
}

/**
 * Starts a server and resolves when it takes requests. Throws data_dir_locked, no_token, config_invalid,
 * blobs_not_shared, store_unreachable, schema_newer, storage_full.
 */
export async function startServer(config: Config): Promise<RunningServer> {
  await using undo = new AsyncDisposableStack();
  const lock = undo.use(lockDataDir(config.dataDir));
  // Before anything is opened: a server that would be refused its address does not join the others.
  const token = givenToken(config);
  const log = createLog(config.logLevel);
  undo.defer(() => log.flush());
  let url = "";
  const context = await createContext({
    config,
    log,
    version: VERSION,
    token,
    runtimePath: runtimePath(),
    env: process.env,
    url: () => url,
  });
  undo.defer(() => context.stop());
  const started = Promise.withResolvers<void>();
  const listener = new Listener({
    log,
    maxConnections: config.maxConnections,
    handle: (x) => (context.isReady() ? dispatch(x, context) : started.promise.then(() => dispatch(x, context))),
  });
  undo.defer(() => listener.close({ graceMs: CLOSE_GRACE_MS }));
  undo.defer(() => context.beginStop());
  const port = await listener.listen(config);
  url = `http://${urlHost(config.host)}:${port}`;
  await context.start();
  started.resolve();
  lock.announce({ url, pid: process.pid, version: VERSION });
  log.info({ url, data: config.dataDir }, "server ready");
  return runningServer({ url, port, token: context.auth.token }, undo.move());
}

/** The server's own API by its paths; everything else is an app's. */
function dispatch(x: Exchange, context: WiredContext): void | Promise<void> {
  if (context.stopping.aborted) throw new AthanorError("shutting_down", "the server is stopping");
  context.chaos?.exchange(x);
  if (x.path === "*") return sendEmpty(x, 204, { allow: "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS" });
  const target = context.gateway.targetOf(x);
  return target === null ? serveApi(x, context) : context.gateway.serve(x, target);
}

function runningServer(p: { url: string; port: number; token: string }, owned: AsyncDisposableStack): RunningServer {
  let stopped: Promise<void> | null = null;
  const stop = (): Promise<void> => {
    stopped ??= owned.disposeAsync();
    return stopped;
  };
  return { ...p, stop, [Symbol.asyncDispose]: stop };
}

/** Of the same kind as this file: the built runtime for the built server, the source for a checkout's. */
function runtimePath(): string {
  const built = join(import.meta.dirname, "runtime.js");
  return existsSync(built) ? built : join(import.meta.dirname, "..", "runtime", "main.ts");
}

/** As other programs on this machine reach it. */
function urlHost(host: string): string {
  if (host === "0.0.0.0" || host === "::" || isLoopback(host)) return host === "::1" ? "[::1]" : "127.0.0.1";
  return host.includes(":") ? `[${host}]` : host;
}
