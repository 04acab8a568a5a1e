import ts from "typescript";
import type { Conversion } from "./conversion.ts";

export interface Returned {
  /** What is returned, or yielded. */
  type: ts.Type;
  typeNode: ts.TypeNode | undefined;
  stream: boolean;
}

const STREAMS = [
  "AsyncGenerator",
  "AsyncIterable",
  "AsyncIterableIterator",
  "AsyncIteratorObject",
  "Generator",
  "IterableIterator",
  "IteratorObject",
  "Iterable",
];

/** The type behind promises, and behind a generator, whose every yield is a chunk. */
export function streamedType(c: Conversion, type: ts.Type, typeNode: ts.TypeNode | undefined): Returned {
  const awaited = c.checker.getAwaitedType(type) ?? type;
  const node = argumentOf(typeNode, /^Promise(?:Like)?$/);
  if (!c.origins.isPlatformType(awaited, ...STREAMS)) return { type: awaited, typeNode: node, stream: false };
  const [yielded] = c.checker.getTypeArguments(awaited as ts.TypeReference);
  const chunk = yielded === undefined ? c.checker.getAnyType() : (c.checker.getAwaitedType(yielded) ?? yielded);
  return { type: chunk, typeNode: firstArgument(node), stream: true };
}

function argumentOf(node: ts.TypeNode | undefined, name: RegExp): ts.TypeNode | undefined {
  if (node === undefined || !ts.isTypeReferenceNode(node) || !name.test(node.typeName.getText())) return node;
  return node.typeArguments?.[0];
}

function firstArgument(node: ts.TypeNode | undefined): ts.TypeNode | undefined {
  return node !== undefined && ts.isTypeReferenceNode(node) ? node.typeArguments?.[0] : undefined;
}
