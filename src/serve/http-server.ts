import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { HTTP_DEFAULTS } from "../protocol/defaults.ts";
import type { AthanorError } from "../protocol/errors.ts";
import { refuseRequest, sendProblem } from "../server/http/answer.ts";
import { expectsContinue } from "../server/http/body.ts";
import { Exchange } from "../server/http/exchange.ts";
import { parserProblem, refuse } from "../server/http/refusal.ts";
import type { Log } from "../server/log.ts";

const ignore = (): void => {};

/** Node's HTTP server with the checks and the problems of ours; not listening yet. */
export function exchangeServer(handle: (x: Exchange) => Promise<void> | void, log: Log): Server {
  const server = createServer({
    keepAliveTimeout: HTTP_DEFAULTS.keepAliveMs,
    headersTimeout: HTTP_DEFAULTS.headTimeoutMs,
    maxHeaderSize: HTTP_DEFAULTS.maxHeadBytes,
    requireHostHeader: false,
    noDelay: true,
  });
  server.maxHeadersCount = HTTP_DEFAULTS.maxHeaders + 1;
  const take = (req: IncomingMessage, res: ServerResponse): void => {
    res.on("error", ignore);
    req.on("error", ignore);
    let x: Exchange;
    try {
      x = new Exchange(req, res);
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
  server.on("request", take);
  server.on("checkContinue", (req, res) => {
    expectsContinue({ req });
    take(req, res);
  });
  server.on("checkExpectation", take);
  server.on("clientError", (error, socket) => refuse(socket, parserProblem(error)));
  return server;
}
