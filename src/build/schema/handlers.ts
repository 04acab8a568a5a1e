import ts from "typescript";
import type { Declared, FoundCall } from "./sites.ts";

/** A site's function: its one signature, and what its options say of schemas and batches. */
export interface Handler {
  signature: ts.Signature;
  /** The options have `input`, `output`. */
  standard: { input: boolean; output: boolean };
  /** They have `batch`: its wire parameters are arrays of what one job has, and so is its result. */
  batch: boolean;
  /** The nodes whose comments describe the function, nearest to its name first. */
  documented: ts.Node[];
}

export type HandlerResult = Handler | { fault: string };

export function handlerOf(
  checker: ts.TypeChecker,
  { call, kind }: FoundCall,
  declared: Declared & { form: "method" | "value" },
): HandlerResult {
  const args = call.arguments.filter((arg) => !ts.isStringLiteralLike(arg));
  const callable = args.findLast((arg) => checker.getTypeAtLocation(arg).getCallSignatures().length > 0);
  const handler = declared.form === "method" ? declared.method : callable;
  if (handler === undefined) {
    const untyped = args.some((arg) => checker.getTypeAtLocation(arg).flags & ts.TypeFlags.Any);
    return {
      fault: untyped
        ? "the function's type is any: give it a type"
        : `app.${kind}() was given no function: write it as the last argument`,
    };
  }
  const signatures = checker.getTypeAtLocation(handler).getCallSignatures();
  const [signature] = signatures;
  if (signature === undefined) return { fault: "the function has no signature" };
  if (signatures.length > 1)
    return { fault: "the function is overloaded, and the wire has one schema only: write one signature" };
  const has = optionsTest(checker, args, callable);
  return {
    signature,
    standard: { input: has("input"), output: has("output") },
    batch: has("batch"),
    documented: documentedNodes(declared, handler, signature),
  };
}

/** Whether the call's options have an option of this name, by their types. */
function optionsTest(
  checker: ts.TypeChecker,
  args: ts.Expression[],
  callable: ts.Expression | undefined,
): (name: string) => boolean {
  const options = args.filter((arg) => arg !== callable).map((arg) => checker.getTypeAtLocation(arg));
  return (name) =>
    options.some((type) => {
      const property = checker.getPropertyOfType(type, name);
      if (property === undefined || property.flags & ts.SymbolFlags.Optional) return false;
      return !(checker.getTypeOfSymbol(property).flags & ts.TypeFlags.Undefined);
    });
}

/** What makes a service, where it is written in the call or decorated; null: it stands elsewhere, or a program is the service. */
export function factoryOf(
  { call }: FoundCall,
  declared: Declared & { form: "method" | "value" },
): ts.SignatureDeclaration | null {
  if (declared.form === "method") return declared.method;
  const last = call.arguments.at(-1);
  return last !== undefined && (ts.isArrowFunction(last) || ts.isFunctionExpression(last)) ? last : null;
}

function documentedNodes(
  declared: Declared & { form: "method" | "value" },
  handler: ts.Node,
  signature: ts.Signature,
): ts.Node[] {
  const nodes = declared.form === "value" ? holderNodes(declared) : [];
  nodes.push(handler);
  const declaration = signature.getDeclaration() as ts.SignatureDeclaration | undefined;
  if (declaration !== undefined && declaration !== handler) {
    nodes.push(declaration);
    if (ts.isVariableDeclaration(declaration.parent)) nodes.push(declaration.parent.parent.parent);
  }
  return nodes;
}

/** Where the declaration's own comment stands. */
export function holderNodes(declared: Declared & { form: "method" | "value" }): ts.Node[] {
  if (declared.form === "method") return [declared.method];
  const { holder } = declared;
  const nodes: ts.Node[] = [holder];
  if (ts.isVariableDeclaration(holder)) nodes.push(holder.parent.parent);
  if (ts.isBinaryExpression(holder) || ts.isExpressionStatement(holder.parent)) nodes.push(holder.parent);
  return nodes;
}
