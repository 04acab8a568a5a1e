import type { Json, JsonSchema } from "../protocol/json.ts";
import type { FunctionSpec } from "../protocol/spec.ts";
import { parseJson } from "./json-text.ts";
import { codeType, inputSchema } from "./plan.ts";
import { type Defs, isObject, resolveRef, type SchemaObject } from "./walk.ts";

/** What a field of a query or form may become, drawn from all that its schema allows. */
export interface Accepts {
  /** Any text, as it is. */
  string: boolean;
  number: boolean;
  boolean: boolean;
  null: boolean;
  object: boolean;
  array: boolean;
  image: boolean;
  bytes: boolean;
  /** Of `const` and `enum`. */
  literals: Json[];
  /** Of an array's elements; those past `prefix` are `items`. */
  prefix: Accepts[];
  items: Accepts | null;
}

const fieldsByFunction = new WeakMap<FunctionSpec, Map<string, Accepts>>();

/** The fields of the function's body by name, worked out at its first use. */
export function fieldsOf(fn: FunctionSpec, $defs: Defs): Map<string, Accepts> {
  let fields = fieldsByFunction.get(fn);
  if (!fields) {
    fields = new Map();
    collectFields(inputSchema(fn.input) ?? true, $defs, fields, 0);
    fieldsByFunction.set(fn, fields);
  }
  return fields;
}

/** A body may be a union of objects; a field then is what any of them allows. */
function collectFields(schema: JsonSchema, $defs: Defs, fields: Map<string, Accepts>, depth: number): void {
  const object = resolveRef(schema, $defs);
  if (!isObject(object) || depth > 8) return;
  for (const [name, sub] of Object.entries(isObject(object.properties) ? object.properties : {})) {
    const accepts = fields.get(name) ?? nothing();
    gather(sub as JsonSchema, $defs, accepts, 0);
    fields.set(name, accepts);
  }
  for (const sub of branchesOf(object)) collectFields(sub, $defs, fields, depth + 1);
}

function nothing(): Accepts {
  const none = { string: false, number: false, boolean: false, null: false, object: false, array: false };
  return { ...none, image: false, bytes: false, literals: [], prefix: [], items: null };
}

function branchesOf(schema: SchemaObject): JsonSchema[] {
  return ["anyOf", "oneOf", "allOf"].flatMap((key) =>
    Array.isArray(schema[key]) ? (schema[key] as JsonSchema[]) : [],
  );
}

function gather(schema: JsonSchema, $defs: Defs, accepts: Accepts, depth: number): void {
  const resolved = resolveRef(schema, $defs);
  if (!isObject(resolved)) {
    accepts.string ||= resolved;
    return;
  }
  const kind = codeType(resolved);
  if (kind !== null) {
    if (kind === "image" || kind === "bytes") accepts[kind] = true;
    accepts.string = true;
    return;
  }
  if ("const" in resolved) accepts.literals.push(resolved.const ?? null);
  else if (Array.isArray(resolved.enum)) accepts.literals.push(...resolved.enum);
  else gatherTypes(resolved, $defs, accepts, depth);
}

function gatherTypes(schema: SchemaObject, $defs: Defs, accepts: Accepts, depth: number): void {
  const types = Array.isArray(schema.type) ? schema.type : [schema.type];
  const branches = branchesOf(schema);
  for (const type of types) {
    if (type === "integer" || type === "number") accepts.number = true;
    else if (type === "string" || type === "boolean" || type === "null" || type === "object") accepts[type] = true;
    else if (type === "array") gatherArray(schema, $defs, accepts, depth);
    else if (branches.length === 0) {
      // Nothing is said of the type: JSON for what looks structured, else the text.
      accepts.string = true;
      accepts.object ||= isObject(schema.properties);
    }
  }
  if (depth < 8) for (const sub of branches) gather(sub, $defs, accepts, depth + 1);
}

function gatherArray(schema: SchemaObject, $defs: Defs, accepts: Accepts, depth: number): void {
  accepts.array = true;
  if (depth >= 4) return;
  accepts.items ??= nothing();
  gather((schema.items as JsonSchema | undefined) ?? true, $defs, accepts.items, depth + 1);
  const prefix = Array.isArray(schema.prefixItems) ? (schema.prefixItems as JsonSchema[]) : [];
  for (const [i, sub] of prefix.entries()) {
    const item = accepts.prefix[i] ?? nothing();
    gather(sub, $defs, item, depth + 1);
    accepts.prefix[i] = item;
  }
}

/** The field that a name in a form means: itself, or `tags` for `tags[]`. */
export function fieldName(name: string, fields: Map<string, Accepts>): string {
  if (fields.has(name) || !name.endsWith("[]")) return name;
  const base = name.slice(0, -2);
  return fields.has(base) ? base : name;
}

/** Whether an empty text stands for a field that was left out, as forms send it. */
export function emptyIsAbsent(accepts: Accepts | undefined): boolean {
  return accepts !== undefined && !accepts.string && !accepts.literals.includes("");
}

/** The value of a field that was given once or more; what fits nothing stays text, for the validator to name. */
export function coerceField(texts: string[], accepts: Accepts | undefined): Json {
  if (!accepts) return texts.length === 1 ? (texts[0] ?? "") : texts;
  const [only] = texts;
  if (texts.length === 1 && only !== undefined) {
    const single = coerceText(only, accepts);
    if (!accepts.array || typeof single !== "string" || accepts.string || accepts.literals.includes(single))
      return single;
  }
  return texts.map((text, i) => coerceItem(text, accepts, i));
}

export function itemAccepts(accepts: Accepts, index: number): Accepts | null {
  return accepts.prefix[index] ?? accepts.items;
}

function coerceItem(text: string, accepts: Accepts, index: number): Json {
  const item = itemAccepts(accepts, index);
  return item ? coerceText(text, item) : text;
}

const NUMBER = /^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?$/i;
const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ["true", true],
  ["1", true],
  ["on", true],
  ["false", false],
  ["0", false],
  ["off", false],
]);

function coerceText(text: string, accepts: Accepts): Json {
  const literal = accepts.literals.find((value) => typeof value !== "object" && String(value) === text);
  if (literal !== undefined) return literal;
  if (accepts.literals.includes(null) && text === "null") return null;
  if ((accepts.object || accepts.array) && /^\s*[[{]/.test(text)) {
    const parsed = tryJson(text);
    if (Array.isArray(parsed) ? accepts.array : parsed !== undefined && accepts.object) return parsed as Json;
  }
  if (accepts.string) return text;
  if (accepts.null && (text === "null" || text === "")) return null;
  if (accepts.number && NUMBER.test(text) && Number.isFinite(Number(text))) return Number(text);
  if (accepts.boolean) return BOOLEANS.get(text.toLowerCase()) ?? text;
  return text;
}

function tryJson(text: string): Json | undefined {
  try {
    return parseJson(text);
  } catch (error) {
    // Malformed text stays text; a name that is not allowed does not.
    if ((error as { code?: string }).code === "input_invalid") throw error;
    return undefined;
  }
}
