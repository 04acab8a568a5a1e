import type { Json, JsonSchema } from "../protocol/json.ts";
import { CODE_TYPE_KEYWORD } from "../protocol/spec.ts";
import type { InvalidPath } from "../protocol/wire.ts";
import { tagValues } from "./prepare.ts";
import { type Defs, defName, isObject, resolveRef } from "./walk.ts";

/** An error object of Ajv's generated code, compiled with `verbose`. */
export interface SchemaError {
  keyword: string;
  instancePath: string;
  schemaPath: string;
  params: Record<string, unknown>;
  parentSchema?: JsonSchema;
  data?: unknown;
}

/** What the explanation may ask of the compiled schemas. */
export interface Definitions {
  $defs: Defs;
  /** Errors of a value against one definition; null where it was not compiled by itself. */
  errorsOf(name: string, value: unknown): SchemaError[] | null;
}

const MAX_PATHS = 20;
const MAX_LISTED = 8;
const MAX_TEXT = 60;

/** Ajv's errors as paths with what was expected there; one entry per path, at most 20. */
export function explain(errors: SchemaError[], definitions: Definitions): InvalidPath[] {
  const byPath = new Map<string, { expected: Set<string>; actual: string | undefined }>();
  for (const error of collapseUnions(errors, definitions)) {
    const at = describeError(error, definitions.$defs);
    if (at === null) continue;
    const entry = byPath.get(at.path);
    if (entry) entry.expected.add(at.expected);
    else if (byPath.size < MAX_PATHS) byPath.set(at.path, { expected: new Set([at.expected]), actual: at.actual });
  }
  return [...byPath].map(([path, { expected, actual }]) => ({
    path,
    expected: [...expected].join(", "),
    ...(actual === undefined ? {} : { actual }),
  }));
}

/**
 * A union that failed comes after the errors of all its branches. What stands for them: the errors of the one branch that the value
 * was evidently meant for, or else the union's own.
 */
function collapseUnions(errors: SchemaError[], definitions: Definitions): SchemaError[] {
  const kept: SchemaError[] = [];
  for (const error of errors) {
    if (error.keyword === "anyOf" || error.keyword === "oneOf") {
      let start = kept.length;
      while (start > 0 && isWithin(kept[start - 1]?.instancePath ?? "", error.instancePath)) start--;
      const inner = kept.splice(start);
      kept.push(...(meantBranch(inner, error, definitions) ?? [error]));
    } else kept.push(error);
  }
  return kept;
}

function isWithin(path: string, parent: string): boolean {
  return path === parent || path.startsWith(`${parent}/`);
}

/** Errors of the only branch of which neither the value's own type nor a tag of it is wrong. */
function meantBranch(inner: SchemaError[], union: SchemaError, definitions: Definitions): SchemaError[] | null {
  const branches = isObject(union.parentSchema) ? union.parentSchema[union.keyword] : null;
  if (!Array.isArray(branches)) return null;
  const groups = branches.map((branch) => errorsOfRef(branch as JsonSchema, union, definitions));
  const known = new Set(groups.flatMap((group) => (group ?? []).map(identity)));
  // Branches that are no reference report in order, under a path of their own or, deeper, under that of some definition.
  let current = groups.indexOf(null);
  for (const error of inner) {
    const found = branches.findIndex((_, i) => error.schemaPath.startsWith(`${union.schemaPath}/${i}/`));
    if (found >= 0) current = found;
    else if (known.has(identity(error))) continue;
    if (current < 0) continue;
    const group = groups[current] ?? [];
    groups[current] = group;
    group.push(error);
  }
  const meant = groups.filter((group) => group?.length && group.every((error) => !excludes(error, union.instancePath)));
  return meant.length === 1 ? (meant[0] ?? null) : null;
}

/** Errors of a reference carry paths within its definition alone, so that its definition is asked again. */
function errorsOfRef(branch: JsonSchema, union: SchemaError, definitions: Definitions): SchemaError[] | null {
  const name = isObject(branch) ? defName(branch.$ref) : null;
  const errors = name === null ? null : definitions.errorsOf(name, union.data);
  if (errors === null) return null;
  const placed = errors.map((error) => ({ ...error, instancePath: union.instancePath + error.instancePath }));
  return collapseUnions(placed, definitions);
}

function identity(error: SchemaError): string {
  return `${error.keyword} ${error.instancePath}`;
}

function excludes(error: SchemaError, path: string): boolean {
  if (error.instancePath === path) return error.keyword !== "required" && error.keyword !== "additionalProperties";
  const isDirect = !error.instancePath.slice(path.length + 1).includes("/");
  return isDirect && (error.keyword === "const" || error.keyword === "enum");
}

function describeError(error: SchemaError, $defs: Defs): InvalidPath | null {
  const { instancePath: path, params, data } = error;
  const schema = isObject(error.parentSchema) ? error.parentSchema : {};
  switch (error.keyword) {
    case "if":
    case "propertyNames":
      return null;
    case "required":
    case "dependentRequired": {
      const missing = String(params.missingProperty);
      if (CODE_TYPE_KEYWORD in schema) return { path, expected: describe(schema, $defs), actual: brief(data) };
      // The discriminator's own error names the values that the tag may have.
      if (isObject(schema.discriminator) && schema.discriminator.propertyName === missing) return null;
      const sub = isObject(schema.properties) ? (schema.properties[missing] as JsonSchema) : true;
      return { path: `${path}/${pointer(missing)}`, expected: describe(sub ?? true, $defs), actual: "nothing" };
    }
    case "additionalProperties":
    case "unevaluatedProperties": {
      const name = String(params.additionalProperty ?? params.unevaluatedProperty);
      const known = Object.keys(isObject(schema.properties) ? schema.properties : {});
      const hint = known.length > 0 ? `; known: ${listed(known)}` : "";
      const value = isObject(data) ? data[name] : undefined;
      return { path: `${path}/${pointer(name)}`, expected: `no such name${hint}`, actual: brief(value) };
    }
    case "discriminator": {
      const tag = String(params.tag);
      const branches = Array.isArray(schema.oneOf) ? (schema.oneOf as JsonSchema[]) : [];
      const values = branches.flatMap((branch) => tagValues(branch, tag, $defs) ?? []);
      return { path: `${path}/${pointer(tag)}`, expected: oneOf(values), actual: brief(params.tagValue) };
    }
    default:
      return { path, expected: expectedBy(error, schema, $defs), actual: brief(data) };
  }
}

function expectedBy(error: SchemaError, schema: { [keyword: string]: Json }, $defs: Defs): string {
  const { keyword, params } = error;
  if (CODE_TYPE_KEYWORD in schema) return describe(schema, $defs);
  switch (keyword) {
    case "type":
    case "const":
    case "enum":
    case "anyOf":
      return describe(schema, $defs);
    case "oneOf":
      return Array.isArray(params.passingSchemas)
        ? `exactly one of: ${describe({ oneOf: schema.oneOf ?? [] }, $defs)}`
        : describe(schema, $defs);
    case "minimum":
    case "maximum":
    case "exclusiveMinimum":
    case "exclusiveMaximum":
      return `${typeName(schema)} ${params.comparison} ${params.limit}`;
    case "multipleOf":
      return `multiple of ${params.multipleOf}`;
    case "minLength":
      return `string of at least ${params.limit} characters`;
    case "maxLength":
      return `string of at most ${params.limit} characters`;
    case "minItems":
      return `array of at least ${params.limit} items`;
    case "maxItems":
      return `array of at most ${params.limit} items`;
    case "minProperties":
      return `object of at least ${params.limit} properties`;
    case "maxProperties":
      return `object of at most ${params.limit} properties`;
    case "uniqueItems":
      return `array without repeats (items ${params.j} and ${params.i} are equal)`;
    case "pattern":
      return `string matching ${cut(String(params.pattern))}`;
    case "format":
      return `string in the format ${params.format}`;
    case "false schema":
      return "nothing";
    default:
      return `what the schema's "${keyword}" allows`;
  }
}

function typeName(schema: { [keyword: string]: Json }): string {
  return typeof schema.type === "string" ? schema.type : "number";
}

const CODE_TYPE_TEXT: Record<string, string> = {
  date: "date and time as an ISO 8601 string with a time zone",
  bytes: "base64 string",
  bigint: "decimal integer as a string",
  image: "image: a file part, a data URI, base64, or {file_name?, content_type?, content}",
};

/** A schema in a few words: `number`, `one of "a", "b"`, `string or null`. */
function describe(schema: JsonSchema, $defs: Defs, depth = 0): string {
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

function oneOf(values: unknown[]): string {
  return values.length === 1 ? brief(values[0]) : `one of ${listed(values)}`;
}

function listed(values: unknown[]): string {
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

function cut(text: string): string {
  return text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT)}…`;
}

/** A name as one step of a JSON Pointer, cut to a length that an answer can bear. */
export function pointer(name: string): string {
  return cut(name).replaceAll("~", "~0").replaceAll("/", "~1");
}
