import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { HTTP_DEFAULTS } from "../../protocol/defaults.ts";
import { AthanorError } from "../../protocol/errors.ts";
import { refuseRequest } from "./answer.ts";
import { awaitsContinue } from "./body.ts";
import { refuse } from "./refusal.ts";

/** One connection of HTTP/1.1, whose requests may come in a pipeline, and their answers leave in their order; or one stream of HTTP/2. */
interface Connection {
  readonly socket: Socket;
  /** The newest request whose answer is not complete. */
  req: IncomingMessage | null;
  res: ServerResponse | null;
  /** Answers that are not complete. */
  pending: number;
  /** It carries another protocol, until it ends. */
  switched: boolean;
  /** It ends with the answers that it has; what else comes on it is no request. */
  ending: boolean;
  /** When the body under way, and the answer, last went on, and where they were then. */
  bodyAt: number;
  bodyBytes: number;
  answerAt: number;
  answerBytes: number;
}

const fresh = (socket: Socket): Connection => ({
  socket,
  req: null,
  res: null,
  pending: 0,
  switched: false,
  ending: false,
  bodyAt: 0,
  bodyBytes: 0,
  answerAt: 0,
  answerBytes: 0,
});

/**
 * What is under way on each connection, which says when one may be ended, and how.
 *
 *   idle --a request--> busy --its answer is complete--> idle
 *   busy --bytes that are no request, a request that is refused--> ending: the answers before it leave, then the refusal, then it is closed
 *   busy --a switch of protocols--> switched: busy until it ends
 *   busy --its body, or the reader of its answer, stalls--> refused with 408, or cut
 */
export class Connections {
  readonly #all = new Map<object, Connection>();
  readonly #answerTimeoutMs: number;
  #timer: NodeJS.Timeout | null = null;

  constructor(p: { answerTimeoutMs: number }) {
    this.#answerTimeoutMs = p.answerTimeoutMs;
  }

  add(socket: Socket): void {
    this.#all.set(socket, fresh(socket));
    socket.once("close", () => this.#all.delete(socket));
    this.#watch();
  }

  #watch(): void {
    this.#timer ??= setInterval(() => this.checkSlow(performance.now()), HTTP_DEFAULTS.slowCheckMs).unref();
  }

  /** False where the connection takes no more requests: this one is not to be heeded. */
  begin(req: IncomingMessage, res: ServerResponse): boolean {
    const connection = this.#all.get(req.socket);
    if (connection === undefined) return false;
    if (connection.ending) return false;
    if (connection.pending >= HTTP_DEFAULTS.maxPipelined) {
      connection.socket.destroy();
      return false;
    }
    connection.req = req;
    connection.res = res;
    connection.pending++;
    connection.bodyAt = 0;
    return true;
  }

  /** A stream's slow body is told by what its connection brings; its slow reader by the connection's own timer. */
  beginStream(req: IncomingMessage, res: ServerResponse, socket: Socket): void {
    if (req.complete) return;
    this.#all.set(req, { ...fresh(socket), req, res });
    req.once("close", () => this.#all.delete(req));
    this.#watch();
  }

  isBusy(socket: Socket): boolean {
    return (this.#all.get(socket)?.pending ?? 0) > 0;
  }

  end(req: IncomingMessage, res: ServerResponse): void {
    const connection = this.#all.get(req.socket);
    if (connection === undefined) return;
    connection.pending--;
    if (connection.res !== res) return;
    connection.req = null;
    connection.res = null;
  }

  /** It has become a WebSocket, and so is busy for as long as it is open. */
  switched(socket: Socket): void {
    const connection = this.#all.get(socket);
    if (connection === undefined) return;
    connection.switched = true;
    connection.req = null;
    connection.res = null;
  }

  /** No request after this one: its answer is the connection's last. */
  last(req: IncomingMessage): void {
    const connection = this.#all.get(req.socket);
    if (connection !== undefined) connection.ending = true;
  }

  /** Answers bytes that are no request, after all that was asked before them. */
  refuse(socket: Socket, error: AthanorError): void {
    const connection = this.#all.get(socket);
    // Its TLS handshake failed: there is no protocol to answer in.
    if (connection === undefined) {
      socket.destroy();
      return;
    }
    connection.ending = true;
    const { req, res } = connection;
    if (req === null || res === null) refuse(socket, error);
    // They came after the newest request, whose answer is awaited.
    else if (req.complete) res.once("close", () => refuse(socket, error));
    // They came in the place of its body. Once an answer has begun, another would be read as part of it; so would one before its turn.
    else if (res.headersSent || res.socket === null) socket.destroy();
    else refuse(socket, error);
  }

  /** Ends those that nothing is under way on. */
  endIdle(): void {
    for (const { socket, pending, req } of this.#all.values()) if (pending === 0 && req === null) socket.destroy();
  }

  endAll(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    for (const { socket } of [...this.#all.values()]) socket.destroy();
  }

  /** Node's own timer of a connection is over: it was idle, or its client took nothing of an answer. */
  silent(socket: Socket): void {
    const connection = this.#all.get(socket);
    if (connection === undefined || connection.pending === 0 || socket.writableLength > 0) socket.destroy();
    else socket.setTimeout(0);
  }

  /** All in one go, so that a request that is not slow costs nothing. */
  checkSlow(now: number): void {
    for (const [key, connection] of this.#all) {
      if (connection.req === null && !connection.switched) continue;
      if (connection.req !== null && !connection.req.complete) this.#checkBody(connection, now);
      if (key === connection.socket && connection.socket.writableLength > 0) this.#checkReader(connection, now);
    }
  }

  #checkBody(connection: Connection, now: number): void {
    const { req, res, socket } = connection;
    if (req === null || res === null) return;
    // It is the server that does not read on, or the client may wait for the answer's first bytes with the rest.
    const excused = res.headersSent || awaitsContinue(req) || req.readableLength > 0 || socket.isPaused();
    const brought = socket.bytesRead - connection.bodyBytes;
    if (connection.bodyAt === 0 || excused || brought >= HTTP_DEFAULTS.minBodyBytes) {
      connection.bodyAt = now;
      connection.bodyBytes = socket.bytesRead;
    } else if (now - connection.bodyAt >= HTTP_DEFAULTS.bodyTimeoutMs) {
      const seconds = HTTP_DEFAULTS.bodyTimeoutMs / 1000;
      const error = new AthanorError(
        "request_timeout",
        `the body brought ${brought} bytes in ${seconds} s, and is not complete`,
      );
      // Past this answer, which is not sent: for the access log.
      res.statusCode = error.status;
      if (this.#all.has(socket)) this.refuse(socket, error);
      else refuseRequest(res, error, true);
    }
  }

  /** Of one large write nothing is seen here until all of it has left; Node's own timer sees each part, and so has the last word. */
  #checkReader(connection: Connection, now: number): void {
    const { socket } = connection;
    const taken = socket.bytesWritten - socket.writableLength;
    if (connection.answerAt === 0 || taken !== connection.answerBytes) {
      connection.answerAt = now;
      connection.answerBytes = taken;
    } else if (now - connection.answerAt >= this.#answerTimeoutMs / 2) {
      socket.setTimeout(this.#answerTimeoutMs / 2);
      connection.answerAt = 0;
    }
  }
}
