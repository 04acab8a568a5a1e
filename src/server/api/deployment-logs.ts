import { NewestBuffer } from "../../protocol/lines.ts";
import type { LogLine, Page } from "../../protocol/wire.ts";
import { sendJson } from "../http/answer.ts";
import { type FrameSource, frame } from "../http/event-stream.ts";
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
  const filter = filterOf(call);
  const tail = await context.logs.tail(deployment, filter);
  context.streams.send(
    x,
    (wake) => new LogFollower(tail, filter.function, wake, (listener) => context.logs.follow(deployment, listener)),
  );
}

function filterOf(call: ApiCall): { limit: number; function: string | null } {
  return {
    limit: numberQuery(call, "limit", { min: 0, max: 10_000, fallback: 1000 }),
    function: call.query.get("function"),
  };
}

/** The last lines, then new ones as they come; of those that wait for a slow client the newest. */
class LogFollower implements FrameSource {
  readonly loading = false;
  readonly error = null;
  over = false;
  readonly #new = new NewestBuffer<LogLine>(MAX_WAITING_LINES, Number.POSITIVE_INFINITY);
  readonly #unfollow: () => void;
  #lines: Iterator<LogLine>;

  constructor(
    tail: LogLine[],
    only: string | null,
    wake: () => void,
    follow: (listener: (line: LogLine) => void) => () => void,
  ) {
    this.#lines = tail.values();
    this.#unfollow = follow((line) => {
      if (only !== null && line.function !== only) return;
      this.#new.push(line, 0);
      wake();
    });
  }

  take(): Uint8Array | null {
    let next = this.#lines.next();
    if (next.done && this.#new.size > 0) {
      this.#lines = this.#new.take().items.values();
      next = this.#lines.next();
    }
    return next.done ? null : frame({ event: "log", data: next.value });
  }

  close(): void {
    this.over = true;
    this.#unfollow();
  }
}
