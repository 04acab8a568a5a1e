import type { Json, JsonSchema } from "../../protocol/json.ts";
import { CODE_TYPE_KEYWORD } from "../../protocol/spec.ts";

type Definitions = { [name: string]: JsonSchema };

const DEFS_PREFIX = "#/$defs/";
/** Keywords whose values are data or names, not schemas. */
const DATA_KEYWORDS: ReadonlySet<string> = new Set([
  "const",
  "enum",
  "default",
  "examples",
  "example",
  "required",
  "dependentRequired",
]);
/** Keywords whose values are schemas by name. */
const MAP_KEYWORDS: ReadonlySet<string> = new Set(["properties", "patternProperties", "$defs", "dependentSchemas"]);

/** Names of components have fewer characters than names of types: `Box<string>` becomes `Box_string_`. */
export function componentName(name: string): string {
  return name.replace(/[^A-Za-z0-9._-]/g, "_");
}

export function isImage(schema: JsonSchema): boolean {
  return typeof schema === "object" && schema[CODE_TYPE_KEYWORD] === "image";
}

/** The schema that a `$ref` leads to. */
export function resolve(schema: JsonSchema, $defs: Definitions): JsonSchema {
  let node = schema;
  for (let steps = 0; steps < 100 && typeof node === "object" && typeof node.$ref === "string"; steps++) {
    const target = $defs[definitionName(node.$ref)];
    if (target === undefined) return node;
    node = target;
  }
  return node;
}

/** As clients send it: references lead to the document's components, and an image is a string or a file in JSON. */
export function inputSchema(schema: JsonSchema): JsonSchema {
  return rewrite(schema, (node) => {
    const forms = Array.isArray(node.anyOf) ? node.anyOf : [];
    // A reference to bytes that are already there is the system's own.
    return {
      ...node,
      anyOf: forms
        .filter((form) => !isInternalReference(form))
        .map((form) => rewrite(form as JsonSchema, (inner) => inner)),
    };
  });
}

/** As clients get it. */
export function outputSchema(schema: JsonSchema): JsonSchema {
  return rewrite(schema, () => ({ $ref: "#/components/schemas/athanor.Media" }));
}

type SchemaObject = { [keyword: string]: Json };

function rewrite(schema: JsonSchema, image: (node: SchemaObject) => SchemaObject): JsonSchema {
  if (typeof schema === "boolean") return schema;
  if (isImage(schema)) return image(schema);
  const entries = Object.entries(schema).map(([keyword, value]): [string, Json] => {
    if (keyword === "$ref" && typeof value === "string")
      return [keyword, `#/components/schemas/${componentName(definitionName(value))}`];
    if (keyword === "discriminator") return [keyword, rewriteDiscriminator(value)];
    if (DATA_KEYWORDS.has(keyword) || typeof value !== "object" || value === null) return [keyword, value];
    if (MAP_KEYWORDS.has(keyword))
      return [
        keyword,
        Object.fromEntries(Object.entries(value).map(([name, part]) => [name, rewrite(part as JsonSchema, image)])),
      ];
    if (Array.isArray(value)) return [keyword, value.map((part) => (isSchema(part) ? rewrite(part, image) : part))];
    return [keyword, rewrite(value, image)];
  });
  return Object.fromEntries(entries);
}

/** Its mapping leads to schemas too. */
function rewriteDiscriminator(value: Json): Json {
  if (
    typeof value !== "object" ||
    value === null ||
    Array.isArray(value) ||
    typeof value.mapping !== "object" ||
    value.mapping === null
  )
    return value;
  const mapping = Object.entries(value.mapping).map(([tag, ref]) => [
    tag,
    typeof ref === "string" ? `#/components/schemas/${componentName(definitionName(ref))}` : ref,
  ]);
  return { ...value, mapping: Object.fromEntries(mapping) as Json };
}

const isSchema = (value: Json): value is JsonSchema & Json =>
  typeof value === "boolean" || (typeof value === "object" && value !== null && !Array.isArray(value));

function isInternalReference(form: Json): boolean {
  return (
    typeof form === "object" &&
    form !== null &&
    !Array.isArray(form) &&
    JSON.stringify(form.required ?? []).includes("$media")
  );
}

/** References are URI fragments that hold JSON Pointers, with the escapes of both. */
function definitionName(ref: string): string {
  const name = ref.startsWith(DEFS_PREFIX) ? ref.slice(DEFS_PREFIX.length) : ref;
  try {
    return decodeURIComponent(name).replaceAll("~1", "/").replaceAll("~0", "~");
  } catch {
    return name;
  }
}
