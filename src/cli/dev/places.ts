import { readFileSync } from "node:fs";
import path from "node:path";
import { AthanorError, type SourcePlace } from "../../protocol/errors.ts";

/** `app.ts:3:9: message` or `app.ts:3: message` at the start of a line. */
const AT_START = /^([^\s:()][^:()\n]*\.[a-z]+):(\d+)(?::(\d+))?: (.*)$/;
/** `(app.ts:3:9)`, as stacks have it. */
const IN_BRACKETS = /\(([^\s:()]+\.[cm]?[jt]sx?):(\d+):(\d+)\)/;
const MAX_PLACES = 5;

/** Where in the project's files an error says that something is wrong. */
export function placesOf(error: unknown): readonly SourcePlace[] {
  if (!(error instanceof AthanorError)) return [];
  if (error.places.length > 0) return error.places.slice(0, MAX_PLACES);
  const lines = error.detail.split("\n");
  const found = lines.flatMap((text) => place(AT_START.exec(text), text));
  const places = found.length > 0 ? found : lines.slice(0, 1).flatMap((text) => place(IN_BRACKETS.exec(text), text));
  return places.slice(0, MAX_PLACES);
}

function place(match: RegExpExecArray | null, text: string): SourcePlace[] {
  if (match === null) return [];
  const [, file = "", line, column, message = text] = match;
  return [{ file, line: Number(line), column: column === undefined ? null : Number(column), message }];
}

/** The text of a place's file; null where it is none of the project's. */
export function sourceOf(root: string, { file }: SourcePlace): string | null {
  const absolute = path.resolve(root, file);
  if (!absolute.startsWith(root + path.sep)) return null;
  try {
    return readFileSync(absolute, "utf8");
  } catch {
    return null;
  }
}
