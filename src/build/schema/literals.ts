import ts from "typescript";
import type { Conversion } from "./conversion.ts";

const F = ts.TypeFlags;

/** A string, number or boolean literal. A bigint one is a string on the wire, and apart. */
export function isLiteral(type: ts.Type): boolean {
  return !type.isUnion() && (type.flags & (F.StringLiteral | F.NumberLiteral | F.BooleanLiteral)) !== 0;
}

export function literalValue(c: Conversion, type: ts.Type): string | number | boolean {
  if (type.isStringLiteral() || type.isNumberLiteral()) return type.value;
  return c.checker.typeToString(type) === "true";
}
