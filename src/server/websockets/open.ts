import { CloseCode } from "../../protocol/websocket.ts";

export interface OpenWebSocket {
  /** It is over, and with it what its replica has to do for it. */
  readonly done: Promise<void>;
  /** Says goodbye to the client, between two frames of the service's, and cuts the connection where the client does not answer in time. */
  leave(code: CloseCode, reason: string): void;
}

/** The open WebSockets, by what ends them, so that ten thousand of them are one listener of a signal. */
export class WebSockets {
  readonly #bySignal = new Map<AbortSignal, Set<OpenWebSocket>>();
  readonly #stopping: AbortSignal;

  constructor(stopping: AbortSignal) {
    this.#stopping = stopping;
    stopping.addEventListener("abort", () => {
      for (const ending of this.#bySignal.keys()) this.#leave(ending, "the server stops");
    });
  }

  /** `ending` aborts when those of its replica are to end. */
  add(webSocket: OpenWebSocket, ending: AbortSignal): void {
    const open = this.#openOf(ending);
    open.add(webSocket);
    void webSocket.done.then(() => {
      open.delete(webSocket);
      if (open.size === 0 && this.#bySignal.get(ending) === open) this.#bySignal.delete(ending);
    });
    // It was asked for before, and answered after.
    if (ending.aborted || this.#stopping.aborted) webSocket.leave(CloseCode.goingAway, "");
  }

  #openOf(ending: AbortSignal): Set<OpenWebSocket> {
    const known = this.#bySignal.get(ending);
    if (known) return known;
    const open = new Set<OpenWebSocket>();
    this.#bySignal.set(ending, open);
    ending.addEventListener("abort", () => this.#leave(ending, "a newer deployment is live"), { once: true });
    return open;
  }

  #leave(ending: AbortSignal, reason: string): void {
    for (const webSocket of this.#bySignal.get(ending) ?? []) webSocket.leave(CloseCode.goingAway, reason);
  }
}
