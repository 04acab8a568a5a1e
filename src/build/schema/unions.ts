import ts from "typescript";
import { BIGINT_SCHEMA, codeTypeSchema } from "./builtins.ts";
import type { Conversion, Place } from "./conversion.ts";
import { discriminatedSchema } from "./discriminators.ts";
import { isLiteral, literalValue } from "./literals.ts";
import { inOrder } from "./member-order.ts";
import { bigintText } from "./primitives.ts";
import type { SchemaObject } from "./tags.ts";

const F = ts.TypeFlags;

/** What may be left out: the type without `undefined`, and whether it had it. Null: nothing else is left. */
export function withoutUndefined(
  c: Conversion,
  type: ts.Type,
  place: Place,
): { schema: SchemaObject; optional: boolean } {
  const { rest, optional } = stripUndefined(c, type);
  if (!optional) return { schema: c.convert(type, place), optional };
  const [only] = rest;
  if (only === undefined) return { schema: { not: {} }, optional };
  return { schema: rest.length === 1 ? c.convert(only, place) : membersSchema(c, rest, place), optional };
}

/** The parts of a type other than `undefined`. A union that an alias or an enum names is one part. */
export function stripUndefined(c: Conversion, type: ts.Type): { rest: ts.Type[]; optional: boolean } {
  if (type.flags & (F.Undefined | F.Void)) return { rest: [], optional: true };
  if (!type.isUnion() || !type.types.some((t) => t.flags & F.Undefined)) return { rest: [type], optional: false };
  return { rest: dropUndefined(c, partsOf(type)), optional: true };
}

function dropUndefined(c: Conversion, parts: ts.Type[]): ts.Type[] {
  return joinBoolean(
    c,
    parts.flatMap((t) =>
      isNullish(t, F.Undefined) ? [] : t.isUnion() && hasUndefined(t) ? stripUndefined(c, t).rest : [t],
    ),
  );
}

function hasUndefined(type: ts.UnionType): boolean {
  return type.types.some((t) => t.flags & F.Undefined);
}

function isNullish(type: ts.Type, flags = F.Undefined | F.Null | F.Void): boolean {
  return (type.flags & flags) !== 0;
}

/** The union as the user composed it where TypeScript remembers that: `Shape | null` has two parts, however many shapes there are. */
function partsOf(type: ts.UnionType): ts.Type[] {
  const origin = (type as { origin?: ts.Type }).origin;
  if (origin?.isUnion()) {
    const parts = origin.types.flatMap((t) =>
      t.isUnion() && t.aliasSymbol === undefined && !(t.flags & F.EnumLike) ? partsOf(t) : [t],
    );
    if (sameMembers(flatten(parts), type.types)) return parts;
  }
  return type.types;
}

function flatten(types: readonly ts.Type[]): ts.Type[] {
  return types.flatMap((t) => (t.isUnion() ? t.types : [t]));
}

function sameMembers(a: readonly ts.Type[], b: readonly ts.Type[]): boolean {
  const members = new Set(a);
  return members.size === b.length && b.every((t) => members.has(t));
}

/** `true` and `false` side by side are `boolean`. */
function joinBoolean(c: Conversion, types: ts.Type[]): ts.Type[] {
  const booleans = types.filter((t) => t.flags & F.BooleanLiteral);
  if (booleans.length !== 2) return types;
  return [...types.filter((t) => !(t.flags & F.BooleanLiteral)), c.checker.getBooleanType()];
}

export function unionSchema(c: Conversion, type: ts.UnionType, place: Place): SchemaObject {
  return membersSchema(c, partsOf(type), place);
}

/** `anyOf` of the parts, with literals gathered into one `enum` and objects that a property tells apart into one `oneOf`. */
function membersSchema(c: Conversion, parts: ts.Type[], place: Place): SchemaObject {
  const named = parts.filter((t) => !isNullish(t));
  // A union that has a name keeps it beside null only: any other company makes one flat union of all.
  const whole = named.length === 1 ? named : joinEnums(c, joinBoolean(c, [...new Set(flatten(named))]));
  const nullable = parts.some((t) => isNullish(t));
  const ordered = inOrder(c, whole, place.typeNode);
  const literals = ordered.filter(isLiteral);
  const bigints = ordered.filter((t) => t.flags & F.BigIntLiteral);
  const others = ordered.filter((t) => !isLiteral(t) && (bigints.length < 2 || !bigints.includes(t)));
  const alternatives: SchemaObject[] = [];
  if (bigints.length > 1)
    alternatives.push({ ...BIGINT_SCHEMA, enum: bigints.map((t) => bigintText((t as ts.BigIntLiteralType).value)) });
  if (literals.length > 0)
    alternatives.push(literalsSchema(c, literals, nullable && others.length === 0 && bigints.length < 2));
  const objects = others.filter((t) => isPlainObject(c, t));
  const told = objects.length > 1 ? discriminatedSchema(c, objects, place) : null;
  for (const type of others) {
    if (told === null || !objects.includes(type)) alternatives.push(c.convert(type, partPlace(c, place, type)));
    else if (type === objects[0]) alternatives.push(told);
  }
  if (nullable && !(literals.length > 0 && others.length === 0 && bigints.length < 2))
    alternatives.push({ type: "null" });
  return anyOf(alternatives);
}

/** A part stands where its union does; as written, it is the part of the written union that has its type. */
function partPlace(c: Conversion, place: Place, type: ts.Type): Place {
  const { typeNode } = place;
  const written = typeNode !== undefined && ts.isUnionTypeNode(typeNode) ? typeNode.types : [];
  return {
    ...place,
    typeNode: written.find((node) => c.checker.getTypeFromTypeNode(node) === type),
    depth: place.depth + 1,
  };
}

function anyOf(alternatives: SchemaObject[]): SchemaObject {
  const distinct = [...new Map(alternatives.map((a) => [JSON.stringify(a), a])).values()];
  const [only] = distinct;
  return distinct.length === 1 && only !== undefined ? only : { anyOf: distinct };
}

function literalsSchema(c: Conversion, types: ts.Type[], nullable: boolean): SchemaObject {
  const values = types.map((t) => literalValue(c, t));
  const kinds = new Set(values.map((v) => typeof v));
  const [kind] = kinds;
  const type = kinds.size === 1 && kind !== undefined && !nullable ? { type: kind } : {};
  if (values.length === 1 && values[0] !== undefined && !nullable) return { ...type, const: values[0] };
  return { ...type, enum: nullable ? [...values, null] : values };
}

/** The enum's values, in order of declaration. */
export function enumSchema(c: Conversion, type: ts.UnionType): SchemaObject {
  if (!type.types.every(isLiteral)) return { title: type.symbol.name, type: "number" }; // computed members
  const position = (t: ts.Type) => t.symbol.valueDeclaration?.pos ?? 0;
  const members = type.types.toSorted((a, b) => position(a) - position(b));
  return { title: type.symbol.name, ...literalsSchema(c, members, false) };
}

/** All members of an enum become the enum again. */
function joinEnums(c: Conversion, types: ts.Type[]): ts.Type[] {
  const found = new Set<ts.Type>();
  for (const type of types) {
    const declared = enumOf(c, type);
    if (declared?.types.every((member) => types.includes(member))) found.add(declared);
  }
  const joined = new Set([...found].flatMap((t) => (t as ts.UnionType).types));
  return [...types.filter((t) => !joined.has(t)), ...found];
}

function enumOf(c: Conversion, member: ts.Type): ts.UnionType | null {
  if (!(member.flags & F.EnumLiteral) || member.isUnion()) return null;
  const parent = member.symbol.valueDeclaration?.parent;
  if (parent === undefined || !ts.isEnumDeclaration(parent)) return null;
  const type = c.checker.getTypeAtLocation(parent);
  return type.isUnion() ? type : null;
}

function isPlainObject(c: Conversion, type: ts.Type): boolean {
  if (!(type.flags & (F.Object | F.Intersection)) || codeTypeSchema(c, type) !== null) return false;
  return !c.checker.isArrayType(type) && !c.checker.isTupleType(type);
}
