import ts from "typescript";
import type { Conversion } from "./conversion.ts";
import type { Returned } from "./results.ts";
import { elementNode } from "./types.ts";

interface Typed {
  type: ts.Type;
  typeNode: ts.TypeNode | undefined;
}

/** What an array is an array of, as JavaScript's untyped values may be too; null for what is no array. */
export function elementOf(c: Conversion, { type, typeNode }: Typed): Typed | null {
  if (type.flags & (ts.TypeFlags.Any | ts.TypeFlags.Unknown)) return { type, typeNode: undefined };
  if (!c.checker.isArrayType(type)) return null;
  const [element] = c.checker.getTypeArguments(type as ts.TypeReference);
  return element === undefined ? null : { type: element, typeNode: elementNode(typeNode) };
}

/** The result of one job of a batch. */
export function elementResult(c: Conversion, fn: string, returned: Returned, node: ts.Node): Returned {
  const element = returned.stream ? null : elementOf(c, returned);
  if (element !== null) return { ...element, stream: false };
  const message = `${fn}: result: a function with \`batch\` returns an array, of one result a job, but this returns \`${c.checker.typeToString(returned.type)}\`${returned.stream ? " one by one" : ""}`;
  c.faults.add("build_failed", node, message);
  return { ...returned, stream: false };
}

/** An Error, or a class of errors: in a batch's results it fails its job. */
export function isError(c: Conversion, type: ts.Type): boolean {
  if (c.origins.isPlatformType(type, "Error")) return true;
  return type.isClassOrInterface() && c.checker.getBaseTypes(type).some((base) => isError(c, base));
}
