import type { JsonSchema } from "../protocol/json.ts";
import { type Defs, defName, isObject } from "./walk.ts";

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

/**
 * A union that failed comes after the errors of all its branches. What stands for them: the errors of the one branch that the value
 * was evidently meant for, or else the union's own.
 */
export function collapseUnions(errors: SchemaError[], definitions: Definitions): SchemaError[] {
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
