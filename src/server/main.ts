import { existsSync } from "node:fs";
import { join } from "node:path";
import { AthanorError } from "../protocol/errors.ts";
import { serveApi } from "./api/router.ts";
import { givenToken } from "./auth.ts";
import type { Config } from "./config.ts";
import { isLoopback } from "./config-values.ts";
import { AccessLog } from "./http/access-log.ts";
import { sendEmpty } from "./http/answer.ts";
import type { Exchange } from "./http/exchange.ts";
import { Listener } from "./http/listener.ts";
import { TlsKeyPair } from "./http/tls.ts";
import { lockDataDir } from "./lock.ts";
import { createLog } from "./log.ts";
import { VERSION } from "./version.ts";
import { createContext, type WiredContext } from "./wiring.ts";

/** Exchanges that are under way when the server stops have this long to end. */
const CLOSE_GRACE_MS = 5000;

/** A server that takes requests. */
export interface RunningServer extends AsyncDisposable {
  /** Where it is reached on this machine: `http://127.0.0.1:7700`, or `https://…`. */
  readonly url: string;
  readonly port: number;
  /** The server's token, for `Authorization: Bearer`. */
  readonly token: string;
  /** Reads the TLS certificate and its key anew; it is done by itself, too, when their files change. */
  reload(): void;
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
  const tls = config.tls === null ? null : new TlsKeyPair(config.tls, log);
  const urls = { server: "", local: "" };
  const context = await createContext({
    config,
    log,
    version: VERSION,
    token,
    runtimePath: runtimePath(),
    env: process.env,
    url: () => urls.server,
    localUrl: () => urls.local,
  });
  undo.defer(() => context.stop());
  const started = Promise.withResolvers<void>();
  const handle = (x: Exchange): void | Promise<void> =>
    context.isReady() ? dispatch(x, context) : started.promise.then(() => dispatch(x, context));
  const { maxConnections, accessLogShare: share, proxies } = config;
  const accessLog = share === null ? null : new AccessLog({ log, share, proxies });
  const listener = new Listener({ log, tls, accessLog, maxConnections, handle });
  // Replicas and the CLI on this machine need not know who signed the certificate, nor be called what it names.
  const local = tls === null ? null : new Listener({ log, accessLog, maxConnections, handle });
  undo.defer(() =>
    Promise.all([listener.close({ graceMs: CLOSE_GRACE_MS }), local?.close({ graceMs: CLOSE_GRACE_MS })]).then(
      () => {},
    ),
  );
  undo.defer(() => context.beginStop());
  const port = await listener.listen(config);
  urls.server = `${tls === null ? "http" : "https"}://${urlHost(config.host)}:${port}`;
  urls.local = local === null ? urls.server : `http://127.0.0.1:${await local.listen({ host: "127.0.0.1", port: 0 })}`;
  await context.start();
  started.resolve();
  lock.announce({ url: urls.local, pid: process.pid, version: VERSION });
  log.info({ url: urls.server, data: config.dataDir }, "server ready");
  const reload = (): void => void tls?.reload();
  return runningServer({ url: urls.server, port, token: context.auth.token, reload }, undo.move());
}

/** The server's own API by its paths; everything else is an app's. */
function dispatch(x: Exchange, context: WiredContext): void | Promise<void> {
  if (context.stopping.aborted) throw new AthanorError("shutting_down", "the server is stopping");
  context.chaos?.exchange(x);
  if (x.path === "*") return sendEmpty(x, 204, { allow: "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS" });
  const target = context.gateway.targetOf(x);
  return target === null ? serveApi(x, context) : context.gateway.serve(x, target);
}

function runningServer(
  p: Pick<RunningServer, "url" | "port" | "token" | "reload">,
  owned: AsyncDisposableStack,
): RunningServer {
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
