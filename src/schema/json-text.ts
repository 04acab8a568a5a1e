import { AthanorError } from "../protocol/errors.ts";
import type { Json } from "../protocol/json.ts";
import { MEDIA_REF_KEY } from "./media.ts";

/** Deeper nesting is refused: code that recurses over a value must not run out of stack. */
const MAX_DEPTH = 200;

/** Parses JSON from a stranger. Throws `malformed_json` with line and column, `input_invalid` for a name that is not allowed. */
export function parseJson(text: string): Json {
  const source = text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
  refuseDepth(source);
  let value: Json;
  try {
    value = JSON.parse(source) as Json;
  } catch {
    const at = findFault(source);
    throw malformed(source, at, reason(source, at));
  }
  // A name can only be there if the text holds it, as it is or with an escape for one of its letters.
  if (/__proto__|"constructor"|\$media|\\u00[2-7]/i.test(source)) refuseNames(value);
  return value;
}

/** Throws `input_invalid` where an object in the value has a name that could reach a prototype, or is reserved. */
export function refuseNames(value: Json, path = ""): void {
  if (typeof value !== "object" || value === null) return;
  if (Array.isArray(value)) {
    for (const [i, item] of value.entries()) refuseNames(item, `${path}/${i}`);
    return;
  }
  for (const name of Object.keys(value)) {
    refuseName(name, value[name], path);
    refuseNames(value[name] ?? null, `${path}/${name}`);
  }
}

/** Throws `input_invalid` where the one name is not allowed. */
export function refuseName(name: string, value: unknown, path = ""): void {
  const reaches = typeof value === "object" && value !== null && Object.hasOwn(value, "prototype");
  if (name !== "__proto__" && name !== MEDIA_REF_KEY && !(name === "constructor" && reaches)) return;
  throw new AthanorError("input_invalid", `The input has the name "${name}", which is not allowed.`, {
    errors: [{ path: `${path}/${name}`, expected: "nothing by this name" }],
  });
}

function refuseDepth(text: string): void {
  if (text.length < MAX_DEPTH) return;
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0x22) i = stringEnd(text, i);
    else if (code === 0x5b || code === 0x7b) {
      if (++depth > MAX_DEPTH) throw malformed(text, i, `it is nested over ${MAX_DEPTH} deep`);
    } else if (code === 0x5d || code === 0x7d) depth--;
  }
}

/** Index of the quote that ends the string which begins at `start`, or the text's end. */
function stringEnd(text: string, start: number): number {
  for (let at = text.indexOf('"', start + 1); at !== -1; at = text.indexOf('"', at + 1)) {
    let slashes = 0;
    while (text.charCodeAt(at - 1 - slashes) === 0x5c) slashes++;
    if (slashes % 2 === 0) return at;
  }
  return text.length;
}

function malformed(text: string, index: number, why: string): AthanorError {
  const before = text.slice(0, index);
  const line = before.split("\n").length;
  const column = index - before.lastIndexOf("\n");
  const detail = `The body is not valid JSON at line ${line}, column ${column} (position ${index}): ${why}.`;
  return new AthanorError("malformed_json", detail);
}

function reason(text: string, at: number): string {
  const found = text[at];
  if (found === undefined) return "the text ends too early";
  if (found === '"') return "unexpected string, or one that is not ended or holds what must be escaped";
  return `unexpected ${JSON.stringify(found)}`;
}

const TOKEN = /[{}[\]:,]|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![0-9.eE+-])|true|false|null/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
const SPACE = /[ \t\r\n]*/y;

/** Index just past the token that begins at `start`, or -1 where none does. */
function tokenEnd(text: string, start: number): number {
  if (text[start] !== '"') {
    TOKEN.lastIndex = start;
    return TOKEN.test(text) ? TOKEN.lastIndex : -1;
  }
  for (let at = start + 1; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x22) return at + 1;
    if (code < 0x20) return -1;
    if (code !== 0x5c) continue;
    ESCAPE.lastIndex = at;
    if (!ESCAPE.test(text)) return -1;
    at = ESCAPE.lastIndex - 1;
  }
  return -1;
}

/** Index of the first character at which the text can't be JSON. Only for text that JSON.parse refused. */
function findFault(text: string): number {
  const open: string[] = [];
  let expect: "value" | "valueOrEnd" | "name" | "nameOrEnd" | "colon" | "commaOrEnd" = "value";
  let at = 0;
  for (;;) {
    SPACE.lastIndex = at;
    const start = at + (SPACE.exec(text)?.[0].length ?? 0);
    at = tokenEnd(text, start);
    if (at < 0) return start;
    const first = text[start] ?? "";
    const sign = "{}[]:,".includes(first) ? first : undefined;
    const isString = first === '"';
    const inObject = open.at(-1) === "{";
    if (expect === "commaOrEnd") {
      if (open.length === 0) return start;
      if (sign === ",") expect = inObject ? "name" : "value";
      else if (sign === (inObject ? "}" : "]")) open.pop();
      else return start;
    } else if (expect === "colon") {
      if (sign !== ":") return start;
      expect = "value";
    } else if (expect === "nameOrEnd" && sign === "}") {
      open.pop();
      expect = "commaOrEnd";
    } else if (expect === "name" || expect === "nameOrEnd") {
      if (!isString) return start;
      expect = "colon";
    } else if (sign === "{" || sign === "[") {
      open.push(sign);
      expect = sign === "{" ? "nameOrEnd" : "valueOrEnd";
    } else if (sign === "]" && expect === "valueOrEnd") {
      open.pop();
      expect = "commaOrEnd";
    } else if (sign !== undefined) return start;
    else expect = "commaOrEnd";
  }
}
