import { stripVTControlCharacters } from "node:util";

/** Where a command writes to: results to stdout, all else to stderr. */
export interface Streams {
  stdout: NodeJS.WritableStream & { isTTY?: boolean; columns?: number };
  stderr: NodeJS.WritableStream & { isTTY?: boolean; columns?: number };
}

export class Output {
  /** True: results are JSON for machines, one document or, in a stream, one a line. */
  readonly json: boolean;
  readonly streams: Streams;

  constructor(json: boolean, streams: Streams) {
    this.json = json;
    this.streams = streams;
  }

  /** True where somebody watches stderr, on which progress is drawn. */
  get isInteractive(): boolean {
    return this.streams.stderr.isTTY === true && !this.json;
  }

  /** One result, whole: as JSON where asked for, else as the given text. */
  result(value: unknown, text: () => string): void {
    this.line(this.json ? JSON.stringify(value, null, 2) : text());
  }

  line(text: string): void {
    this.streams.stdout.write(`${text}\n`);
  }

  /** For the reader, not part of the result; machines are spared it. */
  note(text: string): void {
    if (!this.json) this.streams.stderr.write(`${text}\n`);
  }
}

/** Columns as wide as their widest cell, two spaces apart. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => (row[column] ?? "").length)));
  return all
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** `name: value` lines, values aligned; entries that are null are left out. */
export function fields(entries: readonly (readonly [string, string | null])[]): string {
  const shown = entries.filter((entry): entry is readonly [string, string] => entry[1] !== null);
  const width = Math.max(...shown.map(([name]) => name.length)) + 1;
  return shown.map(([name, value]) => `${`${name}:`.padEnd(width)}  ${value}`).join("\n");
}

/** Somebody else's line of text, safe for a terminal: colours stay, whatever else moves the cursor or rings goes. */
export function printable(line: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  const parts = line.split(/(\u001b\[[0-9;]*m)/);
  const clean = parts.map((part, index) => (index % 2 === 1 ? part : stripControls(part)));
  return parts.length > 1 ? `${clean.join("")}\u001b[0m` : clean.join("");
}

function stripControls(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  return stripVTControlCharacters(text).replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "");
}
