/**
 * The server's one listening socket.
 *
 *   closed --listen()--> listening --close()--> closing (open exchanges go on, idle connections are cut) --last one ends or graceMs--> closed
 */
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { AthanorError, PROBLEM_CONTENT_TYPE } from "../../protocol/errors.ts";
import type { Log } from "../log.ts";
import { sendProblem } from "./answer.ts";
import { expectsContinue } from "./body.ts";
import { Exchange } from "./exchange.ts";

// An import would read all of the module's exports, some of which load Node's HTTP client: a tenth of the server's start.
const { createServer } = process.getBuiltinModule("node:http");

/** Answers the exchange, or throws what is to be answered as a problem. */
export type Handler = (x: Exchange) => void | Promise<void>;

/** Above what clients and proxies keep idle connections for, so that it is not the server that closes one just as it is used. */
const KEEP_ALIVE_MS = 75_000;

export class Listener {
  readonly #log: Log;
  readonly #handle: Handler;
  #server: Server | null = null;
  readonly #sockets = new Set<Socket>();

  constructor(p: { handle: Handler; log: Log }) {
    this.#handle = p.handle;
    this.#log = p.log;
  }

  /** Resolves with the port. Throws config_invalid where the address can't be bound. */
  async listen(p: { host: string; port: number }): Promise<number> {
    const server = createServer(
      { keepAliveTimeout: KEEP_ALIVE_MS, requireHostHeader: false, noDelay: true },
      (req, res) => this.#take(req, res),
    );
    server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
    server.on("checkContinue", (req, res) => {
      expectsContinue({ req });
      this.#take(req, res);
    });
    server.on("checkExpectation", (req, res) => this.#take(req, res));
    server.on("clientError", (error: NodeJS.ErrnoException, socket) => refuse(socket, problemOf(error)));
    server.on("connect", (_req, socket) =>
      refuse(socket, new AthanorError("method_not_allowed", "this server is no proxy: it takes no CONNECT")),
    );
    await new Promise<void>((resolve, reject) => {
      server.once("error", (error: NodeJS.ErrnoException) =>
        reject(
          new AthanorError("config_invalid", `cannot listen on ${p.host} port ${p.port}: ${error.message}`, {
            cause: error,
            hint: bindHint(error),
          }),
        ),
      );
      server.listen(p.port, p.host, resolve);
    });
    server
      .removeAllListeners("error")
      .on("error", (error) => this.#log.error({ err: error.message }, "the listening socket failed"));
    this.#server = server;
    return (server.address() as AddressInfo).port;
  }

  /** Takes no more connections; cuts those that are still busy after `graceMs`. Repeatable. */
  async close(p: { graceMs: number }): Promise<void> {
    const server = this.#server;
    if (!server) return;
    this.#server = null;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    // Node counts a connection that has not sent a request yet as busy, so the idle ones are closed here.
    for (const socket of this.#sockets) if (!answering.has(socket)) socket.destroy();
    const cut = setTimeout(() => server.closeAllConnections(), p.graceMs);
    await closed;
    clearTimeout(cut);
  }

  #take(req: IncomingMessage, res: ServerResponse): void {
    // A client that resets its connection is no fault of the server.
    res.on("error", () => {});
    req.on("error", () => {});
    let x: Exchange;
    try {
      x = new Exchange(req, res);
    } catch (error) {
      refuse(req.socket, error as AthanorError);
      return;
    }
    answering.set(req.socket, res);
    res.on("close", () => {
      if (answering.get(req.socket) === res) answering.delete(req.socket);
      // A connection whose answer was under way when the server began to close is idle from now on.
      if (this.#server === null) req.socket.destroySoon();
    });
    if (this.#server === null) res.setHeader("connection", "close");
    try {
      const done = this.#handle(x);
      if (done) done.catch((error: unknown) => sendProblem(x, error, this.#log));
    } catch (error) {
      sendProblem(x, error, this.#log);
    }
  }
}

function bindHint(error: NodeJS.ErrnoException): string {
  if (error.code === "EADDRINUSE") return "Stop what uses the port, or give another with --port (0: any free one).";
  return "Give an address of this machine with --host, and a port that you may use with --port.";
}

function problemOf(error: NodeJS.ErrnoException): AthanorError {
  if (error.code === "HPE_HEADER_OVERFLOW")
    return new AthanorError("header_too_large", "the request's line and headers are over 16 KiB");
  if (error.code === "ERR_HTTP_REQUEST_TIMEOUT")
    return new AthanorError("bad_request", "the request did not arrive in time");
  return new AthanorError(
    "bad_request",
    `the request is not valid HTTP/1.1${error.code?.startsWith("HPE_") ? ` (${error.code})` : ""}`,
  );
}

/** The answer under way on a connection: once it has begun, another there would be read as part of it. */
const answering = new WeakMap<Duplex, ServerResponse>();

/** An answer written past Node's own: for what never became a request. */
function refuse(socket: Duplex, error: AthanorError): void {
  if (!socket.writable || answering.get(socket)?.headersSent === true) {
    socket.destroy();
    return;
  }
  const body = JSON.stringify(error.toProblem());
  const head = [
    `HTTP/1.1 ${error.status} ${error.toProblem().title}`,
    `content-type: ${PROBLEM_CONTENT_TYPE}`,
    `content-length: ${Buffer.byteLength(body)}`,
    "connection: close",
  ];
  socket.once("error", () => socket.destroy());
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`, () => socket.destroy());
}
