/**
 * What one schema takes and another does not. A new input schema breaks callers where it does not take what the old one took; a new output schema
 * breaks readers where the old one would not have taken what the new one gives. What cannot be compared counts as a gap, so that no silence is
 * a promise.
 */
import { isDeepStrictEqual } from "node:util";
import type { Json, JsonSchema } from "../protocol/json.ts";
import { CODE_TYPE_KEYWORD } from "../protocol/spec.ts";
import { type Defs, isObject, resolveRef, type SchemaObject } from "../schema/walk.ts";
import { boundGaps } from "./bounds.ts";
import { typesOf } from "./types.ts";

export type Gap = {
  at: string;
} /** `to` wants a field that `from` may leave out; `isNew`: `from` does not know it at all. */ & (
  | { kind: "required"; isNew: boolean }
  /** `to` knows no such field. */
  | { kind: "unknown" }
  | { kind: "type"; from: JsonSchema; to: JsonSchema }
  | { kind: "value"; value: Json }
  | { kind: "bound"; keyword: string; from: Json | null; to: Json }
  | { kind: "incomparable" }
);

/** A schema with the definitions that its references lead to. */
export interface Side {
  schema: JsonSchema;
  $defs: Defs;
}

/** Keywords that are only compared for being equal. */
const OPAQUE = [
  "not",
  "if",
  "then",
  "else",
  "patternProperties",
  "propertyNames",
  "contains",
  "dependentSchemas",
  "dependentRequired",
];

/**
 * What of a field that `to` does not name: `as said` by its additionalProperties, that are allowed where it says nothing; `pass`: none is a gap, as
 * readers pass over them; `tell`: each is, where `to` says nothing.
 */
export type Unnamed = "as said" | "pass" | "tell";

export function gaps(from: Side, to: Side, unnamed: Unnamed): Gap[] {
  return new Comparison(from.$defs, to.$defs, unnamed).compare(from.schema, to.schema, "");
}

class Comparison {
  readonly #fromDefs: Defs;
  readonly #toDefs: Defs;
  readonly #unnamed: Unnamed;
  /** Of pairs of schemas, once compared; empty while it is under way, so that a definition that leads to itself is as good as the rest of it. */
  readonly #known = new Map<JsonSchema, Map<JsonSchema, Gap[]>>();

  constructor(fromDefs: Defs, toDefs: Defs, unnamed: Unnamed) {
    this.#fromDefs = fromDefs;
    this.#toDefs = toDefs;
    this.#unnamed = unnamed;
  }

  compare(given: JsonSchema, taken: JsonSchema, at: string): Gap[] {
    const from = resolveRef(given, this.#fromDefs);
    const to = resolveRef(taken, this.#toDefs);
    if (from === false || isAny(to)) return [];
    if (to === false || isAny(from)) return [{ at, kind: "type", from, to }];
    const known = this.#known.get(from) ?? new Map<JsonSchema, Gap[]>();
    this.#known.set(from, known);
    let found = known.get(to);
    if (found === undefined) {
      known.set(to, []);
      found = this.#compareObjects(from as SchemaObject, to as SchemaObject);
      known.set(to, found);
    }
    return found.map((gap) => ({ ...gap, at: joined(at, gap.at) }));
  }

  #compareObjects(from: SchemaObject, to: SchemaObject): Gap[] {
    const parts = listOf(from.anyOf ?? from.oneOf);
    if (parts !== null) return unique(parts.flatMap((part) => this.compare(merged(from, part), to, "")));
    const all = listOf(to.allOf);
    if (all !== null) return unique([without(to, "allOf"), ...all].flatMap((part) => this.compare(from, part, "")));
    const some = listOf(from.allOf);
    if (some !== null)
      return this.#fewest([without(from, "allOf"), ...some], (part) => this.compare(part, to, "")) ?? [];
    const values = valuesOf(from);
    if (values !== null)
      return values.flatMap((value): Gap[] => (this.#takes(to, value) ? [] : [{ at: "", kind: "value", value }]));
    return this.#compareAlternatives(from, to) ?? this.#compareFlat(from, to);
  }

  /** Null where `to` has no alternatives. */
  #compareAlternatives(from: SchemaObject, to: SchemaObject): Gap[] | null {
    const alternatives = listOf(to.anyOf ?? to.oneOf);
    if (alternatives === null) return null;
    const found: Gap[][] = [];
    for (const part of alternatives) {
      const each = this.compare(from, merged(to, part), "");
      if (each.length === 0) return [];
      found.push(each);
    }
    // The one that was meant is of the same type; where that is not plain, the type is what has changed.
    const alike = alternatives
      .map((part, index) => ({ part: resolveRef(part, this.#toDefs), gaps: found[index] ?? [] }))
      .filter(({ part }) => !isAny(part) && isDeepStrictEqual(typesOf(part), typesOf(from)));
    return alike.length === 1 ? (alike[0]?.gaps ?? []) : [{ at: "", kind: "type", from, to }];
  }

  #compareFlat(from: SchemaObject, to: SchemaObject): Gap[] {
    const code = to[CODE_TYPE_KEYWORD];
    const isNarrower = valuesOf(to) !== null || !typesFit(typesOf(from), typesOf(to));
    if (isNarrower || (code !== undefined && code !== from[CODE_TYPE_KEYWORD]))
      return [{ at: "", kind: "type", from, to }];
    const opaque = OPAQUE.some((key) => to[key] !== undefined && !isDeepStrictEqual(from[key], to[key]));
    return [
      ...boundGaps(from, to).map((gap): Gap => ({ at: "", ...gap })),
      ...(opaque ? [{ at: "", kind: "incomparable" } as const] : []),
      ...this.#compareFields(from, to),
      ...this.#compareItems(from, to),
    ];
  }

  #compareFields(from: SchemaObject, to: SchemaObject): Gap[] {
    const [fromFields, toFields] = [fieldsOf(from), fieldsOf(to)];
    const [fromRequired, toRequired] = [requiredOf(from), requiredOf(to)];
    const found: Gap[] = [];
    for (const name of toRequired)
      if (!fromRequired.has(name)) found.push({ at: name, kind: "required", isNew: !fromFields.has(name) });
    const rest = to.additionalProperties as JsonSchema | undefined;
    for (const [name, schema] of fromFields) {
      const taken = toFields.get(name) ?? (this.#unnamed === "pass" ? true : (rest ?? this.#unnamed !== "tell"));
      if (taken === false) found.push({ at: name, kind: "unknown" });
      else found.push(...this.compare(schema, taken, name));
    }
    if (rest === undefined || (rest === false && this.#unnamed === "pass")) return found;
    const more = from.additionalProperties as JsonSchema | undefined;
    if (rest !== false || (more ?? true) !== false) found.push(...this.compare(more ?? true, rest, "*"));
    return found;
  }

  #compareItems(from: SchemaObject, to: SchemaObject): Gap[] {
    const [fromFirst, toFirst] = [listOf(from.prefixItems) ?? [], listOf(to.prefixItems) ?? []];
    const found: Gap[] = [];
    for (let i = 0; i < Math.max(fromFirst.length, toFirst.length); i++) {
      const given = fromFirst[i] ?? (from.items as JsonSchema | undefined) ?? true;
      const taken = toFirst[i] ?? (to.items as JsonSchema | undefined) ?? true;
      found.push(...this.compare(given, taken, `[${i}]`));
    }
    if (to.items !== undefined)
      found.push(...this.compare((from.items as JsonSchema | undefined) ?? true, to.items as JsonSchema, "[]"));
    return found;
  }

  /** Whether the schema takes one value of an enumeration. */
  #takes(schema: JsonSchema, value: Json): boolean {
    const to = resolveRef(schema, this.#toDefs);
    if (typeof to === "boolean") return to;
    const parts = listOf(to.anyOf ?? to.oneOf);
    if (parts !== null) return parts.some((part) => this.#takes(part, value));
    if (!(listOf(to.allOf) ?? []).every((part) => this.#takes(part, value))) return false;
    const values = valuesOf(to);
    if (values !== null) return values.some((each) => isDeepStrictEqual(each, value));
    return to[CODE_TYPE_KEYWORD] === undefined && typesFit(typesOf({ const: value }), typesOf(to));
  }

  #fewest(parts: JsonSchema[], compare: (part: JsonSchema) => Gap[]): Gap[] | undefined {
    return parts.map(compare).toSorted((a, b) => a.length - b.length)[0];
  }
}

function isAny(schema: JsonSchema): boolean {
  return schema === true || (isObject(schema) && typesOf(schema) === null && restricts(schema) === false);
}

/** Beside its type: annotations restrict nothing. */
function restricts(schema: SchemaObject): boolean {
  const annotations = [
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "$comment",
    "format",
  ];
  return Object.keys(schema).some((key) => !annotations.includes(key));
}

/** A branch of a union holds beside what stands around the union. */
function merged(around: SchemaObject, part: JsonSchema): JsonSchema {
  const rest = without(without(without(around, "anyOf"), "oneOf"), "discriminator");
  if (!restricts(rest)) return part;
  return isObject(part) ? { ...rest, ...part } : part;
}

function without(schema: SchemaObject, key: string): SchemaObject {
  const { [key]: _, ...rest } = schema;
  return rest;
}

function listOf(value: Json | undefined): JsonSchema[] | null {
  return Array.isArray(value) && value.length > 0 ? (value as JsonSchema[]) : null;
}

/** The values of an enumeration; null where it is none. */
function valuesOf(schema: SchemaObject): Json[] | null {
  if ("const" in schema) return [schema.const as Json];
  return Array.isArray(schema.enum) ? schema.enum : null;
}

function fieldsOf(schema: SchemaObject): Map<string, JsonSchema> {
  return new Map(Object.entries(isObject(schema.properties) ? schema.properties : {}) as [string, JsonSchema][]);
}

function requiredOf(schema: SchemaObject): Set<string> {
  return new Set(Array.isArray(schema.required) ? schema.required.map(String) : []);
}

function typesFit(from: string[] | null, to: string[] | null): boolean {
  if (to === null) return true;
  return from?.every((type) => to.includes(type) || (type === "integer" && to.includes("number"))) === true;
}

function joined(outer: string, inner: string): string {
  if (inner === "" || outer === "") return outer + inner;
  return inner.startsWith("[") ? outer + inner : `${outer}.${inner}`;
}

function unique(all: Gap[]): Gap[] {
  return all.filter((gap, index) => all.findIndex((other) => isDeepStrictEqual(other, gap)) === index);
}
