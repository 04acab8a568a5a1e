import ts from "typescript";

/** What the comments before a declaration say. */
export interface Doc {
  description: string | null;
  tags: DocTag[];
}

export interface DocTag {
  name: string;
  text: string;
  file: ts.SourceFile;
  /** Of the tag's `@` in the file. */
  position: number;
}

/** Tags that say something about the schema, and those that end the text before them. */
const TAG = /(^|\s)@([a-zA-Z]+)(?![\w@.])/g;
const KNOWN_INLINE = new Set([
  "minimum",
  "maximum",
  "exclusiveMinimum",
  "exclusiveMaximum",
  "minLength",
  "maxLength",
  "pattern",
  "format",
  "minItems",
  "maxItems",
  "uniqueItems",
  "multipleOf",
  "example",
  "examples",
  "default",
  "deprecated",
  "title",
]);

/**
 * The comment of a node, read from its text. TypeScript's own reading ends a tag at any `@`, which patterns and addresses hold, and
 * sees no comment of a property on the line of the one before. The last comment before a node is its own, as with TypeScript.
 */
export function docOf(node: ts.Node): Doc {
  const file = node.getSourceFile();
  const comment = commentBefore(file.text, node);
  return comment === undefined ? { description: null, tags: [] } : parseComment(file, comment.pos, comment.end);
}

function commentBefore(text: string, node: ts.Node): ts.TextRange | undefined {
  const leading = ts.getLeadingCommentRanges(text, node.pos) ?? [];
  // After the token before, on the same line: such a comment is of this node only where the node stands on that line too.
  const trailing = (ts.getTrailingCommentRanges(text, node.pos) ?? []).filter(
    (comment) => !text.slice(comment.end, node.getStart()).includes("\n"),
  );
  return [...trailing, ...leading].filter((c) => text.startsWith("/**", c.pos) && text[c.pos + 3] !== "/").at(-1);
}

function parseComment(file: ts.SourceFile, start: number, end: number): Doc {
  const lines = linesOf(file.text.slice(start, end), start);
  const tags: DocTag[] = [];
  const description: string[] = [];
  let current: { tag: DocTag; lines: string[] } | null = null;
  const finish = () => {
    if (current === null) return;
    current.tag.text = current.lines.join("\n").trim();
    tags.push(current.tag);
  };
  for (const line of lines) {
    const starts = tagStarts(line.text, lines.length === 1, current?.tag.name ?? null);
    const before = line.text.slice(0, starts[0]?.at ?? line.text.length);
    if (current === null) description.push(before.trimEnd());
    else current.lines.push(before);
    for (const [i, start] of starts.entries()) {
      finish();
      const rest = line.text.slice(start.at + start.name.length + 1, starts[i + 1]?.at);
      current = { tag: { name: start.name, text: "", file, position: line.position + start.at }, lines: [rest] };
    }
  }
  finish();
  const text = plain(description.join("\n").trim());
  return { description: text === "" ? null : text, tags };
}

interface Line {
  text: string;
  position: number;
}

/** The comment's lines without their `*` margins, each with its place in the file. */
function linesOf(comment: string, position: number): Line[] {
  const lines: Line[] = [];
  const body = comment.replace(/\*\/$/, "");
  let at = 0;
  for (const raw of body.split("\n")) {
    const margin = (at === 0 ? /^\/\*\*[ \t]?/ : /^[ \t]*\*?[ \t]?/).exec(raw)?.[0].length ?? 0;
    lines.push({ text: raw.slice(margin).replace(/\r$/, ""), position: position + at + margin });
    at += raw.length + 1;
  }
  return lines;
}

/** Where tags begin in a line: any at its start, known ones also after others on the line (`@minimum 0 @maximum 9`). */
function tagStarts(line: string, single: boolean, current: string | null): { at: number; name: string }[] {
  const starts: { at: number; name: string }[] = [];
  let open = current;
  for (const match of line.matchAll(TAG)) {
    const name = match[2] ?? "";
    const at = match.index + (match[1] ?? "").length;
    const first = line.slice(0, at).trim() === "";
    const inline = KNOWN_INLINE.has(name) && (single || starts.length > 0) && open !== "param" && open !== "example";
    if (!first && !inline) continue;
    starts.push({ at, name });
    open = name;
  }
  return starts;
}

/** `{@link Thing text}` as its text. */
function plain(text: string): string {
  return text.replace(
    /\{@(?:link|linkcode|linkplain)\s+([^\s|}]+)(?:\s*\|?\s*([^}]*))?\}/g,
    (_, target: string, label?: string) => (label?.trim() ? label.trim() : target),
  );
}

/** What `@param name text` says for each name; known tags after the text, `@param times How often. @minimum 1`, are the parameter's own. */
export function paramDocs(doc: Doc): Map<string, Doc> {
  const docs = new Map<string, Doc>();
  for (const tag of doc.tags) {
    if (tag.name !== "param") continue;
    const match = /^(?:\{[^}]*\}\s*)?\[?([\w$]+)(?:=[^\]]*)?\]?\s*(?:-\s*)?([\s\S]*)$/.exec(tag.text);
    if (match?.[1] !== undefined) docs.set(match[1], paramDoc(tag, match[2] ?? ""));
  }
  return docs;
}

function paramDoc(param: DocTag, text: string): Doc {
  const starts: RegExpExecArray[] = [];
  for (const match of text.matchAll(TAG)) {
    // An example may hold anything, so it goes on to the end.
    if (starts.at(-1)?.[2]?.startsWith("example")) break;
    if (KNOWN_INLINE.has(match[2] ?? "")) starts.push(match);
  }
  const tags = starts.map((start, i) => {
    const rest = text.slice(start.index + start[0].length, starts[i + 1]?.index);
    return { ...param, name: start[2] ?? "", text: rest.trim() };
  });
  const description = plain(text.slice(0, starts[0]?.index).trim()).replace(/\n\s+/g, "\n");
  return { description: description === "" ? null : description, tags };
}
