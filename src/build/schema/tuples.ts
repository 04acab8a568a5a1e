import ts from "typescript";
import { type Conversion, inside, type Place } from "./conversion.ts";
import type { SchemaObject } from "./tags.ts";
import { withoutUndefined } from "./unions.ts";

/** `[a, b?, ...c[]]`: fixed elements by place, then the rest. Elements after a rest element can only be said loosely. */
export function tupleSchema(c: Conversion, type: ts.TupleTypeReference, place: Place): SchemaObject {
  const flags = type.target.elementFlags;
  const elements = c.checker.getTypeArguments(type);
  const restAt = flags.findIndex((flag) => flag & ts.ElementFlags.Variable);
  const fixed = restAt === -1 ? elements : elements.slice(0, restAt);
  const convert = (element: ts.Type, i: number): SchemaObject => {
    const at = inside(
      place,
      flags[i] === ts.ElementFlags.Rest ? "[]" : `[${i}]`,
      nodeAt(place.typeNode, i, elements.length),
    );
    if (!((flags[i] ?? 0) & ts.ElementFlags.Optional)) return c.convert(element, at);
    return withoutUndefined(c, element, at).schema;
  };
  const prefixItems = fixed.map(convert);
  const minItems = flags.filter((flag) => flag & ts.ElementFlags.Required).length;
  const schema: SchemaObject = { type: "array" };
  if (prefixItems.length > 0) schema.prefixItems = prefixItems;
  if (minItems > 0) schema.minItems = minItems;
  if (restAt === -1) return { ...schema, ...(prefixItems.length > 0 ? { items: false } : { maxItems: 0 }) };
  const rest = elements.slice(restAt).map((element, i) => convert(element, restAt + i));
  return { ...schema, items: rest.length === 1 && rest[0] !== undefined ? rest[0] : { anyOf: rest } };
}

/** The element as written, where the tuple is written out element by element. */
function nodeAt(node: ts.TypeNode | undefined, i: number, count: number): ts.TypeNode | undefined {
  if (node === undefined || !ts.isTupleTypeNode(node) || node.elements.length !== count) return undefined;
  const element = node.elements[i];
  if (element === undefined || ts.isRestTypeNode(element)) return undefined;
  return ts.isNamedTupleMember(element) && element.dotDotDotToken !== undefined ? undefined : element;
}
