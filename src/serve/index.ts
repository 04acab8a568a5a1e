/**
 * An app served by the process that it is loaded in.
 *
 *   opening --built, bound, enter hooks run--> listening --close()--> closing: requests under way end --> closed, exit hooks have run
 */
import type { Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { SERVE_DEFAULTS } from "../protocol/defaults.ts";
import { AthanorError } from "../protocol/errors.ts";
import type { RegisteredApp } from "../sdk/registry.ts";
import type { ServedApp, ServeOptions } from "../sdk/serve.ts";
import { AppHandler } from "./handler.ts";
import { exchangeServer } from "./http-server.ts";
import { stderrLog } from "./log.ts";
import { openApp } from "./open-app.ts";
import { tokenCheck } from "./token.ts";

export async function serveApp(app: RegisteredApp, options: ServeOptions): Promise<ServedApp> {
  const { host = SERVE_DEFAULTS.host, port = SERVE_DEFAULTS.port } = options;
  const opened = await openApp(app, options.entry);
  const isAllowed = tokenCheck(options.token ?? (process.env.ATHANOR_TOKEN || null));
  const handler = new AppHandler({ app: opened, isAllowed, log: stderrLog });
  const server = exchangeServer((x) => handler.handle(x), stderrLog);
  // Node's own list has none of those that became WebSockets, or ask to.
  const sockets = new Set<Socket>();
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  await using undo = new AsyncDisposableStack();
  undo.defer(() => opened.loaded.exit());
  await opened.loaded.enter();
  await handler.start();
  await listen(server, host, port);
  undo.defer(async () => {
    const closed = closeServer(server, sockets);
    handler.leave();
    await closed;
  });
  const bound = (server.address() as AddressInfo).port;
  const owned = undo.move();
  let closed: Promise<void> | null = null;
  const close = (): Promise<void> => {
    closed ??= owned.disposeAsync();
    return closed;
  };
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${bound}`,
    port: bound,
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) =>
      reject(
        new AthanorError("config_invalid", `cannot listen on ${host} port ${port}: ${error.message}`, {
          cause: error,
          hint: "Give an address of this machine, and a port that is free; 0 is any.",
        }),
      ),
    );
    server.listen(port, host, resolve);
  });
  server.removeAllListeners("error");
}

async function closeServer(server: Server, sockets: Iterable<Socket>): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const cut = setTimeout(() => {
    for (const socket of sockets) socket.destroy();
  }, SERVE_DEFAULTS.closeGraceMs);
  await closed;
  clearTimeout(cut);
}
