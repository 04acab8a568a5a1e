import type { Json, JsonSchema } from "../protocol/json.ts";
import { isObject } from "../schema/walk.ts";

/** The JSON types of what the schema takes, sorted; null: any. */
export function typesOf(schema: JsonSchema): string[] | null {
  if (!isObject(schema)) return null;
  if (typeof schema.type === "string") return [schema.type];
  if (Array.isArray(schema.type)) return schema.type.map(String).toSorted();
  if ("const" in schema) return [typeOf(schema.const as Json)];
  if (Array.isArray(schema.enum)) return [...new Set(schema.enum.map(typeOf))].toSorted();
  return isObject(schema.properties) ? ["object"] : null;
}

function typeOf(value: Json): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  return typeof value === "number" && Number.isInteger(value) ? "integer" : typeof value;
}
