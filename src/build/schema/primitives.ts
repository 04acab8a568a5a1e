import ts from "typescript";
import { BIGINT_SCHEMA } from "./builtins.ts";
import { type Conversion, type Place, refuse } from "./conversion.ts";
import { isJavaScript } from "./origins.ts";
import type { SchemaObject } from "./tags.ts";

const F = ts.TypeFlags;

/** The schema of a type that is neither object nor union; null for those. */
export function primitiveSchema(c: Conversion, type: ts.Type, place: Place): SchemaObject | null {
  const { flags } = type;
  if (flags & F.Any && isUnresolved(type)) return unresolved(c, place);
  if (flags & (F.Any | F.Unknown)) return {};
  if (flags & F.Never) return isJavaScript(place.node.getSourceFile()) ? {} : { not: {} };
  if (flags & F.Null || flags & F.Undefined || flags & F.Void) return { type: "null" };
  if (flags & F.String) return { type: "string" };
  if (flags & F.Number) return { type: "number" };
  if (flags & F.Boolean) return { type: "boolean" };
  if (flags & F.BigInt) return { ...BIGINT_SCHEMA };
  if (type.isStringLiteral()) return { type: "string", const: type.value };
  if (type.isNumberLiteral()) return { type: "number", const: type.value };
  if (flags & F.BooleanLiteral) return { type: "boolean", const: c.checker.typeToString(type) === "true" };
  if (flags & F.BigIntLiteral) return { ...BIGINT_SCHEMA, const: bigintText((type as ts.BigIntLiteralType).value) };
  if (flags & F.Enum && !type.isUnion()) return { type: "number" }; // an enum with computed members
  if (flags & F.TemplateLiteral)
    return { type: "string", pattern: `^${templatePattern(c, type as ts.TemplateLiteralType)}$` };
  if (flags & F.StringMapping) return { type: "string", ...mappedCase(type as ts.StringMappingType) };
  if (flags & F.NonPrimitive) return { type: "object" };
  if (flags & F.ESSymbolLike)
    return refuse(c, type, place, "is a symbol", "write a string, or a union of string literals");
  if (flags & (F.TypeParameter | F.IndexedAccess | F.Conditional | F.Substitution | F.Index))
    return refuse(c, type, place, "depends on a type parameter", "write the concrete type");
  return null;
}

/** TypeScript's own mark for what it could not resolve, which otherwise passes for `any`. */
function isUnresolved(type: ts.Type): boolean {
  return (type as { intrinsicName?: string }).intrinsicName === "error";
}

function unresolved(c: Conversion, place: Place): SchemaObject {
  if (isJavaScript(place.node.getSourceFile())) return {};
  const written = place.typeNode === undefined ? "the type" : `the type \`${place.typeNode.getText()}\``;
  const message = `${place.fn}: ${place.path}: ${written} cannot be resolved; check its spelling and its import, or write the type out`;
  c.faults.add("build_failed", place.node, message);
  return {};
}

export function bigintText(value: ts.PseudoBigInt): string {
  return (value.negative ? "-" : "") + value.base10Value;
}

export function templatePattern(c: Conversion, type: ts.TemplateLiteralType): string {
  return type.texts
    .map((text, i) => escapeRegExp(text) + (type.types[i] === undefined ? "" : partPattern(c, type.types[i])))
    .join("");
}

function partPattern(c: Conversion, type: ts.Type): string {
  if (type.flags & F.Number) return "-?\\d+(?:\\.\\d+)?(?:[eE][+-]?\\d+)?";
  if (type.flags & F.BigInt) return "-?\\d+";
  if (type.flags & F.TemplateLiteral) return templatePattern(c, type as ts.TemplateLiteralType);
  return "[\\s\\S]*";
}

function escapeRegExp(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}

function mappedCase(type: ts.StringMappingType): SchemaObject {
  if (type.symbol.name === "Uppercase") return { pattern: "^\\P{Ll}*$" };
  if (type.symbol.name === "Lowercase") return { pattern: "^\\P{Lu}*$" };
  return {};
}
