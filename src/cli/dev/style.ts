import { styleText } from "node:util";
import type { Streams } from "../output.ts";

type Format = Parameters<typeof styleText>[0];

/** No red, which is for what is wrong. */
const NAME_FORMATS = [
  "cyan",
  "green",
  "magenta",
  "yellow",
  "blue",
  "cyanBright",
  "greenBright",
  "magentaBright",
] as const;

/** Colours for one stream: none where it is no terminal, or NO_COLOR says so. */
export class Style {
  readonly #stream: Streams["stdout"];

  constructor(stream: Streams["stdout"]) {
    this.#stream = stream;
  }

  apply(format: Format, text: string): string {
    return styleText(format, text, { stream: this.#stream as NodeJS.WriteStream, validateStream: true });
  }

  /** The same name has the same colour, today and tomorrow. */
  name(name: string, text: string): string {
    let hash = 0;
    for (const character of name) hash = (hash * 31 + (character.codePointAt(0) ?? 0)) >>> 0;
    return this.apply(NAME_FORMATS[hash % NAME_FORMATS.length] ?? "cyan", text);
  }
}
