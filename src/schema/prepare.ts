import type { JsonSchema } from "../protocol/json.ts";
import { CODE_TYPE_KEYWORD } from "../protocol/spec.ts";
import { codeType } from "./plan.ts";
import { type Defs, isObject, mapSubschemas, resolveRef, type SchemaObject } from "./walk.ts";

/** Formats of the wire forms of special types; registered with Ajv by compile.ts. */
export const WIRE_FORMATS = {
  // Canonical or unpadded, of the plain or the URL-safe alphabet.
  "athanor-base64": /^(?:[A-Za-z0-9+/_-]{4})*(?:[A-Za-z0-9+/_-]{2}(?:==)?|[A-Za-z0-9+/_-]{3}=?)?$/,
  "athanor-bigint": /^-?[0-9]{1,10000}$/,
} as const;

/** Keywords that only describe, or that would change how references resolve. */
const DROPPED = [
  "$schema",
  "$id",
  "id",
  "$comment",
  "title",
  "description",
  "default",
  "example",
  "examples",
  "deprecated",
];

/**
 * The schema as Ajv shall check it: special types in their wire form (an image as the MediaRef that stands for it by then),
 * annotations left out, discriminators in the form that Ajv supports or not at all.
 */
export function prepareSchema(schema: JsonSchema, $defs: Defs): JsonSchema {
  if (!isObject(schema)) return schema;
  const kind = codeType(schema);
  if (kind !== null) return wireForm(kind, schema);
  const prepared = mapSubschemas(schema, (sub) => prepareSchema(sub, $defs));
  for (const keyword of DROPPED) delete prepared[keyword];
  if ("discriminator" in prepared) prepareDiscriminator(prepared, $defs);
  return prepared;
}

function wireForm(kind: string, schema: SchemaObject): SchemaObject {
  const marked = { [CODE_TYPE_KEYWORD]: kind };
  if (kind === "image") return { ...marked, type: "object", required: ["$media", "file_name", "content_type"] };
  if (kind === "date") return { ...marked, type: "string", format: "date-time" };
  const kept: SchemaObject = {};
  if (kind === "bytes")
    for (const key of ["minLength", "maxLength"]) if (key in schema) kept[key] = schema[key] ?? null;
  return { ...kept, ...marked, type: "string", format: kind === "bytes" ? "athanor-base64" : "athanor-bigint" };
}

/** Ajv takes a discriminator only beside `oneOf`, without `mapping`, over objects that require a tag of distinct strings. */
function prepareDiscriminator(schema: SchemaObject, $defs: Defs): void {
  const tag = isObject(schema.discriminator) ? schema.discriminator.propertyName : null;
  const branches = Array.isArray(schema.oneOf) ? (schema.oneOf as JsonSchema[]) : [];
  const tags = typeof tag === "string" ? branches.map((branch) => tagValues(branch, tag, $defs)) : [];
  const all = tags.flatMap((values) => values ?? []);
  const usable = tags.length > 0 && tags.every((values) => values !== null) && new Set(all).size === all.length;
  if (!usable) {
    delete schema.discriminator;
    return;
  }
  schema.discriminator = { propertyName: tag as string };
  schema.type = "object";
  schema.required = [...new Set([...(Array.isArray(schema.required) ? schema.required : []), tag as string])];
}

/** The values of the tag in one branch of a union, or null where they are not plain strings. */
export function tagValues(branch: JsonSchema, tag: string, $defs: Defs): string[] | null {
  const object = resolveRef(branch, $defs);
  if (!isObject(object) || !isObject(object.properties)) return null;
  const schema = object.properties[tag];
  if (!isObject(schema)) return null;
  const values = Array.isArray(schema.enum) ? schema.enum : "const" in schema ? [schema.const] : [];
  return values.length > 0 && values.every((v) => typeof v === "string" && v !== "") ? (values as string[]) : null;
}
