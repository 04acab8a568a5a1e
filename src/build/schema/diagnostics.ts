import ts from "typescript";
import type { Faults } from "./faults.ts";
import { isJavaScript, type Origins } from "./origins.ts";

/** A call whose arguments and signature are checked, but not the body of its function. */
export interface CheckedCall {
  call: ts.CallExpression;
  /** The function whose parameters and result count: the handler written in the call, or the decorated method. */
  fn: ts.SignatureDeclaration | null;
}

/** What TypeScript lets `program.getSemanticDiagnostics` check of a file; the third parameter is not in its public types. */
type CheckNodes = (file: ts.SourceFile, token: undefined, nodes: ts.Node[]) => readonly ts.Diagnostic[];

/** "Unable to resolve signature of … decorator": it follows from an error in the decorator's call, which says more. */
const DECORATOR_CODES = new Set([1238, 1239, 1240, 1241]);

const MAX_TEXT = 600;

/** Syntax errors anywhere in the project's files: nothing else can be trusted beside them. */
export function reportSyntax(program: ts.Program, files: ts.SourceFile[], faults: Faults): void {
  for (const file of files) for (const diagnostic of program.getSyntacticDiagnostics(file)) report(diagnostic, faults);
}

/**
 * Type errors where they would make a schema wrong: in the calls' arguments, in the signatures, and in the declarations of all types
 * that these name. Bodies are the user's own affair, and checking them would cost the time of a whole compilation.
 */
export function reportTypes(p: { program: ts.Program; origins: Origins; faults: Faults; calls: CheckedCall[] }): void {
  const roots = p.calls.flatMap(({ fn }) => (fn === null ? [] : typedNodes(fn)));
  const { declarations, dangling } = reach(p.program.getTypeChecker(), p.origins, roots);
  for (const { node, name } of dangling)
    p.faults.add(
      "build_failed",
      node,
      `\`${name}\` cannot be resolved; check that what it is imported from exists and is installed`,
    );
  for (const declaration of declarations) check(p, declaration, [declaration]);
  for (const { call, fn } of p.calls) {
    const handler = fn !== null && p.origins.isProjectNode(fn) ? fn : null;
    const typed = handler === null ? [] : typedNodes(handler);
    const statement = statementOf(call);
    check(p, statement, [call, ...typed], handler === null ? undefined : bodyOf(handler));
    if (handler !== null && !isInside(handler, statement)) check(p, handler, typed);
  }
}

function isInside(node: ts.Node, outer: ts.Node): boolean {
  return node.getSourceFile() === outer.getSourceFile() && node.pos >= outer.pos && node.end <= outer.end;
}

function check(
  p: { program: ts.Program; faults: Faults },
  node: ts.Node,
  within: ts.Node[],
  except?: ts.Node | undefined,
): void {
  const file = node.getSourceFile();
  if (isJavaScript(file)) return;
  const found = (p.program.getSemanticDiagnostics as CheckNodes)(file, undefined, [node]);
  const isOfDecorator = (diagnostic: ts.Diagnostic) => Number(DECORATOR_CODES.has(diagnostic.code));
  for (const diagnostic of found.toSorted((a, b) => isOfDecorator(a) - isOfDecorator(b))) {
    if (diagnostic.category !== ts.DiagnosticCategory.Error || diagnostic.file !== file) continue;
    const { start = 0 } = diagnostic;
    if (
      within.some((n) => n.getSourceFile() === file && covers(n, start)) &&
      !(except !== undefined && covers(except, start))
    )
      report(diagnostic, p.faults);
  }
}

function covers(node: ts.Node, position: number): boolean {
  return node.getStart() <= position && position < node.end;
}

function report(diagnostic: ts.Diagnostic, faults: Faults): void {
  const { file, start = 0 } = diagnostic;
  if (file === undefined) return;
  const text =
    diagnostic.code === NO_OVERLOAD
      ? nearestCause(diagnostic.messageText)
      : ts.flattenDiagnosticMessageText(diagnostic.messageText, "\n");
  const short = text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
  faults.addAt("build_failed", file, start, `${short} (TS${diagnostic.code})`);
}

const NO_OVERLOAD = 2769;

/** "No overload matches this call" tells each overload's reason; the shortest is that of the overload which was meant. */
function nearestCause(message: string | ts.DiagnosticMessageChain): string {
  const leaves = (m: string | ts.DiagnosticMessageChain): string[] =>
    typeof m === "string" ? [m] : m.next === undefined ? [m.messageText] : m.next.flatMap(leaves);
  return leaves(message).reduce((shortest, text) => (text.length < shortest.length ? text : shortest));
}

function typedNodes(fn: ts.SignatureDeclaration): ts.Node[] {
  return [...fn.parameters, ...(fn.type === undefined ? [] : [fn.type])];
}

function bodyOf(fn: ts.SignatureDeclaration): ts.Node | undefined {
  return "body" in fn ? (fn.body as ts.Node | undefined) : undefined;
}

/** What can be checked by itself and holds the call: a statement, or the decorated method. */
function statementOf(call: ts.CallExpression): ts.Node {
  let node: ts.Node = call;
  while (!ts.isStatement(node) && !ts.isMethodDeclaration(node) && !ts.isSourceFile(node.parent)) node = node.parent;
  return node;
}

interface Reached {
  declarations: Set<ts.Declaration>;
  /** Names that are imported from where they are not. */
  dangling: { node: ts.Node; name: string }[];
}

/** All type declarations in the project's files that the nodes name, directly or through others. */
function reach(checker: ts.TypeChecker, origins: Origins, roots: ts.Node[]): Reached {
  const declarations = new Set<ts.Declaration>();
  const dangling: Reached["dangling"] = [];
  const enter = (name: ts.Identifier): void => {
    let symbol = checker.getSymbolAtLocation(name);
    if (symbol === undefined) return;
    if (symbol.flags & ts.SymbolFlags.Alias) symbol = checker.getAliasedSymbol(symbol);
    if (checker.isUnknownSymbol(symbol)) dangling.push({ node: name, name: name.text });
    for (const declaration of symbol.declarations ?? []) {
      if (!isTypeDeclaration(declaration) || declarations.has(declaration) || !origins.isProjectNode(declaration))
        continue;
      declarations.add(declaration);
      visit(declaration);
    }
  };
  const visit = (node: ts.Node): void => {
    if (ts.isTypeReferenceNode(node)) enter(ts.isIdentifier(node.typeName) ? node.typeName : node.typeName.right);
    else if (ts.isExpressionWithTypeArguments(node) && ts.isIdentifier(node.expression)) enter(node.expression);
    else if (ts.isTypeQueryNode(node) && ts.isIdentifier(node.exprName)) enter(node.exprName);
    ts.forEachChild(node, visit);
  };
  roots.forEach(visit);
  return { declarations, dangling };
}

function isTypeDeclaration(node: ts.Node): boolean {
  return ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node) || ts.isEnumDeclaration(node);
}
