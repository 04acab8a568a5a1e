import { writeWithBackPressure } from "./answer.ts";
import type { Exchange } from "./exchange.ts";

/**
 * An answer of lines of JSON (`application/x-ndjson`). The lines of one turn of the event loop leave in one write.
 *
 *   gathering --begin()--> open: the head is sent, and lines as they come --end()--> ended, once all is written
 */
export class LineStream<T> {
  readonly #x: Exchange;
  #lines: string[] = [];
  #open = false;
  #scheduled = false;
  #writing: Promise<unknown> = Promise.resolve();

  constructor(x: Exchange) {
    this.#x = x;
  }

  add(value: T): void {
    this.#lines.push(JSON.stringify(value));
    if (this.#open) this.#schedule();
  }

  begin(): void {
    const { res } = this.#x;
    if (res.headersSent || res.destroyed) return;
    this.#open = true;
    res.writeHead(200, {
      "content-type": "application/x-ndjson; charset=utf-8",
      "cache-control": "no-store",
      "x-accel-buffering": "no",
      "x-request-id": this.#x.requestId,
    });
    // With the first lines, where there are some already.
    if (this.#lines.length > 0) this.#write();
    else res.flushHeaders();
  }

  async end(): Promise<void> {
    this.#write();
    await this.#writing;
    this.#x.res.end();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#write();
    });
  }

  #write(): void {
    if (this.#lines.length === 0) return;
    const text = `${this.#lines.join("\n")}\n`;
    this.#lines = [];
    this.#writing = this.#writing.then(() => writeWithBackPressure(this.#x.res, text, this.#x.signal));
  }
}
