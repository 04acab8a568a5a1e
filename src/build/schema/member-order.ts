import ts from "typescript";
import type { Conversion } from "./conversion.ts";
import { compareText } from "./faults.ts";

const F = ts.TypeFlags;

/**
 * TypeScript orders a union by when it first met the members, which other code in the program changes. The order here is as
 * written, where the union is written out, else by kind, name and place.
 */
export function inOrder(c: Conversion, types: ts.Type[], node: ts.TypeNode | undefined): ts.Type[] {
  const written =
    node !== undefined && ts.isUnionTypeNode(node) ? node.types.map((t) => c.checker.getTypeFromTypeNode(t)) : [];
  const place = (type: ts.Type) => {
    const at = written.findIndex((w) => w === type || (w.isUnion() && w.types.includes(type)));
    return at === -1 ? written.length : at;
  };
  return types.toSorted((a, b) => place(a) - place(b) || rank(a) - rank(b) || compareMembers(c, a, b));
}

const RANKS = [
  F.StringLiteral,
  F.NumberLiteral,
  F.BooleanLiteral,
  F.BigIntLiteral,
  F.TemplateLiteral,
  F.String,
  F.Number,
  F.Boolean,
  F.BigInt,
];

function rank(type: ts.Type): number {
  const at = RANKS.findIndex((flag) => type.flags & flag);
  return at === -1 ? RANKS.length : at;
}

function compareMembers(c: Conversion, a: ts.Type, b: ts.Type): number {
  if (a.isNumberLiteral() && b.isNumberLiteral()) return a.value - b.value;
  const declared = (type: ts.Type) => (type.symbol as ts.Symbol | undefined)?.declarations?.[0];
  const [left, right] = [declared(a), declared(b)];
  if (
    left !== undefined &&
    right !== undefined &&
    left.getSourceFile() === right.getSourceFile() &&
    left.pos !== right.pos
  )
    return left.pos - right.pos;
  return compareText(c.checker.typeToString(a), c.checker.typeToString(b));
}
