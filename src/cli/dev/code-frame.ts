/** Lines shown before and after the one that is meant. */
const AROUND_LINES = 2;
const MAX_COLUMNS = 160;

/**
 * The lines around a place, with their numbers, and a caret below the column:
 *
 *     2 | const app = new App("demo");
 *   > 3 | export const f = app.endpoint("/f", (g: () => void) => 1);
 *       |                                      ^
 *
 * Empty where the text has no such line. Lines and columns count from 1.
 */
export function codeFrame(text: string, line: number, column: number | null): string {
  const lines = text.split(/\r?\n/);
  if (line < 1 || line > lines.length) return "";
  const first = Math.max(1, line - AROUND_LINES);
  const last = Math.min(lines.length, line + AROUND_LINES);
  const width = String(last).length;
  const shown: string[] = [];
  for (let number = first; number <= last; number++) {
    const source = lines[number - 1] ?? "";
    const mark = number === line ? ">" : " ";
    shown.push(`${mark} ${String(number).padStart(width)} | ${cut(source)}`.trimEnd());
    if (number === line && column !== null && column <= MAX_COLUMNS)
      shown.push(`  ${" ".repeat(width)} | ${indent(source, column)}^`);
  }
  return shown.join("\n");
}

/** As wide as what stands before the column: tabs stay tabs. */
function indent(source: string, column: number): string {
  return source.slice(0, column - 1).replace(/[^\t]/g, " ");
}

function cut(source: string): string {
  return source.length <= MAX_COLUMNS ? source : `${source.slice(0, MAX_COLUMNS)}…`;
}
