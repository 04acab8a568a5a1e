/** What a line that was cut ends with. */
const cutMark = (characters: number): string => `… [${characters} more characters]`;

/** The line that stands for output that was thrown away because it came faster than it could be kept. */
export function droppedLinesMark(count: number): string {
  return `… [${count} earlier lines dropped: output came too fast]`;
}

/** Cuts text into lines. Holds at most one line's first `maxLineChars` characters; what is longer is cut and says by how much. */
export class LineSplitter {
  readonly #onLine: (line: string) => void;
  readonly #maxLineChars: number;
  #partial = "";
  #cutChars = 0;

  constructor(onLine: (line: string) => void, maxLineChars: number) {
    this.#onLine = onLine;
    this.#maxLineChars = maxLineChars;
  }

  push(text: string): void {
    let at = 0;
    for (let end = text.indexOf("\n"); end !== -1; end = text.indexOf("\n", at)) {
      this.#append(text, at, end);
      this.#emit();
      at = end + 1;
    }
    if (at < text.length) this.#append(text, at, text.length);
  }

  /** The text is over: what stands after the last newline is a line too. */
  end(): void {
    if (this.#partial !== "" || this.#cutChars > 0) this.#emit();
  }

  /** Forgets what has no newline yet: the rest of that line is lost. */
  discard(): void {
    this.#partial = "";
    this.#cutChars = 0;
  }

  #append(text: string, from: number, to: number): void {
    const room = this.#maxLineChars - this.#partial.length;
    const end = Math.min(to, from + room);
    if (end > from) this.#partial += text.slice(from, end);
    this.#cutChars += to - end;
  }

  #emit(): void {
    const line = this.#partial.endsWith("\r") ? this.#partial.slice(0, -1) : this.#partial;
    const cutChars = this.#cutChars;
    this.#partial = "";
    this.#cutChars = 0;
    this.#onLine(cutChars > 0 ? line + cutMark(cutChars) : line);
  }
}

/** Keeps the newest of what is pushed, within a number of items and of their weights, and counts what it let go: each for what it stands for. */
export class NewestBuffer<T> {
  readonly #maxItems: number;
  readonly #maxWeight: number;
  #items: { value: T; weight: number; count: number }[] = [];
  #first = 0;
  #weight = 0;
  #dropped = 0;

  constructor(maxItems: number, maxWeight: number) {
    this.#maxItems = Math.max(1, maxItems);
    this.#maxWeight = maxWeight;
  }

  get size(): number {
    return this.#items.length - this.#first;
  }

  push(value: T, weight: number, count = 1): void {
    this.#items.push({ value, weight, count });
    this.#weight += weight;
    while (this.size > this.#maxItems || (this.#weight > this.#maxWeight && this.size > 1)) {
      const { weight: less, count: gone } = this.#items[this.#first] as { weight: number; count: number };
      this.#weight -= less;
      this.#first++;
      this.#dropped += gone;
    }
    // Dropped items are cut off in bulk, so that a flood costs no copying per item.
    if (this.#first > this.#maxItems) {
      this.#items = this.#items.slice(this.#first);
      this.#first = 0;
    }
  }

  take(): { items: T[]; dropped: number } {
    const taken = { items: this.#items.slice(this.#first).map((item) => item.value), dropped: this.#dropped };
    this.#items = [];
    this.#first = this.#weight = this.#dropped = 0;
    return taken;
  }
}

const NEWLINE = 0x0a;

/** The part of a piece of output that holds its newest `maxLines` lines, and how many whole lines stand before it. */
export function newestLines(piece: Uint8Array, maxLines: number): { bytes: Uint8Array; dropped: number } {
  let lines = 0;
  for (let i = 0; i < piece.length; i++) if (piece[i] === NEWLINE) lines++;
  if (lines <= maxLines) return { bytes: piece, dropped: 0 };
  const dropped = lines - maxLines;
  let at = -1;
  for (let i = 0; i < dropped; i++) at = piece.indexOf(NEWLINE, at + 1);
  return { bytes: piece.subarray(at + 1), dropped };
}
