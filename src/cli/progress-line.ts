import { stripVTControlCharacters } from "node:util";
import type { Streams } from "./output.ts";

const BAR_CELLS = 24;
const CLEAR_LINE = "\r\u001b[2K";

/** One line at the bottom of a terminal that is drawn again and again; other lines are written above it. */
export class ProgressLine {
  readonly #stream: Streams["stderr"];
  #drawn = "";

  constructor(stream: Streams["stderr"]) {
    this.#stream = stream;
  }

  update(fraction: number, message: string): void {
    const line = drawBar(fraction, message, this.#stream.columns ?? 80);
    if (line === this.#drawn) return;
    this.#stream.write(`${CLEAR_LINE}${line}`);
    this.#drawn = line;
  }

  /** Takes the line away while something else is written, and draws it again below. */
  around(write: () => void): void {
    if (this.#drawn !== "") this.#stream.write(CLEAR_LINE);
    write();
    if (this.#drawn !== "") this.#stream.write(this.#drawn);
  }

  /** Takes the line away. */
  clear(): void {
    if (this.#drawn !== "") this.#stream.write(CLEAR_LINE);
    this.#drawn = "";
  }
}

/** `██████░░░░  42%  reading page 1`, cut to the terminal's width so that it never wraps. */
export function drawBar(fraction: number, message: string, columns: number): string {
  const done = Math.round(Math.min(1, Math.max(0, fraction)) * BAR_CELLS);
  const percent = `${Math.round(fraction * 100)}%`.padStart(4);
  const line = `${"█".repeat(done)}${"░".repeat(BAR_CELLS - done)} ${percent}  ${stripVTControlCharacters(message).replace(/\s+/g, " ")}`;
  return line.slice(0, Math.max(0, columns - 1)).trimEnd();
}
