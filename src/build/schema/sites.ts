import ts from "typescript";
import type { FunctionKind } from "../../protocol/spec.ts";
import type { SiteArgument } from "./analysis.ts";
import type { Origins } from "./origins.ts";

export type CallKind = FunctionKind | "enter" | "exit";

/** A call of one of App's declaring methods, as found in the source. */
export interface FoundCall {
  call: ts.CallExpression;
  kind: CallKind;
}

const SERVICE_KINDS: ReadonlySet<string> = new Set<CallKind>(["fetch", "node", "webServer", "asgi", "wsgi"]);
const KINDS: ReadonlySet<string> = new Set(["function", "endpoint", "enter", "exit", ...SERVICE_KINDS]);
const MAY_CALL = new RegExp(`\\b(?:${[...KINDS].join("|")})\\b`);

export function isService(kind: CallKind): boolean {
  return SERVICE_KINDS.has(kind);
}

/** Every call of `.function()`, `.endpoint()`, `.fetch()`, `.enter()` and so on, on an App in the file, in order. */
export function findCalls(checker: ts.TypeChecker, origins: Origins, file: ts.SourceFile): FoundCall[] {
  if (!MAY_CALL.test(file.text)) return [];
  const found: FoundCall[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node)) {
      const method = calledMethod(node);
      if (method !== null && KINDS.has(method.name) && isApp(checker, origins, method.receiver))
        found.push({ call: node, kind: method.name as CallKind });
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return found;
}

function calledMethod(call: ts.CallExpression): { name: string; receiver: ts.Expression } | null {
  const callee = call.expression;
  if (ts.isPropertyAccessExpression(callee)) return { name: callee.name.text, receiver: callee.expression };
  if (ts.isElementAccessExpression(callee) && ts.isStringLiteralLike(callee.argumentExpression))
    return { name: callee.argumentExpression.text, receiver: callee.expression };
  return null;
}

function isApp(checker: ts.TypeChecker, origins: Origins, receiver: ts.Expression): boolean {
  const type = checker.getTypeAtLocation(receiver);
  if (origins.isAthanorType(type, "App")) return true;
  const bases = type.isClassOrInterface() ? checker.getBaseTypes(type) : [];
  return bases.some((base) => origins.isAthanorType(base, "App"));
}

export function siteArgumentOf(call: ts.CallExpression): SiteArgument {
  const { arguments: args } = call;
  return { offset: args.end, prefix: args.length === 0 || args.hasTrailingComma ? "" : ", " };
}

/** What the call declares: a method that it decorates, or a function that it is handed, and the name of either. */
export type Declared =
  | { form: "method"; method: ts.MethodDeclaration; codeName: string; className: string; classBodyStart: number }
  | { form: "value"; codeName: string; holder: ts.Node }
  | { form: "fault"; message: string };

export function declaredBy({ call, kind }: FoundCall): Declared {
  // `@(app.function())`, as some compilers need it of a reserved word.
  const { parent } = outermost(call);
  if (ts.isDecorator(parent)) return decoratedMethod(parent, kind);
  if (kind === "enter" || kind === "exit")
    return { form: "fault", message: `app.${kind}() decorates a method: write \`@app.${kind}()\` before it` };
  return namedValue(call, kind);
}

function decoratedMethod(decorator: ts.Decorator, kind: CallKind): Declared {
  const method = decorator.parent;
  const at = `@app.${kind}()`;
  if (!ts.isMethodDeclaration(method))
    return { form: "fault", message: `${at} stands on a method: write \`${at} name(…) { … }\` in a class` };
  const isStatic = method.modifiers?.some((m) => m.kind === ts.SyntaxKind.StaticKeyword);
  if (isStatic || ts.isPrivateIdentifier(method.name))
    return {
      form: "fault",
      message: `${at} stands on a public instance method: take out ${isStatic ? "`static`" : "the `#`"}`,
    };
  if (!ts.isIdentifier(method.name) && !ts.isStringLiteral(method.name))
    return { form: "fault", message: `${at} stands on a method whose name is computed: write the name out` };
  const owner = method.parent;
  const className = ts.isClassLike(owner) ? classNameOf(owner) : null;
  if (className === null || !ts.isClassLike(owner))
    return { form: "fault", message: `${at} stands in a class without a name: write \`class Name { … }\`` };
  return { form: "method", method, codeName: method.name.text, className, classBodyStart: owner.members.pos };
}

function classNameOf(owner: ts.ClassLikeDeclaration): string | null {
  if (owner.name !== undefined) return owner.name.text;
  return ts.isVariableDeclaration(owner.parent) && ts.isIdentifier(owner.parent.name) ? owner.parent.name.text : null;
}

/** The name that the call's value is given: of a variable, a property, or an assignment, else of the function that it is handed. */
function namedValue(call: ts.CallExpression, kind: CallKind): Declared {
  const outer = outermost(call);
  const holder = outer.parent;
  const codeName = heldName(holder, outer) ?? handlerName(call);
  if (codeName !== null) return { form: "value", codeName, holder };
  const message = ts.isExportAssignment(holder)
    ? `the default export has no name: write \`export const name = app.${kind}(…)\`, or hand it a named function`
    : `this function has no name: write \`export const name = app.${kind}(…)\``;
  return { form: "fault", message };
}

/** Past parentheses, `as`, `satisfies` and `!`. */
function outermost(call: ts.CallExpression): ts.Expression {
  let node: ts.Expression = call;
  while (
    ts.isParenthesizedExpression(node.parent) ||
    ts.isAsExpression(node.parent) ||
    ts.isSatisfiesExpression(node.parent) ||
    ts.isNonNullExpression(node.parent)
  )
    node = node.parent;
  return node;
}

function heldName(holder: ts.Node, value: ts.Expression): string | null {
  if (ts.isVariableDeclaration(holder) || ts.isPropertyAssignment(holder) || ts.isPropertyDeclaration(holder)) {
    return holder.initializer === value ? propertyText(holder.name) : null;
  }
  if (
    !ts.isBinaryExpression(holder) ||
    holder.operatorToken.kind !== ts.SyntaxKind.EqualsToken ||
    holder.right !== value
  )
    return null;
  if (ts.isIdentifier(holder.left)) return holder.left.text;
  return ts.isPropertyAccessExpression(holder.left) ? propertyText(holder.left.name) : null;
}

function propertyText(name: ts.BindingName | ts.PropertyName): string | null {
  return ts.isIdentifier(name) || ts.isStringLiteral(name) ? name.text : null;
}

function handlerName(call: ts.CallExpression): string | null {
  const last = call.arguments.at(-1);
  if (last === undefined) return null;
  if (ts.isFunctionExpression(last)) return last.name?.text ?? null;
  return ts.isIdentifier(last) ? last.text : null;
}
