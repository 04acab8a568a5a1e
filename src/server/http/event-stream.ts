import { SERVER_DEFAULTS } from "../../protocol/defaults.ts";
import { writeWithBackPressure } from "./answer.ts";
import type { Exchange } from "./exchange.ts";

export interface ServerSentEvent {
  id?: number;
  event: string;
  data: unknown;
}

/**
 * Sends events as they come, each once the client's connection has room for it, and a comment every 15 s that keeps proxies from closing a silent
 * one. The head is sent when the first event or heartbeat is due, so an error before that is still answered as a problem.
 */
export async function sendEventStream(
  x: Exchange,
  events: AsyncGenerator<ServerSentEvent>,
  stopping: AbortSignal,
): Promise<void> {
  const { res } = x;
  const gone = AbortSignal.any([x.signal, stopping]);
  const open = (): void => {
    if (res.headersSent) return;
    res.writeHead(200, {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-cache, no-transform",
      "x-accel-buffering": "no",
      "x-request-id": x.requestId,
    });
    res.flushHeaders();
  };
  if (x.method === "HEAD") {
    open();
    res.end();
    await events.return(undefined);
    return;
  }
  // An event that is there at once is sent with the head; where none is, the client sees the head all the same.
  const opening = setImmediate(() => setImmediate(open));
  const heartbeat = setInterval(() => {
    open();
    if (!res.writableNeedDrain && !res.destroyed) res.write(":\n\n");
  }, SERVER_DEFAULTS.sseHeartbeatMs);
  try {
    for await (const event of events) {
      open();
      if (!(await writeWithBackPressure(res, eventText(event), gone))) break;
    }
    open();
    res.end();
  } finally {
    clearImmediate(opening);
    clearInterval(heartbeat);
  }
}

function eventText({ id, event, data }: ServerSentEvent): string {
  return `${id === undefined ? "" : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}
