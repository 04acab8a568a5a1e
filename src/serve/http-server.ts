import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { Socket } from "node:net";
import { HTTP_DEFAULTS } from "../protocol/defaults.ts";
import type { AthanorError } from "../protocol/errors.ts";
import { refuseRequest, sendProblem } from "../server/http/answer.ts";
import { expectsContinue } from "../server/http/body.ts";
import { Exchange } from "../server/http/exchange.ts";
import { parserProblem, refuse } from "../server/http/refusal.ts";
import { asksForWebSocket, Upgrade } from "../server/http/upgrade.ts";
import type { Log } from "../server/log.ts";

/** The newest answer of each connection. */
const newest = new WeakMap<Socket, ServerResponse>();

/** Node would give the connection away under an answer that is still due on it. */
const maySwitch = (req: IncomingMessage): boolean =>
  asksForWebSocket(req) && req.socket instanceof Socket && newest.get(req.socket)?.closed !== false;

const ignore = (): void => {};

/** Node's HTTP server with the checks and the problems of ours; not listening yet. */
export function exchangeServer(handle: (x: Exchange) => Promise<void> | void, log: Log): Server {
  const server = createServer({
    keepAliveTimeout: HTTP_DEFAULTS.keepAliveMs,
    headersTimeout: HTTP_DEFAULTS.headTimeoutMs,
    maxHeaderSize: HTTP_DEFAULTS.maxHeadBytes,
    requireHostHeader: false,
    noDelay: true,
    optimizeEmptyRequests: true,
    shouldUpgradeCallback: maySwitch,
  });
  server.maxHeadersCount = HTTP_DEFAULTS.maxHeaders + 1;
  const take = (req: IncomingMessage, res: ServerResponse, upgrade: Upgrade | null = null): void => {
    newest.set(req.socket, res);
    // Node lets go what it has read behind a request that could have switched and does not.
    if (upgrade === null && asksForWebSocket(req)) res.shouldKeepAlive = false;
    res.on("error", ignore);
    req.on("error", ignore);
    let x: Exchange;
    try {
      x = new Exchange(req, res, upgrade);
    } catch (error) {
      refuseRequest(res, error as AthanorError, false);
      return;
    }
    try {
      const done = handle(x);
      if (done) done.catch((error: unknown) => sendProblem(x, error, log));
    } catch (error) {
      sendProblem(x, error, log);
    }
  };
  server.on("request", (req, res) => take(req, res));
  server.on("upgrade", (req, socket, head) => {
    const { res, upgrade } = Upgrade.begin(req, { socket: socket as Socket, head, taken: ignore });
    take(req, res, upgrade);
  });
  server.on("checkContinue", (req, res) => {
    expectsContinue({ req });
    take(req, res);
  });
  server.on("checkExpectation", (req, res) => take(req, res));
  server.on("clientError", (error, socket) => refuse(socket, parserProblem(error)));
  return server;
}
