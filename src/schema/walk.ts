import type { Json, JsonSchema } from "../protocol/json.ts";

export type SchemaObject = { [keyword: string]: Json };
export type Defs = { [name: string]: JsonSchema };

/** Keywords whose value is a schema, a list of schemas, or schemas by name. Everything else is data and is left alone. */
const ONE = ["additionalProperties", "items", "not", "if", "then", "else", "contains", "propertyNames"];
const UNEVALUATED = ["unevaluatedProperties", "unevaluatedItems"];
const MANY = ["anyOf", "oneOf", "allOf", "prefixItems"];
const NAMED = ["properties", "patternProperties", "dependentSchemas", "$defs", "definitions"];

export function isObject(value: unknown): value is SchemaObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The same schema with `change` applied to every subschema directly under it. */
export function mapSubschemas(schema: SchemaObject, change: (sub: JsonSchema) => JsonSchema): SchemaObject {
  const mapped: SchemaObject = { ...schema };
  for (const key of [...ONE, ...UNEVALUATED]) {
    const sub = schema[key];
    if (typeof sub === "boolean" || isObject(sub)) mapped[key] = change(sub);
  }
  for (const key of MANY) {
    const list = schema[key];
    if (Array.isArray(list)) mapped[key] = list.map((sub) => change(sub as JsonSchema));
  }
  for (const key of NAMED) {
    const named = schema[key];
    if (isObject(named)) mapped[key] = mapValues(named, change);
  }
  return mapped;
}

function mapValues(named: SchemaObject, change: (sub: JsonSchema) => JsonSchema): SchemaObject {
  return Object.fromEntries(Object.entries(named).map(([name, sub]) => [name, change(sub as JsonSchema)]));
}

/** Every subschema directly under the schema. */
export function subschemas(schema: SchemaObject): JsonSchema[] {
  const found: JsonSchema[] = [];
  mapSubschemas(schema, (sub) => {
    found.push(sub);
    return sub;
  });
  return found;
}

/** The name in `#/$defs/Name`, or null for any other reference. */
export function defName(ref: Json | undefined): string | null {
  if (typeof ref !== "string" || !ref.startsWith("#/$defs/")) return null;
  const name = ref.slice("#/$defs/".length);
  return decode(name).replaceAll("~1", "/").replaceAll("~0", "~");
}

/** The reference to a definition; the inverse of defName. */
export function defRef(name: string): string {
  return `#/$defs/${encodeURIComponent(name.replaceAll("~", "~0").replaceAll("/", "~1"))}`;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Follows references to the schema that they name; a reference to nothing, or to itself, becomes `true`. */
export function resolveRef(schema: JsonSchema | undefined, $defs: Defs): JsonSchema {
  let current = schema ?? true;
  for (let hops = 0; hops < 32; hops++) {
    if (!isObject(current)) return current;
    const name = defName(current.$ref);
    if (name === null) return current;
    current = $defs[name] ?? true;
  }
  return true;
}
