import ts from "typescript";
import { CODE_TYPE_KEYWORD } from "../../protocol/spec.ts";
import { IMAGE_SCHEMA } from "../../schema/media.ts";
import { type Conversion, type Place, refuse } from "./conversion.ts";
import type { SchemaObject } from "./tags.ts";

/** A type that has its own form on the wire, with the mark that says what it is in code; null for any other. */
export function codeTypeSchema(c: Conversion, type: ts.Type): SchemaObject | null {
  const { origins } = c;
  if (origins.isPlatformType(type, "Date")) return { type: "string", format: "date-time", [CODE_TYPE_KEYWORD]: "date" };
  if (origins.isPlatformType(type, "Uint8Array", "Buffer"))
    return { type: "string", contentEncoding: "base64", [CODE_TYPE_KEYWORD]: "bytes" };
  if (origins.isAthanorType(type, "ImageFile")) return structuredClone(IMAGE_SCHEMA) as unknown as SchemaObject;
  return null;
}

export const BIGINT_SCHEMA: SchemaObject = { type: "string", pattern: "^-?\\d+$", [CODE_TYPE_KEYWORD]: "bigint" };

/** What to write in place of a type of the language, of Node or of athanor that has no form on the wire. */
const INSTEAD: Readonly<Record<string, string>> = {
  Map: "write Record<string, V>, or an array of [key, value]",
  ReadonlyMap: "write Record<string, V>, or an array of [key, value]",
  Set: "write an array",
  ReadonlySet: "write an array",
  WeakMap: "keep it inside the function",
  WeakSet: "keep it inside the function",
  WeakRef: "keep it inside the function",
  Promise: "await it, and write the type of its value",
  PromiseLike: "await it, and write the type of its value",
  RegExp: "write string, and make the RegExp from it",
  URL: "write string, with `@format uri`",
  URLSearchParams: "write Record<string, string>",
  Error: "write an object such as { message: string }",
  String: "write string",
  Number: "write number",
  Boolean: "write boolean",
  Symbol: "write string",
  BigInt: "write bigint",
  Function: "write the data that it would work on",
  Request: "make it the only parameter, at the top of the signature",
  Response: "return it by itself",
  ReadableStream: "return a Response that holds it, or yield chunks from an async generator",
  Readable: "return a Response that holds it, or yield chunks from an async generator",
  AbortSignal: "take a JobContext parameter and use its signal",
  JobProgress: "make it a parameter of its own",
  JobContext: "make it a parameter of its own",
  AsyncGenerator: "make the function itself an async generator",
  AsyncIterable: "make the function itself an async generator",
  Generator: "make the function itself an async generator",
  Iterable: "write an array",
  IterableIterator: "write an array",
  Iterator: "write an array",
};
for (const bytes of ["ArrayBuffer", "SharedArrayBuffer", "DataView", "Blob", "File", "Int8Array", "Uint8ClampedArray"])
  Object.assign(INSTEAD, { [bytes]: "write Uint8Array, or ImageFile for an image" });
for (const numbers of ["Int16Array", "Uint16Array", "Int32Array", "Uint32Array", "Float32Array", "Float64Array"])
  Object.assign(INSTEAD, { [numbers]: "write number[], or Uint8Array of its bytes" });

/** Refuses types that are known not to travel, naming what to write; null for one that may. */
export function refuseBuiltin(c: Conversion, type: ts.Type, place: Place): SchemaObject | null {
  const symbol = type.symbol as ts.Symbol | undefined;
  if (symbol === undefined) return null;
  const { name } = symbol;
  const advice = Object.hasOwn(INSTEAD, name) ? INSTEAD[name] : undefined;
  if (advice !== undefined && (c.origins.isPlatform(symbol) || c.origins.isAthanorType(type, name)))
    return refuse(c, type, place, `is no plain data`, advice);
  if (isFunction(type))
    return refuse(c, type, place, "is a function", "take out the member, or write the data that it would work on");
  if (symbol.flags & ts.SymbolFlags.Class)
    return refuse(
      c,
      type,
      place,
      "is a class",
      `write an interface with the fields that are to travel, and make the ${name} from it`,
    );
  if (symbol.flags & ts.SymbolFlags.Interface && c.origins.isPlatform(symbol) && hasMethod(c, type))
    return refuse(c, type, place, "is no plain data", "write an interface with the fields that are to travel");
  return null;
}

function isFunction(type: ts.Type): boolean {
  return type.getCallSignatures().length > 0 || type.getConstructSignatures().length > 0;
}

function hasMethod(c: Conversion, type: ts.Type): boolean {
  return c.checker.getPropertiesOfType(type).some((p) => isFunction(c.checker.getTypeOfSymbol(p)));
}
