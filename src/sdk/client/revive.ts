import type { Json, JsonObject, JsonSchema } from "../../protocol/json.ts";
import type { MediaJson } from "../../protocol/media.ts";
import { CODE_TYPE_KEYWORD, type CodeType } from "../../protocol/spec.ts";
import { fromBase64 } from "../base64.ts";
import { ImageFile } from "../media.ts";

export interface ReviveParams {
  schema: JsonSchema | null;
  $defs: { [name: string]: JsonSchema };
  /** The bytes of a media value that came as a URL alone. */
  fetchBytes(url: string): Promise<Uint8Array>;
}

/**
 * The value in code of a result or chunk: Date, Uint8Array, bigint and ImageFile stand again where the function's output schema has them.
 * Where the schema leaves a choice, the first alternative that the value fits is taken, as it was when the server checked it.
 */
export async function revive(value: Json, params: ReviveParams): Promise<unknown> {
  if (params.schema === null || !mentionsCodeType(params.schema, params.$defs)) return value;
  return reviveAt(value, params.schema, params);
}

async function reviveAt(value: Json, given: JsonSchema, params: ReviveParams): Promise<unknown> {
  const schema = resolve(given, params.$defs);
  if (typeof schema === "boolean") return value;
  const codeType = schema[CODE_TYPE_KEYWORD] as CodeType | undefined;
  if (codeType !== undefined) return value === null ? null : reviveCodeType(value, codeType, params);
  const alternatives = (schema.anyOf ?? schema.oneOf) as JsonSchema[] | undefined;
  if (alternatives) {
    const fitting = alternatives.find((alternative) => fits(value, alternative, params.$defs));
    return fitting === undefined ? value : reviveAt(value, fitting, params);
  }
  if (Array.isArray(schema.allOf)) {
    const whole = mergeAll(schema, params.$defs);
    return whole === null ? value : reviveAt(value, whole, params);
  }
  if (Array.isArray(value))
    return Promise.all(value.map((item, index) => reviveAt(item, itemSchema(schema, index), params)));
  if (isObject(value)) return reviveObject(value, schema, params);
  return value;
}

async function reviveObject(value: JsonObject, schema: JsonObject, params: ReviveParams): Promise<unknown> {
  const entries = Object.entries(value).map(async ([key, entry]) => {
    return [key, await reviveAt(entry, propertySchema(schema, key), params)] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}

async function reviveCodeType(value: Json, codeType: CodeType, params: ReviveParams): Promise<unknown> {
  if (codeType === "image") return reviveImage(value, params);
  if (typeof value !== "string") return value;
  if (codeType === "date") return new Date(value);
  if (codeType === "bigint") return BigInt(value);
  return fromBase64(value) ?? value;
}

async function reviveImage(value: Json, params: ReviveParams): Promise<unknown> {
  if (!isObject(value)) return value;
  const media = value as unknown as MediaJson;
  if (media.content !== undefined) return ImageFile.fromJson(media);
  if (typeof media.url !== "string") return value;
  return new ImageFile(await params.fetchBytes(media.url), { fileName: media.file_name });
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function resolve(schema: JsonSchema, $defs: ReviveParams["$defs"]): JsonSchema {
  let at = schema;
  while (typeof at === "object" && typeof at.$ref === "string") {
    const name = at.$ref.replace("#/$defs/", "").replaceAll("~1", "/").replaceAll("~0", "~");
    at = $defs[name] ?? $defs[decodeURIComponent(name)] ?? true;
  }
  return at;
}

function itemSchema(schema: JsonObject, index: number): JsonSchema {
  const prefix = schema.prefixItems as JsonSchema[] | undefined;
  return prefix?.[index] ?? (schema.items as JsonSchema | undefined) ?? true;
}

function propertySchema(schema: JsonObject, key: string): JsonSchema {
  const named = schema.properties as { [name: string]: JsonSchema } | undefined;
  if (named && Object.hasOwn(named, key)) return named[key] as JsonSchema;
  for (const [pattern, matched] of Object.entries(
    (schema.patternProperties ?? {}) as { [pattern: string]: JsonSchema },
  )) {
    if (new RegExp(pattern, "u").test(key)) return matched;
  }
  return (schema.additionalProperties as JsonSchema | undefined) ?? true;
}

/** One object schema of all the parts; null where the parts are not all objects with properties. */
function mergeAll(schema: JsonObject, $defs: ReviveParams["$defs"]): JsonSchema | null {
  const { allOf, ...rest } = schema;
  const merged: JsonObject = { ...rest, properties: { ...(rest.properties as JsonObject | undefined) } };
  for (const part of allOf as JsonSchema[]) {
    const resolved = resolve(part, $defs);
    if (typeof resolved === "boolean") continue;
    if (!isObject(resolved.properties)) return null;
    Object.assign(merged.properties as JsonObject, resolved.properties);
  }
  return merged;
}

/** Whether the value could be one of this schema: its shape is looked at, not every bound. */
function fits(value: Json, given: JsonSchema, $defs: ReviveParams["$defs"]): boolean {
  const schema = resolve(given, $defs);
  if (typeof schema === "boolean") return schema;
  if (schema.const !== undefined) return value === schema.const;
  if (Array.isArray(schema.enum)) return schema.enum.some((entry) => entry === value);
  const codeType = schema[CODE_TYPE_KEYWORD] as CodeType | undefined;
  if (codeType !== undefined) return fitsCodeType(value, codeType);
  const alternatives = (schema.anyOf ?? schema.oneOf) as JsonSchema[] | undefined;
  if (alternatives) return alternatives.some((alternative) => fits(value, alternative, $defs));
  if (Array.isArray(schema.allOf)) return schema.allOf.every((part) => fits(value, part as JsonSchema, $defs));
  if (!fitsType(value, schema.type)) return false;
  if (Array.isArray(value)) return value.every((item, index) => fits(item, itemSchema(schema, index), $defs));
  if (!isObject(value)) return true;
  const required = (schema.required ?? []) as string[];
  return (
    required.every((key) => Object.hasOwn(value, key)) &&
    Object.entries(value).every(([key, entry]) => fits(entry, propertySchema(schema, key), $defs))
  );
}

function fitsCodeType(value: Json, codeType: CodeType): boolean {
  if (codeType === "image") return isObject(value) && typeof value.content_type === "string";
  if (typeof value !== "string") return false;
  if (codeType === "date") return /^[+-]?\d{4,6}-\d\d-\d\d/.test(value) && !Number.isNaN(Date.parse(value));
  if (codeType === "bigint") return /^-?\d+$/.test(value);
  return fromBase64(value) !== null;
}

function fitsType(value: Json, type: Json | undefined): boolean {
  if (type === undefined) return true;
  if (Array.isArray(type)) return type.some((one) => fitsType(value, one));
  if (type === "null") return value === null;
  if (type === "array") return Array.isArray(value);
  if (type === "object") return isObject(value);
  if (type === "integer") return Number.isInteger(value);
  return typeof value === type;
}

const mentions = new WeakMap<object, boolean>();

/** Whether any value in code stands anywhere in the schema; most have none, and then nothing need be walked. */
function mentionsCodeType(schema: JsonSchema, $defs: ReviveParams["$defs"]): boolean {
  if (typeof schema === "boolean") return false;
  const known = mentions.get(schema);
  if (known !== undefined) return known;
  const found = searchCodeType(schema, $defs, new Set());
  mentions.set(schema, found);
  return found;
}

function searchCodeType(node: Json | undefined, $defs: ReviveParams["$defs"], seen: Set<object>): boolean {
  if (typeof node !== "object" || node === null || seen.has(node)) return false;
  seen.add(node);
  if (Array.isArray(node)) return node.some((entry) => searchCodeType(entry, $defs, seen));
  if (CODE_TYPE_KEYWORD in node) return true;
  if (typeof node.$ref === "string" && searchCodeType(resolve(node, $defs) as Json, $defs, seen)) return true;
  return Object.values(node).some((entry) => searchCodeType(entry, $defs, seen));
}
