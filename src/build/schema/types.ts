import ts from "typescript";
import { codeTypeSchema, refuseBuiltin } from "./builtins.ts";
import { type Conversion, inside, type Place, refuse } from "./conversion.ts";
import { type Doc, docOf } from "./jsdoc.ts";
import { aliasAt, fallbackName, nameOf } from "./names.ts";
import { objectSchema } from "./objects.ts";
import { primitiveSchema } from "./primitives.ts";
import { applyDocs, type SchemaObject } from "./tags.ts";
import { tupleSchema } from "./tuples.ts";
import { enumSchema, unionSchema } from "./unions.ts";

const F = ts.TypeFlags;

/** A type nested deeper than this makes ever new types (`interface A<T> { next: A<T[]> }`). */
const MAX_DEPTH = 60;

/** The schema of a type. Faults are gathered, not thrown. */
export function convert(c: Conversion, type: ts.Type, place: Place): SchemaObject {
  const at = { ...place, typeNode: unwrapNode(place.typeNode) };
  if (place.depth > MAX_DEPTH)
    return refuse(c, type, place, "expands without end", "write a type that refers to itself unchanged");
  const inline =
    primitiveSchema(c, type, at) ?? codeTypeSchema(c, type) ?? brandSchema(c, type, at) ?? unnamedArray(c, type, at);
  if (inline !== null) return withAliasDocs(c, type, at, inline);
  const refused = isList(c, type) ? null : refuseBuiltin(c, type, at);
  if (refused !== null) return refused;
  const named = nameOf(c, type, at.typeNode);
  if (named === null) return c.definitions.unnamed(type, fallbackName(c, type), () => expand(c, type, at));
  return c.definitions.named(type, named.name, () => {
    const schema = expand(c, type, {
      ...at,
      node: declarationIn(c, named.symbol) ?? at.node,
      typeNode: aliasBody(named.symbol),
    });
    return withDocs(c, schema, docsOfSymbol(named.symbol));
  });
}

function isList(c: Conversion, type: ts.Type): boolean {
  return c.checker.isArrayType(type) || c.checker.isTupleType(type);
}

/** An array without a name cannot contain itself, and stands where it is used. */
function unnamedArray(c: Conversion, type: ts.Type, place: Place): SchemaObject | null {
  return nameOf(c, type, place.typeNode) === null ? arraySchema(c, type, place) : null;
}

/** Unions, enums, objects, and arrays that an alias names: what may have a name and may contain itself. */
function expand(c: Conversion, type: ts.Type, place: Place): SchemaObject {
  const array = arraySchema(c, type, place);
  if (array !== null) return array;
  if (type.flags & F.EnumLike && type.isUnion()) return enumSchema(c, type);
  if (type.isUnion()) return unionSchema(c, type, place);
  return objectSchema(c, type, place);
}

/** `string & { __brand: "UserId" }` is a string on the wire: the brand exists in types only. */
function brandSchema(c: Conversion, type: ts.Type, place: Place): SchemaObject | null {
  if (!type.isIntersection()) return null;
  for (const part of type.types) {
    const bare = { ...place, typeNode: undefined };
    const schema =
      part.flags & F.Object ? (codeTypeSchema(c, part) ?? arraySchema(c, part, bare)) : primitiveSchema(c, part, bare);
    if (schema !== null && !(part.flags & (F.NonPrimitive | F.TypeParameter))) return schema;
  }
  return null;
}

function arraySchema(c: Conversion, type: ts.Type, place: Place): SchemaObject | null {
  if (c.checker.isTupleType(type)) return tupleSchema(c, type as ts.TupleTypeReference, place);
  if (!c.checker.isArrayType(type)) return null;
  const [element] = c.checker.getTypeArguments(type as ts.TypeReference);
  if (element === undefined) return { type: "array" };
  return { type: "array", items: c.convert(element, inside(place, "[]", elementNode(place.typeNode))) };
}

/** The element's type as written, in `T[]`, `Array<T>` and an alias of them. */
export function elementNode(node: ts.TypeNode | undefined): ts.TypeNode | undefined {
  if (node === undefined) return undefined;
  if (ts.isTypeOperatorNode(node) && node.operator === ts.SyntaxKind.ReadonlyKeyword) return elementNode(node.type);
  if (ts.isArrayTypeNode(node)) return node.elementType;
  if (ts.isTypeReferenceNode(node) && /^(?:Readonly)?Array$/.test(node.typeName.getText()))
    return node.typeArguments?.[0];
  return undefined;
}

/** Without parentheses, `readonly`, and `| null | undefined`. */
function unwrapNode(node: ts.TypeNode | undefined): ts.TypeNode | undefined {
  if (node === undefined) return undefined;
  if (ts.isParenthesizedTypeNode(node) || ts.isOptionalTypeNode(node)) return unwrapNode(node.type);
  if (ts.isNamedTupleMember(node)) return unwrapNode(node.type);
  if (ts.isTypeOperatorNode(node) && node.operator === ts.SyntaxKind.ReadonlyKeyword) return unwrapNode(node.type);
  if (!ts.isUnionTypeNode(node)) return node;
  const parts = node.types.filter((t) => t.kind !== ts.SyntaxKind.UndefinedKeyword && t.getText() !== "undefined");
  return parts.length === 1 ? unwrapNode(parts[0]) : node;
}

/**
 * The comments of the aliases by which a type without a definition is written: TypeScript forgets `type Age = number`, and with it
 * `@minimum`. The outermost alias is applied last, and so wins.
 */
function withAliasDocs(c: Conversion, type: ts.Type, place: Place, schema: SchemaObject): SchemaObject {
  const docs: Doc[] = [];
  const seen = new Set<ts.Symbol>();
  let alias = aliasAt(c, place.typeNode) ?? type.aliasSymbol ?? null;
  while (alias !== null && !seen.has(alias)) {
    seen.add(alias);
    if (c.origins.isPlatform(alias)) break;
    if (alias !== type.aliasSymbol && c.checker.getDeclaredTypeOfSymbol(alias) !== type) break;
    docs.unshift(docsOfSymbol(alias));
    alias = aliasAt(c, aliasBody(alias));
  }
  return docs.reduce((described, doc) => withDocs(c, described, doc), schema);
}

function withDocs(c: Conversion, schema: SchemaObject, doc: Doc): SchemaObject {
  return applyDocs({ schema, doc, faults: c.faults, resolve: (ref) => c.definitions.resolve(ref) });
}

/** The comments of a type's declarations; an interface may have several. */
function docsOfSymbol(symbol: ts.Symbol): Doc {
  const docs = (symbol.declarations ?? []).map(docOf);
  const texts = docs.flatMap((doc) => doc.description ?? []);
  return { description: texts.length === 0 ? null : texts.join("\n\n"), tags: docs.flatMap((doc) => doc.tags) };
}

/** What is right of the `=` of a type alias. */
function aliasBody(symbol: ts.Symbol): ts.TypeNode | undefined {
  const declaration = symbol.declarations?.find(ts.isTypeAliasDeclaration);
  return unwrapNode(declaration?.type);
}

function declarationIn(c: Conversion, symbol: ts.Symbol): ts.Node | undefined {
  return symbol.declarations?.find((d) => c.origins.isProjectNode(d));
}
