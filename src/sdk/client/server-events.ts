import type { ServerEventType, ServerWatchEvent } from "../../protocol/server-event.ts";
import type { Api } from "./api.ts";
import { messages } from "./sse.ts";

export interface ServerEventOptions {
  /** Only these types; snapshots and resets come in any case. Default: all. */
  events?: readonly ServerEventType[] | undefined;
  /** Of this app alone. */
  app?: string | undefined;
  /** Go on after this event. Default: begin with a snapshot. */
  after?: string | undefined;
  signal?: AbortSignal | undefined;
}

/** The server's event stream through broken connections. Where it restarts in between, a `stream.reset` and a new snapshot tell of it. */
export async function* serverEvents(
  api: Api,
  options: ServerEventOptions,
): AsyncGenerator<ServerWatchEvent, void, undefined> {
  let cursor = options.after ?? null;
  const connect = (signal: AbortSignal) =>
    api.send("GET", "/v1/events", {
      query: { events: options.events?.join(","), app: options.app },
      headers: { accept: "text/event-stream", ...(cursor === null ? {} : { "last-event-id": cursor }) },
      signal,
    });
  for await (const message of messages({ url: api.url, signal: options.signal, connect })) {
    cursor = message.id;
    if (message.event !== null) yield message as ServerWatchEvent;
  }
}
