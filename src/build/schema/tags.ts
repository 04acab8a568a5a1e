import type { Json } from "../../protocol/json.ts";
import type { Faults } from "./faults.ts";
import type { Doc, DocTag } from "./jsdoc.ts";

export type SchemaObject = { [keyword: string]: Json };

type Reading = { value: Json } | { fault: string };
type Read = (text: string, schema: SchemaObject) => Reading;

interface TagRule {
  keyword: string;
  read: Read;
  /** The JSON type that the keyword constrains; null: it goes with any. */
  type: "number" | "string" | "array" | null;
}

const number: Read = (text) => {
  const value = text === "" ? Number.NaN : Number(text);
  return Number.isFinite(value) ? { value } : { fault: "a number" };
};
const count: Read = (text) =>
  /^\d+$/.test(text) ? { value: Number(text) } : { fault: "a whole number of at least 0" };
const positive: Read = (text) =>
  Number(text) > 0 && Number.isFinite(Number(text)) ? { value: Number(text) } : { fault: "a number over 0" };
const flag: Read = (text) =>
  text === "" || text === "true"
    ? { value: true }
    : text === "false"
      ? { value: false }
      : { fault: "true, false or nothing" };
const text: Read = (value) => (value === "" ? { fault: "a text" } : { value });
const format: Read = (value) =>
  /^[\w.+-]+$/.test(value) ? { value } : { fault: "the name of a format, such as email" };
const pattern: Read = (value) => {
  try {
    new RegExp(value, "u"); // as JSON Schema reads it
    return value === "" ? { fault: "a regular expression" } : { value };
  } catch (error) {
    return { fault: `a regular expression (${(error as Error).message})` };
  }
};

const RULES: Readonly<Record<string, TagRule>> = {
  minimum: { keyword: "minimum", read: number, type: "number" },
  maximum: { keyword: "maximum", read: number, type: "number" },
  exclusiveMinimum: { keyword: "exclusiveMinimum", read: number, type: "number" },
  exclusiveMaximum: { keyword: "exclusiveMaximum", read: number, type: "number" },
  multipleOf: { keyword: "multipleOf", read: positive, type: "number" },
  minLength: { keyword: "minLength", read: count, type: "string" },
  maxLength: { keyword: "maxLength", read: count, type: "string" },
  pattern: { keyword: "pattern", read: pattern, type: "string" },
  format: { keyword: "format", read: format, type: "string" },
  minItems: { keyword: "minItems", read: count, type: "array" },
  maxItems: { keyword: "maxItems", read: count, type: "array" },
  uniqueItems: { keyword: "uniqueItems", read: flag, type: "array" },
  title: { keyword: "title", read: text, type: null },
  deprecated: { keyword: "deprecated", read: () => ({ value: true }), type: null },
  default: { keyword: "default", read: literal, type: null },
  example: { keyword: "examples", read: literal, type: null },
  examples: { keyword: "examples", read: literal, type: null },
};

/** A JSON value; for a string's schema, the bare text too. */
function literal(value: string, schema: SchemaObject): Reading {
  const bare = value.replace(/^```\w*\n?|```$/g, "").trim();
  try {
    return { value: JSON.parse(bare) as Json };
  } catch {
    const takesText = [schema, ...branches(schema)].some(
      (s) => s.type === "string" || s.$ref !== undefined || isOpen(s),
    );
    if (takesText && bare !== "" && !/^["[{]/.test(bare)) return { value: bare };
    return { fault: "a JSON value" };
  }
}

export interface ApplyDocs {
  schema: SchemaObject;
  doc: Doc;
  faults: Faults;
  /** The schema behind a `$ref`, as far as it is known yet. */
  resolve(ref: string): SchemaObject | undefined;
  /** Drop a tag that does not go with the type, rather than fail: the type was mapped, and the comment is of the original. */
  lenient?: boolean;
}

/** The schema with what the comment says. Text nearer to the use wins; a tag with a bad value is a fault. */
export function applyDocs(p: ApplyDocs): SchemaObject {
  const schema = { ...p.schema };
  if (p.doc.description !== null) schema.description = p.doc.description;
  for (const tag of p.doc.tags) applyTag(p, schema, tag);
  return schema;
}

function applyTag(p: ApplyDocs, schema: SchemaObject, tag: DocTag): void {
  const rule = Object.hasOwn(RULES, tag.name) ? RULES[tag.name] : undefined;
  if (rule === undefined) return;
  const reading = rule.read(tag.text, schema);
  if ("fault" in reading) {
    p.faults.addAt(
      "build_failed",
      tag.file,
      tag.position,
      `@${tag.name} takes ${reading.fault}, but got ${JSON.stringify(tag.text)}`,
    );
    return;
  }
  if (rule.keyword === "examples") {
    const given = tag.name === "examples" && Array.isArray(reading.value) ? reading.value : [reading.value];
    schema.examples = [...(Array.isArray(schema.examples) ? schema.examples : []), ...given];
    return;
  }
  if (!constrain(p, schema, rule, reading.value) && !p.lenient) {
    const message = `@${tag.name} goes with a ${rule.type}, but the type here is none (for the elements of an array, put the tag on a type alias)`;
    p.faults.addAt("build_failed", tag.file, tag.position, message);
  }
}

/** Puts the keyword where its type is: on the schema, or on the branches of a union. False where it is nowhere. */
function constrain(p: ApplyDocs, schema: SchemaObject, rule: TagRule, value: Json): boolean {
  const target = schema["x-athanor-type"] === "date" || schema["x-athanor-type"] === "bigint" ? null : rule.type;
  if (rule.type !== null && target === null) return false;
  if (rule.type === null || isOpen(schema) || hasType(p, schema, rule.type)) {
    schema[rule.keyword] = value;
    return true;
  }
  const key = Array.isArray(schema.anyOf) ? "anyOf" : null;
  if (key === null) return false;
  let found = false;
  schema[key] = branches(schema).map((branch) => {
    if (!hasType(p, branch, rule.type)) return branch;
    found = true;
    return { ...branch, [rule.keyword]: value };
  });
  return found;
}

function branches(schema: SchemaObject): SchemaObject[] {
  return Array.isArray(schema.anyOf) ? (schema.anyOf as SchemaObject[]) : [];
}

/** Whether nothing is said of the value's type: `any`, `unknown`. */
function isOpen(schema: SchemaObject): boolean {
  return ["type", "enum", "const", "anyOf", "oneOf", "$ref", "not"].every((keyword) => schema[keyword] === undefined);
}

function hasType(p: ApplyDocs, schema: SchemaObject, type: string | null): boolean {
  if (schema.type === type) return true;
  if (typeof schema.$ref !== "string") return false;
  const target = p.resolve(schema.$ref);
  return target === undefined || hasType(p, target, type);
}
