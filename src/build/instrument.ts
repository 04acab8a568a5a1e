import path from "node:path";
import { SITE_KEY } from "../sdk/registry.ts";
import type { AnalyzedHook, AnalyzedSite } from "./schema/index.ts";
import { encodeMappings, type Segment } from "./vlq.ts";

interface Insertion {
  offset: number;
  text: string;
}

/** What tells the SDK at run time which function a call declares, and under which name its class is to be found. */
export function insertionsFor(sites: AnalyzedSite[], hooks: AnalyzedHook[]): Insertion[] {
  const insertions: Insertion[] = [];
  const classes = new Map<number, string>();
  for (const { name, codeName, className, siteArgument, classBodyStart, decorator } of sites) {
    // `function` is a reserved word, which esbuild refuses after the dot of a decorator unless it stands in parentheses.
    if (decorator) insertions.push({ offset: decorator.start, text: "(" }, { offset: decorator.end, text: ")" });
    const argument = JSON.stringify({ [SITE_KEY]: { name, codeName, className } });
    insertions.push({ offset: siteArgument.offset, text: siteArgument.prefix + argument });
    if (className !== null && classBodyStart !== null) classes.set(classBodyStart, className);
  }
  for (const { codeName, className, siteArgument } of hooks) {
    const argument = JSON.stringify({ [SITE_KEY]: { name: codeName, codeName, className } });
    insertions.push({ offset: siteArgument.offset, text: siteArgument.prefix + argument });
  }
  for (const [offset, className] of classes) {
    const registry = 'globalThis[Symbol.for("athanor.registry")]';
    insertions.push({ offset, text: ` static { ${registry}.classes.set(${JSON.stringify(className)}, this); }` });
  }
  return insertions.sort((a, b) => a.offset - b.offset);
}

/**
 * The text with the insertions made, and a source map of it in a comment, which esbuild composes with its own: positions in
 * the bundle's map are those of the file as it was written. No insertion holds a line break, so lines stay what they were.
 */
export function instrument(text: string, file: string, insertions: Insertion[]): string {
  const lines: Segment[][] = [];
  let changed = "";
  let next = 0;
  let lineStart = 0;
  for (const [lineNumber, line] of text.split("\n").entries()) {
    const segments: Segment[] = [];
    const lineEnd = lineStart + line.length;
    let added = 0;
    let made = "";
    let at = 0;
    for (let insertion = insertions[next]; insertion && insertion.offset <= lineEnd; insertion = insertions[++next]) {
      const column = insertion.offset - lineStart;
      made += line.slice(at, column);
      segments.push(...tokenSegments(line, at, column, lineNumber, added));
      segments.push({ generatedColumn: column + added, line: lineNumber, column });
      made += insertion.text;
      added += insertion.text.length;
      at = column;
    }
    made += line.slice(at);
    segments.push(...tokenSegments(line, at, line.length, lineNumber, added));
    lines.push(segments);
    changed += lineNumber === 0 ? made : `\n${made}`;
    lineStart = lineEnd + 1;
  }
  const map = {
    version: 3,
    sources: [path.basename(file)],
    sourcesContent: [text],
    names: [],
    mappings: encodeMappings(lines),
  };
  const encoded = Buffer.from(JSON.stringify(map)).toString("base64");
  return `${changed}\n//# sourceMappingURL=data:application/json;base64,${encoded}\n`;
}

/** A segment wherever a token may begin: esbuild looks up the nearest one before a position and does not count on from it. */
function tokenSegments(line: string, from: number, to: number, lineNumber: number, added: number): Segment[] {
  const segments: Segment[] = [];
  const token = /[\p{ID_Continue}$]+|\S/gu;
  token.lastIndex = from;
  for (let match = token.exec(line); match && match.index < to; match = token.exec(line)) {
    segments.push({ generatedColumn: match.index + added, line: lineNumber, column: match.index });
  }
  return segments;
}
