/** One mapping of a source map with a single source. Lines and columns count from 0. */
export interface Segment {
  generatedColumn: number;
  line: number;
  column: number;
}

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** The `mappings` of a source map (version 3): lines by `;`, segments by `,`, each number relative to the one before it, in base64 VLQ. */
export function encodeMappings(lines: Segment[][]): string {
  let line = 0;
  let column = 0;
  const encoded = lines.map((segments) => {
    let generatedColumn = 0;
    const texts = segments.map((segment) => {
      const text =
        encodeNumber(segment.generatedColumn - generatedColumn) +
        encodeNumber(0) +
        encodeNumber(segment.line - line) +
        encodeNumber(segment.column - column);
      ({ generatedColumn, line, column } = segment);
      return text;
    });
    return texts.join(",");
  });
  return encoded.join(";");
}

function encodeNumber(value: number): string {
  let rest = value < 0 ? (-value << 1) | 1 : value << 1;
  let text = "";
  do {
    const digit = rest & 31;
    rest >>>= 5;
    text += DIGITS[rest > 0 ? digit | 32 : digit];
  } while (rest > 0);
  return text;
}
