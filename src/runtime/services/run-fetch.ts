import { AthanorError } from "../../protocol/errors.ts";
import { isResponse } from "../http.ts";
import { sendResponse } from "../http-answer.ts";
import type { HttpAnswer, HttpCaller, HttpRequestHead } from "../http-face.ts";
import { webRequest } from "../http-request.ts";
import { FetchContext } from "./fetch-context.ts";
import { type FetchHandler, whatIs } from "./fetch-handler.ts";
import type { SwitchingSocket } from "./switching-socket.ts";
import type { Upgrade } from "./web-socket.ts";

/** One request of a `fetch` service, whichever way it came. */
export interface FetchCall {
  call: HttpCaller;
  open: HttpRequestHead;
  handler: FetchHandler;
  answer: HttpAnswer & {
    /** The answer is whole, and the call goes on without it. */
    end(): void;
  };
  /** The client's connection, where it asks to switch to WebSocket. */
  socket(): SwitchingSocket;
  /** Told of each WebSocket as it opens. */
  opened?: (webSocket: Upgrade) => void;
  onError(error: unknown): void;
}

/** Runs the handler and sends its answer. Never throws: whatever is thrown is answered, and told to `onError`. */
export async function runFetch(p: FetchCall): Promise<void> {
  const { call, open, answer, handler, onError } = p;
  const context = new FetchContext(open.requestId);
  let upgrade: Upgrade | null = null;
  try {
    const request = webRequest(open, call, true);
    if (open.upgrade === "websocket")
      upgrade = new (await import("./web-socket.ts")).Upgrade(p.socket(), open, request);
    const response = await handler(request, process.env, context);
    if (!isResponse(response))
      throw new AthanorError(
        "output_invalid",
        `${open.function} returned ${whatIs(response)}, but must return a Response`,
      );
    if (upgrade?.isAnsweredBy(response)) {
      p.opened?.(upgrade);
      await upgrade.serve(answer, response);
    } else {
      upgrade?.cut();
      await sendResponse({ answer, call, open, response });
      if (context.isWaiting) answer.end();
    }
  } catch (error) {
    upgrade?.cut();
    onError(error);
    answer.fail(toProblemError(error, open.function));
  }
  await context.settled(onError);
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
