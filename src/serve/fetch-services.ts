import { HOP_DEFAULTS } from "../protocol/defaults.ts";
import { AthanorError } from "../protocol/errors.ts";
import { CloseCode } from "../protocol/websocket.ts";
import type { LoadedApp } from "../runtime/load.ts";
import { type FetchHandler, fetchHandlerOf } from "../runtime/services/fetch-handler.ts";
import { type FetchCall, runFetch } from "../runtime/services/run-fetch.ts";
import type { Upgrade } from "../runtime/services/web-socket.ts";

/**
 * The `fetch` services of an app in this process. The others bind addresses and run programs, which a server is for.
 *
 *   open --leave()--> leaving: open WebSockets are told 1001, and so is each that opens from then on --goodbyeMs--> cut
 */
export class FetchServices {
  readonly #loaded: LoadedApp;
  readonly #handlers = new Map<string, FetchHandler>();
  readonly #webSockets = new Set<Upgrade>();
  #leaving = false;

  constructor(loaded: LoadedApp) {
    this.#loaded = loaded;
  }

  /** Makes each handler. Throws what a factory throws, and `startup_failed`. */
  async start(): Promise<void> {
    for (const [name, { spec, call }] of this.#loaded.functions)
      if (spec.kind === "fetch") this.#handlers.set(name, fetchHandlerOf(await call(), name));
  }

  async answer(p: Omit<FetchCall, "handler" | "opened">): Promise<void> {
    const handler = this.#handlers.get(p.open.function);
    if (handler === undefined)
      throw new AthanorError(
        "service_unsupported",
        `${p.open.function} is no fetch service, and so is not served here`,
      );
    let open: Upgrade | null = null;
    const opened = (webSocket: Upgrade): void => {
      open = webSocket;
      this.#webSockets.add(webSocket);
      if (this.#leaving) this.#leave(webSocket);
    };
    await runFetch({ ...p, handler, opened });
    if (open !== null) this.#webSockets.delete(open);
    p.answer.end();
  }

  /** Says goodbye to the clients of WebSockets, and cuts those that do not answer in time. */
  leave(): void {
    this.#leaving = true;
    for (const webSocket of this.#webSockets) this.#leave(webSocket);
  }

  #leave(webSocket: Upgrade): void {
    webSocket.leave(CloseCode.goingAway, "the server stops");
    setTimeout(() => {
      if (this.#webSockets.has(webSocket)) webSocket.cut();
    }, HOP_DEFAULTS.goodbyeMs).unref();
  }
}
