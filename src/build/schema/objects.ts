import ts from "typescript";
import { type Conversion, inside, type Place, refuse } from "./conversion.ts";
import { compareText } from "./faults.ts";
import { docOf } from "./jsdoc.ts";
import { templatePattern } from "./primitives.ts";
import { applyDocs, type SchemaObject } from "./tags.ts";
import { withoutUndefined } from "./unions.ts";

const F = ts.TypeFlags;

/** An object type: its properties, own, inherited and merged, and its index signatures. Other properties are let through, as in TypeScript. */
export function objectSchema(c: Conversion, type: ts.Type, place: Place): SchemaObject {
  if (!(type.flags & (F.Object | F.Intersection)))
    return refuse(c, type, place, "is of no known kind", "write an interface");
  const properties = inOrder(type, c.checker.getPropertiesOfType(type).filter(isNamed));
  const indexes = c.checker.getIndexInfosOfType(type).filter((info) => !(info.keyType.flags & F.ESSymbolLike));
  if (takesAnything(c, type)) return { not: { type: "null" } };
  const schema: SchemaObject = { type: "object" };
  const converted = properties.map((property) => ({ name: property.name, ...propertySchema(c, property, place) }));
  if (converted.length > 0) schema.properties = Object.fromEntries(converted.map((p) => [p.name, p.schema]));
  const required = converted.filter((p) => !p.optional).map((p) => p.name);
  if (required.length > 0) schema.required = required;
  for (const info of indexes) indexSchema(c, info, place, schema);
  return schema;
}

/** `{}` takes all but null and undefined; an empty interface says "an object" to who reads it. */
export function takesAnything(c: Conversion, type: ts.Type): boolean {
  const isLiteral = type.symbol?.name === "__type" && !isMapped(type);
  return (
    isLiteral && c.checker.getPropertiesOfType(type).length === 0 && c.checker.getIndexInfosOfType(type).length === 0
  );
}

function isMapped(type: ts.Type): boolean {
  return (((type as ts.ObjectType).objectFlags ?? 0) & ts.ObjectFlags.Mapped) !== 0;
}

/** Symbol keys do not travel; brands use them. */
function isNamed(property: ts.Symbol): boolean {
  return !String(property.escapedName).startsWith("__@") && !String(property.escapedName).startsWith("__#");
}

/** As declared. A mapped type's properties come in the order in which TypeScript met the keys, so they are put in order. */
function inOrder(type: ts.Type, properties: ts.Symbol[]): ts.Symbol[] {
  if (!isMapped(type)) return properties;
  const declarations = properties.map((p) => p.declarations?.[0]);
  const [file] = declarations.map((d) => d?.getSourceFile());
  if (file !== undefined && declarations.every((d) => d?.getSourceFile() === file)) {
    return properties.toSorted((a, b) => (a.declarations?.[0]?.pos ?? 0) - (b.declarations?.[0]?.pos ?? 0));
  }
  return properties.toSorted((a, b) => compareText(a.name, b.name));
}

function propertySchema(c: Conversion, property: ts.Symbol, place: Place): { schema: SchemaObject; optional: boolean } {
  const declaration = property.valueDeclaration ?? property.declarations?.[0];
  const node = declaration !== undefined && c.origins.isProjectNode(declaration) ? declaration : undefined;
  const step = /^[\w$]+$/.test(property.name) ? `.${property.name}` : `[${JSON.stringify(property.name)}]`;
  const typeNode = declaration === undefined ? undefined : typeNodeOf(declaration);
  const type = c.checker.getTypeOfSymbol(property);
  const found = withoutUndefined(c, type, inside(place, step, typeNode, node));
  const optional = found.optional || (property.flags & ts.SymbolFlags.Optional) !== 0;
  if (declaration === undefined) return { schema: found.schema, optional };
  const lenient = c.checker.getTypeAtLocation(declaration) !== type;
  const doc = docOf(declaration);
  const resolve = (ref: string) => c.definitions.resolve(ref);
  return { schema: applyDocs({ schema: found.schema, doc, faults: c.faults, resolve, lenient }), optional };
}

function typeNodeOf(declaration: ts.Declaration): ts.TypeNode | undefined {
  return ts.isPropertySignature(declaration) || ts.isPropertyDeclaration(declaration) ? declaration.type : undefined;
}

function indexSchema(c: Conversion, info: ts.IndexInfo, place: Place, schema: SchemaObject): void {
  const step = `[${c.checker.typeToString(info.keyType)}]`;
  const node =
    info.declaration !== undefined && c.origins.isProjectNode(info.declaration) ? info.declaration : undefined;
  const written = info.declaration?.type ?? recordValueNode(place.typeNode);
  const value = withoutUndefined(c, info.type, inside(place, step, written, node)).schema;
  const key = keyPattern(c, info.keyType);
  const allowed = info.type.flags & F.Never ? false : value;
  if (key === null) {
    schema.additionalProperties = allowed;
    return;
  }
  schema.patternProperties = { ...((schema.patternProperties as SchemaObject | undefined) ?? {}), [key]: allowed };
  if (schema.properties === undefined) schema.additionalProperties ??= false;
}

/** `V` of a written `Record<string, V>`. */
function recordValueNode(node: ts.TypeNode | undefined): ts.TypeNode | undefined {
  if (node === undefined || !ts.isTypeReferenceNode(node) || node.typeName.getText() !== "Record") return undefined;
  return node.typeArguments?.[1];
}

function keyPattern(c: Conversion, key: ts.Type): string | null {
  if (key.flags & F.Number) return "^-?\\d+(?:\\.\\d+)?$";
  if (key.flags & F.TemplateLiteral) return `^${templatePattern(c, key as ts.TemplateLiteralType)}$`;
  return null;
}
