import type { Json, JsonSchema } from "../protocol/json.ts";
import { CODE_TYPE_KEYWORD } from "../protocol/spec.ts";
import { type Defs, isObject, resolveRef } from "./walk.ts";

// Schemas and values in a few words, short whatever their size: for the answer to a request that was wrong.

const MAX_LISTED = 8;
const MAX_TEXT = 60;

const CODE_TYPE_TEXT: Record<string, string> = {
  date: "date and time as an ISO 8601 string with a time zone",
  bytes: "base64 string",
  bigint: "decimal integer as a string",
  image: "image: a file part, a data URI, base64, or {file_name?, content_type?, content}",
};

/** A schema in a few words: `number`, `one of "a", "b"`, `string or null`. */
export function describe(schema: JsonSchema, $defs: Defs, depth = 0): string {
  const resolved = resolveRef(schema, $defs);
  if (!isObject(resolved)) return resolved ? "any value" : "nothing";
  const kind = resolved[CODE_TYPE_KEYWORD];
  if (typeof kind === "string") return CODE_TYPE_TEXT[kind] ?? kind;
  if ("const" in resolved) return brief(resolved.const);
  if (Array.isArray(resolved.enum)) return oneOf(resolved.enum);
  const branches = resolved.anyOf ?? resolved.oneOf;
  if (Array.isArray(branches) && depth < 3) {
    return alternatives(branches.map((branch) => describe(branch as JsonSchema, $defs, depth + 1)));
  }
  if (Array.isArray(resolved.type)) return alternatives(resolved.type.map(String));
  if (resolved.type === "string" && typeof resolved.format === "string")
    return `string in the format ${resolved.format}`;
  if (resolved.type === "array" && depth < 2 && isObject(resolved.items)) {
    return `array of ${describe(resolved.items, $defs, depth + 1)}`;
  }
  if (typeof resolved.type === "string") return resolved.type + limits(resolved);
  return isObject(resolved.properties) ? "object" : "any value";
}

function limits(schema: { [keyword: string]: Json }): string {
  const signs = { minimum: ">=", exclusiveMinimum: ">", maximum: "<=", exclusiveMaximum: "<" };
  const texts = Object.entries(signs).flatMap(([key, sign]) =>
    typeof schema[key] === "number" ? [` ${sign} ${schema[key]}`] : [],
  );
  return texts.join(" and");
}

function alternatives(texts: string[]): string {
  const unique = [...new Set(texts)];
  const shown = unique.slice(0, MAX_LISTED);
  return shown.join(" or ") + (unique.length > shown.length ? " or others" : "");
}

export function oneOf(values: unknown[]): string {
  return values.length === 1 ? brief(values[0]) : `one of ${listed(values)}`;
}

export function listed(values: unknown[]): string {
  const shown = values.slice(0, MAX_LISTED).map(brief).join(", ");
  return values.length > MAX_LISTED ? `${shown}, and ${values.length - MAX_LISTED} more` : shown;
}

/** A value in its short form, whatever its size. */
export function brief(value: unknown): string {
  if (value === undefined) return "nothing";
  if (typeof value === "string") return JSON.stringify(cut(value));
  if (Array.isArray(value)) return value.length === 1 ? "array of 1 item" : `array of ${value.length} items`;
  if (typeof value === "object" && value !== null) return "object";
  return String(value);
}

export function cut(text: string): string {
  return text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT)}…`;
}

/** A name as one step of a JSON Pointer, cut to a length that an answer can bear. */
export function pointer(name: string): string {
  return cut(name).replaceAll("~", "~0").replaceAll("/", "~1");
}
