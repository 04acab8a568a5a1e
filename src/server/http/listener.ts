/**
 * A listening socket, of HTTP/1.1 or, with TLS, also of HTTP/2.
 *
 *   closed --listen()--> listening --close()--> closing (open exchanges go on, idle connections are cut) --last one ends or graceMs--> closed
 */
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Http2SecureServer, Http2ServerRequest, ServerHttp2Stream } from "node:http2";
import type { AddressInfo, Server as NetServer, Socket } from "node:net";
import { HTTP_DEFAULTS } from "../../protocol/defaults.ts";
import { AthanorError } from "../../protocol/errors.ts";
import type { Log } from "../log.ts";
import type { AccessLog } from "./access-log.ts";
import { refuseRequest, sendProblem } from "./answer.ts";
import { expectsContinue } from "./body.ts";
import { Connections } from "./connections.ts";
import { Exchange } from "./exchange.ts";
import { HTTP2_OPTIONS, Http2Sessions, http2Response } from "./http2.ts";
import { parserProblem } from "./refusal.ts";
import { asksForWebSocketStream, StreamUpgrade } from "./stream-upgrade.ts";
import type { TlsKeyPair } from "./tls.ts";
import { asksForWebSocket, Upgrade } from "./upgrade.ts";

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
  // A request without a body is no stream that has to be read to its end.
  optimizeEmptyRequests: true,
};

export interface ListenerOptions {
  handle: Handler;
  log: Log;
  /** Null: plain HTTP/1.1. */
  tls?: TlsKeyPair | null;
  accessLog?: AccessLog | null;
  maxConnections?: number;
  answerTimeoutMs?: number;
}

export class Listener {
  readonly #log: Log;
  readonly #handle: Handler;
  readonly #tls: TlsKeyPair | null;
  readonly #accessLog: AccessLog | null;
  readonly #maxConnections: number;
  readonly #connections: Connections;
  readonly #sessions = new Http2Sessions();
  /** Of TLS, whose connections are known to the others once their handshake is done. */
  readonly #sockets = new Set<Socket>();
  #server: Server | Http2SecureServer | null = null;
  #dropsToldAt = 0;

  constructor(p: ListenerOptions) {
    this.#handle = p.handle;
    this.#log = p.log;
    this.#tls = p.tls ?? null;
    this.#accessLog = p.accessLog ?? null;
    this.#maxConnections = p.maxConnections ?? HTTP_DEFAULTS.maxConnections;
    this.#connections = new Connections({ answerTimeoutMs: p.answerTimeoutMs ?? HTTP_DEFAULTS.answerTimeoutMs });
  }

  /** Resolves with the port. Throws config_invalid where the address can't be bound. */
  async listen(p: { host: string; port: number }): Promise<number> {
    const server = this.#tls === null ? this.#plainServer() : this.#secureServer(this.#tls);
    server.maxConnections = this.#maxConnections;
    this.#heed(server as Server);
    await bind(server, p);
    server.on("error", (error: Error) => this.#log.error({ err: error.message }, "the listening socket failed"));
    this.#server = server;
    return (server.address() as AddressInfo).port;
  }

  #plainServer(): Server {
    const server = createServer({ ...NODE_OPTIONS, shouldUpgradeCallback: this.#maySwitch });
    server.on("connection", (socket) => this.#connections.add(socket));
    return server;
  }

  #secureServer(tls: TlsKeyPair): Http2SecureServer {
    const { createSecureServer } = process.getBuiltinModule("node:http2");
    const server = createSecureServer({
      ...HTTP2_OPTIONS,
      ...tls.current,
      Http2ServerResponse: http2Response(),
      // Some of these Node takes from here alone, and some from above.
      http1Options: NODE_OPTIONS,
      ...NODE_OPTIONS,
    });
    // Node has its own in the place of the one above.
    (server as unknown as { shouldUpgradeCallback: unknown }).shouldUpgradeCallback = this.#maySwitch;
    tls.follow((pair) => server.setSecureContext(pair));
    server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
    server.on("secureConnection", (socket) => {
      if (socket.alpnProtocol !== "h2") this.#connections.add(socket);
    });
    this.#sessions.heed(server);
    return server;
  }

  /** What both kinds of server have in common. */
  #heed(server: Server): void {
    // One more than is allowed, so that it is seen; Node leaves out what is past it without a word.
    server.maxHeadersCount = HTTP_DEFAULTS.maxHeaders + 1;
    server.on("drop", () => this.#dropped());
    server.on("request", (req, res) => this.#take(req, res));
    server.on("checkContinue", (req, res) => {
      expectsContinue({ req });
      this.#take(req, res);
    });
    server.on("upgrade", (req, socket, head) => {
      const connection = socket as Socket;
      const { res, upgrade } = Upgrade.begin(req, {
        socket: connection,
        head,
        taken: () => {
          res.statusCode = 101;
          this.#connections.switched(connection);
        },
      });
      this.#take(req, res, upgrade);
    });
    server.on("checkExpectation", (req, res) => this.#take(req, res));
    server.on("clientError", (error, socket) => this.#refuse(socket as Socket, parserProblem(error)));
    server.on("connect", (req, socket) => {
      if (req.httpVersion === "2.0" && asksForWebSocketStream(req)) {
        const res = socket as unknown as ServerResponse;
        const { stream } = req as unknown as Http2ServerRequest;
        this.#take(req, res, new StreamUpgrade(stream as ServerHttp2Stream, res));
        return;
      }
      const error = new AthanorError("method_not_allowed", "this server is no proxy: it takes no CONNECT");
      if (req.httpVersion === "2.0") refuseRequest(socket as unknown as ServerResponse, error, true);
      else this.#refuse(socket as Socket, error);
    });
    server.on("timeout", (socket) => this.#connections.silent(socket));
  }

  /** Node would give the connection away under an answer that is still due on it; there the request is answered as any other (RFC 9110, 7.8). */
  readonly #maySwitch = (req: IncomingMessage): boolean =>
    asksForWebSocket(req) && !this.#connections.isBusy(req.socket);

  #refuse(socket: Socket, error: AthanorError): void {
    this.#accessLog?.refused({ req: null, socket, error });
    this.#connections.refuse(socket, error);
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
    this.#tls?.stop();
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    // Node counts a connection that has not sent a request yet as busy, so the idle ones are closed here.
    this.#connections.endIdle();
    this.#sessions.close();
    const cut = setTimeout(() => this.#cut(), p.graceMs);
    await closed;
    clearTimeout(cut);
    this.#cut();
  }

  #cut(): void {
    this.#connections.endAll();
    this.#sessions.destroy();
    for (const socket of this.#sockets) socket.destroy();
  }

  #take(req: IncomingMessage, res: ServerResponse, upgrade: Upgrade | StreamUpgrade | null = null): void {
    const stream = (req as unknown as Http2ServerRequest).stream as ServerHttp2Stream | undefined;
    if (upgrade instanceof StreamUpgrade) {
      // It has no body that could be slow.
    } else if (stream !== undefined) this.#connections.beginStream(req, res, stream.session?.socket as Socket);
    else if (!this.#connections.begin(req, res)) return;
    // A client that resets its connection is no fault of the server.
    res.on("error", ignore);
    req.on("error", ignore);
    let x: Exchange | null = null;
    const logEnd = (): void => {
      if (x !== null) this.#accessLog?.end(x);
    };
    if (upgrade instanceof Upgrade) req.socket.once("close", logEnd);
    res.on("close", () => {
      if (!(upgrade instanceof Upgrade)) logEnd();
      if (stream !== undefined) return;
      this.#connections.end(req, res);
      // A connection whose answer was under way when the server began to close is idle from now on.
      if (this.#server === null) req.socket.destroySoon();
    });
    try {
      x = new Exchange(req, res, upgrade);
    } catch (error) {
      this.#accessLog?.refused({ req, socket: req.socket, error: error as AthanorError });
      this.#connections.last(req);
      refuseRequest(res, error as AthanorError, stream !== undefined);
      return;
    }
    // Node lets go what it has read behind a request that could have switched and does not.
    if (upgrade === null && stream === undefined && asksForWebSocket(req)) {
      this.#connections.last(req);
      res.shouldKeepAlive = false;
    }
    this.#accessLog?.begin(x);
    this.#serve(x);
  }

  #serve(x: Exchange): void {
    if (this.#server === null && !x.isHttp2) x.res.setHeader("connection", "close");
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

async function bind(server: NetServer, p: { host: string; port: number }): Promise<void> {
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
