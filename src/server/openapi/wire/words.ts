import type { JsonObject } from "../../../protocol/json.ts";

/** By the names that the API's routes use. */
export type Schemas = { [name: string]: JsonObject };

export const text = { type: "string" };
export const time = { type: "string", format: "date-time" };
export const integer = { type: "integer", minimum: 0 };
export const amount = { type: "number", minimum: 0 };
export const nullable = (schema: JsonObject): JsonObject => ({ anyOf: [schema, { type: "null" }] });

/** An object with all of its properties required but the named ones. */
export function object(properties: { [name: string]: JsonObject }, optional: string[] = []): JsonObject {
  return { type: "object", properties, required: Object.keys(properties).filter((name) => !optional.includes(name)) };
}

export const links = (...names: string[]): JsonObject => object(Object.fromEntries(names.map((name) => [name, text])));

export const page = (item: JsonObject): JsonObject =>
  object({ items: { type: "array", items: item }, next_cursor: nullable(text) });
