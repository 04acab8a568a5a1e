import { AthanorError } from "../../protocol/errors.ts";
import type { OpenHttp } from "../../protocol/replica.ts";
import type { Call } from "../call.ts";
import { isResponse, report } from "../http.ts";
import { sendResponse } from "../http-answer.ts";
import { HttpHead } from "../http-head.ts";
import { webRequest } from "../http-request.ts";
import type { Logs } from "../logs.ts";
import { FetchContext } from "./fetch-context.ts";
import { type FetchHandler, whatIs } from "./fetch-handler.ts";
import type { Upgrade } from "./web-socket.ts";

/** Runs one request of a `fetch` service and sends its answer. Never throws. */
export async function runFetch(p: { call: Call; open: OpenHttp; handler: FetchHandler; logs: Logs }): Promise<void> {
  const { call, open, handler, logs } = p;
  const answer = new HttpHead(call);
  const context = new FetchContext(open.requestId);
  let upgrade: Upgrade | null = null;
  try {
    const request = webRequest(open, call, true);
    if (open.upgrade === "websocket") upgrade = new (await import("./web-socket.ts")).Upgrade(call, open, request);
    const response = await handler(request, process.env, context);
    if (!isResponse(response))
      throw new AthanorError(
        "output_invalid",
        `${open.function} returned ${whatIs(response)}, but must return a Response`,
      );
    if (upgrade?.isAnsweredBy(response)) await upgrade.serve(answer, response);
    else {
      upgrade?.refuse();
      await sendResponse({ answer, call, open, response });
      if (context.isWaiting) answer.end();
    }
  } catch (error) {
    upgrade?.refuse();
    report(error, call, logs);
    answer.fail(toProblemError(error, open.function));
  }
  await context.settled((error) => report(error, call, logs));
  logs.finish(call);
}

/** What the code did wrong is for the log; the client, who may be anyone, is told only that it is there. */
function toProblemError(error: unknown, name: string): AthanorError {
  if (error instanceof AthanorError && error.status !== 500) return error;
  const code = error instanceof AthanorError && error.code === "output_invalid" ? "output_invalid" : "handler_error";
  return new AthanorError(
    code,
    `${name} ${code === "output_invalid" ? "returned no Response" : "threw an error"}; its log says more`,
  );
}
