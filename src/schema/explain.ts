import type { Json, JsonSchema } from "../protocol/json.ts";
import { CODE_TYPE_KEYWORD } from "../protocol/spec.ts";
import type { InvalidPath } from "../protocol/wire.ts";
import { tagValues } from "./prepare.ts";
import { collapseUnions, type Definitions, type SchemaError } from "./union-errors.ts";
import { type Defs, isObject } from "./walk.ts";
import { brief, cut, describe, listed, oneOf, pointer } from "./words.ts";

const MAX_PATHS = 20;

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
      return { path: `${path}/${pointer(name)}`, expected: `nothing by this name${hint}`, actual: brief(value) };
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
