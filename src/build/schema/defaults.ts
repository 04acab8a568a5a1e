import ts from "typescript";
import type { Json } from "../../protocol/json.ts";

/** The value of a default that is written as a literal; undefined for any other, which only the function itself can make. */
export function literalValueOf(checker: ts.TypeChecker, node: ts.Expression): Json | undefined {
  if (ts.isParenthesizedExpression(node) || ts.isAsExpression(node) || ts.isSatisfiesExpression(node))
    return literalValueOf(checker, node.expression);
  if (ts.isStringLiteralLike(node)) return node.text;
  if (ts.isNumericLiteral(node)) return Number(node.text);
  if (node.kind === ts.SyntaxKind.TrueKeyword) return true;
  if (node.kind === ts.SyntaxKind.FalseKeyword) return false;
  if (node.kind === ts.SyntaxKind.NullKeyword) return null;
  if (ts.isPrefixUnaryExpression(node)) return signed(checker, node);
  if (ts.isArrayLiteralExpression(node)) return arrayValue(checker, node);
  if (ts.isObjectLiteralExpression(node)) return objectValue(checker, node);
  return ts.isPropertyAccessExpression(node) ? enumValue(checker, node) : undefined;
}

function enumValue(checker: ts.TypeChecker, node: ts.PropertyAccessExpression): Json | undefined {
  const member = checker.getSymbolAtLocation(node)?.valueDeclaration;
  return member !== undefined && ts.isEnumMember(member) ? checker.getConstantValue(member) : undefined;
}

function signed(checker: ts.TypeChecker, node: ts.PrefixUnaryExpression): Json | undefined {
  const value = literalValueOf(checker, node.operand);
  if (typeof value !== "number") return undefined;
  if (node.operator === ts.SyntaxKind.MinusToken) return -value;
  return node.operator === ts.SyntaxKind.PlusToken ? value : undefined;
}

function arrayValue(checker: ts.TypeChecker, node: ts.ArrayLiteralExpression): Json | undefined {
  const values: Json[] = [];
  for (const element of node.elements) {
    const value = literalValueOf(checker, element);
    if (value === undefined) return undefined;
    values.push(value);
  }
  return values;
}

function objectValue(checker: ts.TypeChecker, node: ts.ObjectLiteralExpression): Json | undefined {
  const entries: [string, Json][] = [];
  for (const property of node.properties) {
    if (!ts.isPropertyAssignment(property) || !(ts.isIdentifier(property.name) || ts.isStringLiteral(property.name)))
      return undefined;
    const value = literalValueOf(checker, property.initializer);
    if (value === undefined) return undefined;
    entries.push([property.name.text, value]);
  }
  return Object.fromEntries(entries);
}
