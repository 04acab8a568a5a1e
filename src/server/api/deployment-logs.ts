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
  const follower = new LogFollower(filter.function);
  x.res.once("close", () => follower.close());
  follower.lines = (await context.logs.tail(deployment, filter, follower)).values();
  context.streams.send(x, (wake) => {
    follower.wake = wake;
    return follower;
  });
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
  lines: Iterator<LogLine> = [].values();
  wake = (): void => {};
  readonly #only: string | null;
  readonly #new = new NewestBuffer<LogLine>(MAX_WAITING_LINES, Number.POSITIVE_INFINITY);
  readonly #left = new AbortController();

  /** `only`: lines of this function. */
  constructor(only: string | null) {
    this.#only = only;
  }

  get signal(): AbortSignal {
    return this.#left.signal;
  }

  line(line: LogLine): void {
    if (this.#only !== null && line.function !== this.#only) return;
    this.#new.push(line, 0);
    this.wake();
  }

  take(): Uint8Array | null {
    let next = this.lines.next();
    if (next.done && this.#new.size > 0) {
      const { items, dropped } = this.#new.take();
      this.lines = (dropped === 0 ? items : [missedLine(dropped), ...items]).values();
      next = this.lines.next();
    }
    return next.done ? null : frame({ event: "log", data: next.value });
  }

  close(): void {
    this.over = true;
    this.#left.abort();
  }
}

function missedLine(count: number): LogLine {
  const line = `[athanor] ${count} lines came faster than this reader took them`;
  return { at: new Date().toISOString(), replica_id: "", function: null, job_id: null, stream: "stderr", line };
}
