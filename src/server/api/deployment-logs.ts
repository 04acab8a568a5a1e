import type { LogLine, Page } from "../../protocol/wire.ts";
import { sendJson } from "../http/answer.ts";
import { type ServerSentEvent, sendEventStream } from "../http/event-stream.ts";
import { type ApiCall, numberQuery } from "./route.ts";

/** Lines that may wait for a slow follower; then the oldest are dropped. */
const MAX_WAITING_LINES = 1000;

export async function readLogs(call: ApiCall, deployment: number): Promise<void> {
  const items = await call.context.logs.tail(deployment, filterOf(call));
  const page: Page<LogLine> = { items, next_cursor: null };
  sendJson(call.x, 200, page);
}

export async function followLogs(call: ApiCall, deployment: number): Promise<void> {
  const { x, context } = call;
  const stop = AbortSignal.any([x.signal, context.stopping]);
  await sendEventStream(x, lines(call, deployment, stop), context.stopping);
}

function filterOf(call: ApiCall): { limit: number; function: string | null } {
  return {
    limit: numberQuery(call, "limit", { min: 0, max: 10_000, fallback: 1000 }),
    function: call.query.get("function"),
  };
}

async function* lines(call: ApiCall, deployment: number, stop: AbortSignal): AsyncGenerator<ServerSentEvent> {
  const { logs } = call.context;
  const filter = filterOf(call);
  const tail = await logs.tail(deployment, filter);
  const waiting: LogLine[] = [];
  let wake = Promise.withResolvers<void>();
  const onStop = (): void => wake.resolve();
  stop.addEventListener("abort", onStop);
  const unfollow = logs.follow(deployment, (line) => {
    if (filter.function !== null && line.function !== filter.function) return;
    if (waiting.length >= MAX_WAITING_LINES) waiting.shift();
    waiting.push(line);
    wake.resolve();
  });
  try {
    for (const line of tail) yield { event: "log", data: line };
    while (!stop.aborted) {
      for (let line = waiting.shift(); line; line = waiting.shift()) yield { event: "log", data: line };
      await wake.promise;
      wake = Promise.withResolvers<void>();
    }
  } finally {
    unfollow();
    stop.removeEventListener("abort", onStop);
  }
}
