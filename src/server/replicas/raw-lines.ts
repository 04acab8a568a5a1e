import { NewestBuffer } from "../../protocol/lines.ts";
import type { LoggedLine } from "../../protocol/replica.ts";

const MAX_WAITING_LINES = 1000;
const MAX_WAITING_CHARS = 2 * 1024 * 1024;
/** After a burst of so many lines the next are gathered for a while. */
const BURST_LINES = 100;
const BURST_PAUSE_MS = 50;

/**
 * Lines that came through a replica's pipes, past its runtime: at the end of each turn they go on, and of a flood the newest only, so
 * that a subprocess that writes without end costs the server little.
 */
export class RawLines {
  readonly #onLine: (line: LoggedLine) => void;
  readonly #waiting = new NewestBuffer<LoggedLine>(MAX_WAITING_LINES, MAX_WAITING_CHARS);
  #scheduled = false;
  #pausedUntil = 0;

  constructor(onLine: (line: LoggedLine) => void) {
    this.#onLine = onLine;
  }

  push(line: LoggedLine): void {
    this.#waiting.push(line, line.line.length, 1 + (line.dropped ?? 0));
    if (this.#scheduled) return;
    this.#scheduled = true;
    const pauseMs = this.#pausedUntil - Date.now();
    if (pauseMs > 0) setTimeout(() => this.flush(), pauseMs);
    else setImmediate(() => this.flush());
  }

  flush(): void {
    this.#scheduled = false;
    const { items, dropped } = this.#waiting.take();
    const first = items[0];
    if (dropped > 0 && first) first.dropped = dropped + (first.dropped ?? 0);
    for (const line of items) this.#onLine(line);
    if (items.length > BURST_LINES) this.#pausedUntil = Date.now() + BURST_PAUSE_MS;
  }
}
