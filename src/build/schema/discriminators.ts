import ts from "typescript";
import type { Json } from "../../protocol/json.ts";
import type { Conversion, Place } from "./conversion.ts";
import { isLiteral, literalValue } from "./literals.ts";
import type { SchemaObject } from "./tags.ts";

/** `oneOf` where a required property has different literal values in each of the types; null where there is none. */
export function discriminatedSchema(c: Conversion, types: ts.Type[], place: Place): SchemaObject | null {
  const candidates = types[0] === undefined ? [] : c.checker.getPropertiesOfType(types[0]).map((p) => p.name);
  for (const propertyName of candidates) {
    const tags = types.map((type) => tagValues(c, type, propertyName));
    const all = tags.flatMap((values) => values ?? []);
    if (tags.includes(null) || new Set(all).size !== all.length) continue;
    const oneOf = types.map((type) => c.convert(type, { ...place, typeNode: undefined, depth: place.depth + 1 }));
    if (all.some((value) => typeof value !== "string")) return { oneOf }; // OpenAPI's discriminator takes strings only
    const pairs = oneOf.flatMap((schema, i) =>
      (tags[i] ?? []).map((value): [string, Json] => [String(value), schema.$ref ?? null]),
    );
    const mapping = pairs.every(([, ref]) => ref !== null) ? { mapping: Object.fromEntries(pairs) } : {};
    return { oneOf, discriminator: { propertyName, ...mapping } };
  }
  return null;
}

function tagValues(c: Conversion, type: ts.Type, name: string): (string | number | boolean)[] | null {
  const property = c.checker.getPropertyOfType(type, name);
  if (property === undefined || property.flags & ts.SymbolFlags.Optional) return null;
  const tag = c.checker.getTypeOfSymbol(property);
  const values = tag.isUnion() ? tag.types : [tag];
  return values.every(isLiteral) ? values.map((t) => literalValue(c, t)) : null;
}
