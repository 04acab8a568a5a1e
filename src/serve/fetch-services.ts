import { AthanorError } from "../protocol/errors.ts";
import { isResponse } from "../runtime/http.ts";
import { sendResponse } from "../runtime/http-answer.ts";
import type { HttpRequestHead } from "../runtime/http-face.ts";
import { webRequest } from "../runtime/http-request.ts";
import type { LoadedApp } from "../runtime/load.ts";
import { FetchContext } from "../runtime/services/fetch-context.ts";
import { type FetchHandler, fetchHandlerOf, whatIs } from "../runtime/services/fetch-handler.ts";
import type { ExchangeAnswer } from "./answer.ts";
import type { LocalCall } from "./local-call.ts";

/** The `fetch` services of an app in this process. The others bind addresses and run programs, which a server is for. */
export class FetchServices {
  readonly #loaded: LoadedApp;
  readonly #handlers = new Map<string, FetchHandler>();

  constructor(loaded: LoadedApp) {
    this.#loaded = loaded;
  }

  /** Makes each handler. Throws what a factory throws, and `startup_failed`. */
  async start(): Promise<void> {
    for (const [name, { spec, call }] of this.#loaded.functions)
      if (spec.kind === "fetch") this.#handlers.set(name, fetchHandlerOf(await call(), name));
  }

  async answer(p: {
    call: LocalCall;
    open: HttpRequestHead;
    answer: ExchangeAnswer;
    onError: (error: unknown) => void;
  }): Promise<void> {
    const { open, answer, onError } = p;
    const handler = this.#handlers.get(open.function);
    if (handler === undefined)
      throw new AthanorError("service_unsupported", `${open.function} is no fetch service, and so is not served here`);
    const context = new FetchContext(open.requestId);
    try {
      const response = await handler(webRequest(open, p.call, true), process.env, context);
      if (!isResponse(response))
        throw new AthanorError("output_invalid", `${open.function} returned ${whatIs(response)}, not a Response`);
      await sendResponse({ ...p, response });
      answer.end();
    } catch (error) {
      onError(error);
      const isOwn = error instanceof AthanorError && error.status !== 500;
      answer.fail(isOwn ? error : new AthanorError("handler_error", `${open.function} failed; its log says more`));
    }
    await context.settled(onError);
  }
}
