/**
 * The server's one listening socket.
 *
 *   closed --listen()--> listening --close()--> closing (open exchanges go on, idle connections are cut) --last one ends or graceMs--> closed
 */
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { HTTP_DEFAULTS } from "../../protocol/defaults.ts";
import { AthanorError } from "../../protocol/errors.ts";
import type { Log } from "../log.ts";
import { refuseRequest, sendProblem } from "./answer.ts";
import { expectsContinue } from "./body.ts";
import { Connections } from "./connections.ts";
import { Exchange } from "./exchange.ts";
import { parserProblem } from "./refusal.ts";

// An import would read all of the module's exports, some of which load Node's HTTP client: a tenth of the server's start.
const { createServer } = process.getBuiltinModule("node:http");

/** Answers the exchange, or throws what is to be answered as a problem. */
export type Handler = (x: Exchange) => void | Promise<void>;

/** Connections past the limit are told of in the log once in such a time. */
const DROP_LOG_MS = 10_000;

const NODE_OPTIONS = {
  keepAliveTimeout: HTTP_DEFAULTS.keepAliveMs,
  headersTimeout: HTTP_DEFAULTS.headTimeoutMs,
  // An upload takes as long as it takes; one that stalls is seen by Connections.
  requestTimeout: 0,
  connectionsCheckingInterval: HTTP_DEFAULTS.slowCheckMs,
  maxHeaderSize: HTTP_DEFAULTS.maxHeadBytes,
  // Exchange looks, and answers with a problem.
  requireHostHeader: false,
  noDelay: true,
};

export class Listener {
  readonly #log: Log;
  readonly #handle: Handler;
  readonly #maxConnections: number;
  readonly #connections: Connections;
  #server: Server | null = null;
  #dropsToldAt = 0;

  constructor(p: { handle: Handler; log: Log; maxConnections?: number; answerTimeoutMs?: number }) {
    this.#handle = p.handle;
    this.#log = p.log;
    this.#maxConnections = p.maxConnections ?? HTTP_DEFAULTS.maxConnections;
    this.#connections = new Connections({ answerTimeoutMs: p.answerTimeoutMs ?? HTTP_DEFAULTS.answerTimeoutMs });
  }

  /** Resolves with the port. Throws config_invalid where the address can't be bound. */
  async listen(p: { host: string; port: number }): Promise<number> {
    const server = createServer(NODE_OPTIONS);
    // One more than is allowed, so that it is seen; Node leaves out what is past it without a word.
    server.maxHeadersCount = HTTP_DEFAULTS.maxHeaders + 1;
    server.maxConnections = this.#maxConnections;
    this.#heed(server);
    await bind(server, p);
    server.on("error", (error) => this.#log.error({ err: error.message }, "the listening socket failed"));
    this.#server = server;
    return (server.address() as AddressInfo).port;
  }

  #heed(server: Server): void {
    server.on("connection", (socket) => this.#connections.add(socket));
    server.on("drop", () => this.#dropped());
    server.on("request", (req, res) => this.#take(req, res));
    server.on("checkContinue", (req, res) => {
      expectsContinue({ req });
      this.#take(req, res);
    });
    server.on("checkExpectation", (req, res) => this.#take(req, res));
    server.on("clientError", (error, socket) => this.#connections.refuse(socket as Socket, parserProblem(error)));
    server.on("connect", (_req, socket) =>
      this.#connections.refuse(
        socket as Socket,
        new AthanorError("method_not_allowed", "this server is no proxy: it takes no CONNECT"),
      ),
    );
    server.on("timeout", (socket) => this.#connections.silent(socket));
  }

  /** Ends exchanges whose client stalls. By itself it looks every `slowCheckMs`; `now` is of performance.now(). */
  checkSlow(now: number): void {
    this.#connections.checkSlow(now);
  }

  /** Takes no more connections; cuts those that are still busy after `graceMs`. Repeatable. */
  async close(p: { graceMs: number }): Promise<void> {
    const server = this.#server;
    if (!server) return;
    this.#server = null;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    // Node counts a connection that has not sent a request yet as busy, so the idle ones are closed here.
    this.#connections.endIdle();
    const cut = setTimeout(() => this.#connections.endAll(), p.graceMs);
    await closed;
    clearTimeout(cut);
    this.#connections.endAll();
  }

  #take(req: IncomingMessage, res: ServerResponse): void {
    if (!this.#connections.begin(req, res)) return;
    // A client that resets its connection is no fault of the server.
    res.on("error", ignore);
    req.on("error", ignore);
    res.on("close", () => {
      this.#connections.end(req, res);
      // A connection whose answer was under way when the server began to close is idle from now on.
      if (this.#server === null) req.socket.destroySoon();
    });
    let x: Exchange;
    try {
      x = new Exchange(req, res);
    } catch (error) {
      this.#connections.last(req);
      refuseRequest(res, error as AthanorError);
      return;
    }
    if (this.#server === null) res.setHeader("connection", "close");
    try {
      const done = this.#handle(x);
      if (done) done.catch((error: unknown) => sendProblem(x, error, this.#log));
    } catch (error) {
      sendProblem(x, error, this.#log);
    }
  }

  #dropped(): void {
    const now = performance.now();
    if (this.#dropsToldAt !== 0 && now - this.#dropsToldAt < DROP_LOG_MS) return;
    this.#dropsToldAt = now;
    this.#log.warn(
      { maxConnections: this.#maxConnections },
      "connections are closed at once: as many as are allowed are open; raise --max-connections, and the limit of open files",
    );
  }
}

const ignore = (): void => {};

async function bind(server: Server, p: { host: string; port: number }): Promise<void> {
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
  server.removeAllListeners("error");
}

function bindHint(error: NodeJS.ErrnoException): string {
  if (error.code === "EADDRINUSE") return "Stop what uses the port, or give another with --port (0: any free one).";
  return "Give an address of this machine with --host, and a port that you may use with --port.";
}
