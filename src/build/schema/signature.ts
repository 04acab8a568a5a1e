import ts from "typescript";
import type { Json } from "../../protocol/json.ts";
import type { InputSpec, OutputSpec, ParamSpec } from "../../protocol/spec.ts";
import { elementOf, elementResult, isError } from "./batches.ts";
import { codeTypeSchema } from "./builtins.ts";
import type { Conversion, Place } from "./conversion.ts";
import { literalValueOf } from "./defaults.ts";
import type { Handler } from "./handlers.ts";
import { type Doc, docOf, paramDocs } from "./jsdoc.ts";
import { takesAnything } from "./objects.ts";
import { isJavaScript } from "./origins.ts";
import { streamedType } from "./results.ts";
import { applyDocs, type SchemaObject } from "./tags.ts";
import { stripUndefined, withoutUndefined } from "./unions.ts";

const F = ts.TypeFlags;
const OPEN = F.Any | F.Unknown;

interface Param {
  spec: ParamSpec;
  type: ts.Type;
  /** The type as written. */
  typeNode: ts.TypeNode | undefined;
  declaration: ts.ParameterDeclaration | null;
}

/** A generic function has no schema: false, and a fault, where the handler is one. */
export function isConcrete(c: Conversion, fn: string, handler: Handler, site: ts.Node): boolean {
  const [generic] = handler.signature.typeParameters ?? [];
  if (generic === undefined || handler.standard.input) return true;
  const message = `${fn}: the function is generic in \`${generic.symbol.name}\`, which the wire cannot say; write the concrete type`;
  c.faults.add("type_not_serialisable", generic.symbol.declarations?.[0] ?? site, message);
  return false;
}

/** How the wire body becomes the handler's arguments, and the schema of that body. */
export function inputOf(c: Conversion, fn: string, handler: Handler, site: ts.Node): InputSpec {
  if (handler.standard.input) return { mode: "standard", schema: null };
  const read = handler.signature.parameters.map((symbol, i) => readParam(c, symbol, i, fn, site));
  const params = handler.batch ? read.map((param) => elementParam(c, fn, param, site)) : read;
  const specs = params.map((p) => p.spec);
  const wire = params.filter((p) => p.spec.inject === null);
  if (specs.some((p) => p.inject === "request")) return requestInput(c, fn, params, wire, site);
  if (handler.batch && wire.length === 0)
    c.faults.add(
      "build_failed",
      site,
      `${fn}: a function with \`batch\` takes at least one array, which says how many jobs there are`,
    );
  const docs = new Map(handler.documented.toReversed().flatMap((node) => [...paramDocs(docOf(node))]));
  const schemas = wire.map((p) => paramSchema(c, fn, p, docs.get(p.spec.name), site));
  const [only] = wire;
  if (wire.length === 1 && only !== undefined && schemas[0] !== undefined && isBodyObject(c, only))
    return { mode: "object", params: specs, schema: schemas[0] };
  for (const p of wire)
    if (p.declaration !== null && !ts.isIdentifier(p.declaration.name)) refuseUnnamed(c, fn, p.declaration);
  return { mode: "params", params: specs, schema: paramsSchema(wire, schemas) };
}

function requestInput(c: Conversion, fn: string, params: Param[], wire: Param[], site: ts.Node): InputSpec {
  for (const p of wire) {
    const message = `${fn}: parameter ${p.spec.name}: a function that takes the untouched Request has no other wire parameter; read it from the request`;
    c.faults.add("build_failed", p.declaration ?? site, message);
  }
  return { mode: "request", params: params.map((p) => p.spec) };
}

function paramsSchema(wire: Param[], schemas: SchemaObject[]): SchemaObject {
  // A rest parameter that is left out is an empty list, which only a tuple or @minItems refuses.
  const needed = (p: Param, i: number) => (p.spec.rest ? Number(schemas[i]?.minItems ?? 0) > 0 : !p.spec.optional);
  const required = wire.filter(needed).map((p) => p.spec.name);
  const properties = Object.fromEntries(wire.map((p, i) => [p.spec.name, schemas[i] ?? {}]));
  return { type: "object", properties, ...(required.length === 0 ? {} : { required }), additionalProperties: false };
}

function readParam(c: Conversion, symbol: ts.Symbol, index: number, fn: string, site: ts.Node): Param {
  const found = symbol.valueDeclaration;
  const declaration = found !== undefined && ts.isParameter(found) ? found : null;
  const type = paramType(c, symbol, declaration, fn, site);
  const { rest: parts, optional: hasUndefined } = stripUndefined(c, type);
  const inject = parts.length === 1 && parts[0] !== undefined ? injected(c, parts[0]) : null;
  const isOpen = (type.flags & OPEN) !== 0;
  const optional =
    declaration?.questionToken !== undefined ||
    declaration?.initializer !== undefined ||
    hasUndefined ||
    isOptionalInJs(declaration, isOpen);
  const name =
    declaration === null || ts.isIdentifier(declaration.name)
      ? symbol.name
      : index === 0
        ? "input"
        : `input${index + 1}`;
  const rest = declaration?.dotDotDotToken !== undefined;
  if (rest && inject !== null)
    c.faults.add(
      "build_failed",
      declaration,
      `${fn}: parameter ${name}: an injected parameter cannot be a rest parameter`,
    );
  return { spec: { name, inject, optional: optional && !rest, rest }, type, typeNode: declaration?.type, declaration };
}

/** The parameter as one job of a batch has it: an element of the array that the handler takes. */
function elementParam(c: Conversion, fn: string, param: Param, site: ts.Node): Param {
  const { spec, declaration } = param;
  if (spec.inject !== null) return param;
  const element = spec.rest || declaration?.initializer !== undefined ? null : elementOf(c, param);
  if (element === null) {
    const message = `${fn}: parameter ${spec.name}: a function with \`batch\` takes an array for each parameter, one element a job; write \`${spec.name}: T[]\`, without a default`;
    c.faults.add("build_failed", declaration ?? site, message);
    return param;
  }
  return { ...param, ...element, spec: { ...spec, optional: stripUndefined(c, element.type).optional } };
}

/**
 * The parameter's type. Without an annotation it is that of the default: the context in which a handler stands says `never`, which is
 * nobody's intention. With neither, anything goes in JavaScript and in a pattern, and TypeScript is asked for a type.
 */
function paramType(
  c: Conversion,
  symbol: ts.Symbol,
  declaration: ts.ParameterDeclaration | null,
  fn: string,
  site: ts.Node,
): ts.Type {
  const type = c.checker.getTypeOfSymbolAtLocation(symbol, declaration ?? site);
  if (declaration === null || declaration.type !== undefined || !isImplied(c, type)) return type;
  if (declaration.initializer !== undefined)
    return c.checker.getBaseTypeOfLiteralType(c.checker.getTypeAtLocation(declaration.initializer));
  if (!isJavaScript(declaration.getSourceFile()) && !ts.isObjectBindingPattern(declaration.name)) {
    c.faults.add(
      "build_failed",
      declaration,
      `${fn}: parameter ${symbol.name} has no type; write one, such as \`${symbol.name}: string\``,
    );
  }
  return c.checker.getAnyType();
}

/** What an unannotated parameter is without a default: `never` or `any`, of a rest parameter an array of them. */
function isImplied(c: Conversion, type: ts.Type): boolean {
  const bare = stripUndefined(c, type).rest[0] ?? type;
  if (c.checker.isArrayType(bare))
    return c.checker.getTypeArguments(bare as ts.TypeReference).some((t) => isImplied(c, t));
  return (bare.flags & (OPEN | F.Never)) !== 0;
}

/** Plain JavaScript says nothing of what may be left out, so anything may. */
function isOptionalInJs(declaration: ts.ParameterDeclaration | null, isOpen: boolean): boolean {
  return declaration !== null && isOpen && isJavaScript(declaration.getSourceFile());
}

function injected(c: Conversion, type: ts.Type): ParamSpec["inject"] {
  if (c.origins.isAthanorType(type, "JobProgress")) return "progress";
  if (c.origins.isAthanorType(type, "JobContext")) return "context";
  return c.origins.isPlatformType(type, "Request") ? "request" : null;
}

function paramSchema(c: Conversion, fn: string, param: Param, told: Doc | undefined, site: ts.Node): SchemaObject {
  const { declaration, spec } = param;
  const node = declaration !== null && c.origins.isProjectNode(declaration) ? declaration : site;
  const place = placeOf(fn, `parameter ${spec.name}`, node, param.typeNode);
  const found = isTakenApart(param)
    ? { type: "object" }
    : spec.rest && (param.type.flags & OPEN) !== 0
      ? { type: "array" }
      : withoutUndefined(c, param.type, place).schema;
  const own: Doc = declaration === null ? { description: null, tags: [] } : docOf(declaration);
  const doc = { description: own.description ?? told?.description ?? null, tags: [...(told?.tags ?? []), ...own.tags] };
  const schema = applyDocs({ schema: found, doc, faults: c.faults, resolve: (ref) => c.definitions.resolve(ref) });
  const value = declaration?.initializer === undefined ? undefined : literalValueOf(c.checker, declaration.initializer);
  return value === undefined ? schema : { ...schema, default: value };
}

function placeOf(fn: string, path: string, node: ts.Node, typeNode: ts.TypeNode | undefined): Place {
  return { fn, path, node, typeNode, depth: 0 };
}

/** Whether one parameter of this type is itself the body: an object, and nothing but an object. */
function isBodyObject(c: Conversion, param: Param): boolean {
  if (isTakenApart(param)) return true;
  return !param.spec.rest && stripUndefined(c, param.type).rest.every((type) => isObject(c, type));
}

/** `({ a, b }) => …` without a type: an object, of which nothing more is said. */
function isTakenApart({ declaration, type }: Param): boolean {
  return declaration !== null && ts.isObjectBindingPattern(declaration.name) && (type.flags & OPEN) !== 0;
}

function isObject(c: Conversion, type: ts.Type): boolean {
  if (type.isUnion()) return type.types.every((t) => isObject(c, t));
  if (type.isIntersection()) return type.types.every((t) => isObject(c, t));
  if (type.flags & F.NonPrimitive) return true;
  if (!(type.flags & F.Object) || codeTypeSchema(c, type) !== null) return false;
  if (c.checker.isArrayType(type) || c.checker.isTupleType(type)) return false;
  return !takesAnything(c, type);
}

function refuseUnnamed(c: Conversion, fn: string, declaration: ts.ParameterDeclaration): void {
  const message = `${fn}: a parameter is taken apart in the signature and has no name on the wire; name it, and take it apart in the body`;
  c.faults.add("build_failed", declaration, message);
}

/** The schema of the result, or of each chunk of a generator. */
export function outputOf(c: Conversion, fn: string, handler: Handler, site: ts.Node): OutputSpec {
  const { signature, standard } = handler;
  const declaration = signature.getDeclaration() as ts.SignatureDeclaration | undefined;
  const whole = streamedType(c, signature.getReturnType(), declaration?.type);
  const returned = handler.batch ? elementResult(c, fn, whole, declaration ?? site) : whole;
  if (standard.output) return { schema: null, stream: returned.stream, standard: true };
  const { rest, optional } = stripUndefined(c, returned.type);
  const parts = rest.flatMap((t) => (t.isUnion() ? t.types : [t]));
  const passes = (t: ts.Type) => c.origins.isPlatformType(t, "Response") || (handler.batch && isError(c, t));
  const data = parts.filter((t) => !passes(t));
  if (data.length === 0 && parts.length > 0 && !optional)
    return { schema: null, stream: returned.stream, standard: false };
  const node = declaration?.type ?? declaration ?? site;
  const place = placeOf(
    fn,
    returned.stream ? "chunk" : "result",
    c.origins.isProjectNode(node) ? node : site,
    returned.typeNode,
  );
  if (data.length === parts.length)
    return { schema: c.convert(returned.type, place), stream: returned.stream, standard: false };
  return { schema: withoutPassing(c, data, optional, place), stream: returned.stream, standard: false };
}

/** A Response beside other types passes as it is, as does an Error in a batch; the schema is that of the others. */
function withoutPassing(c: Conversion, data: ts.Type[], optional: boolean, place: Place): SchemaObject {
  const schemas = data.map((type) => c.convert(type, { ...place, typeNode: undefined }));
  if (optional) schemas.push({ type: "null" });
  const [only] = schemas;
  return schemas.length === 1 && only !== undefined ? only : { anyOf: schemas as Json[] };
}
