import ts from "typescript";
import type { Conversion } from "./conversion.ts";

/** A type's own name, for its definition. */
export interface NamedBy {
  name: string;
  symbol: ts.Symbol;
}

/** The name under which the user (or a package) wrote the type; null: it has none, and stands where it is used. */
export function nameOf(c: Conversion, type: ts.Type, typeNode: ts.TypeNode | undefined): NamedBy | null {
  const alias = type.aliasSymbol;
  const args = type.aliasTypeArguments ?? [];
  // A package's generic alias (`z.infer<…>` and its like) is machinery, and its name tells nothing; the user's own alias of it does.
  const isMachinery =
    alias !== undefined && (c.origins.isPlatform(alias) || (args.length > 0 && c.origins.isPackaged(alias)));
  if (alias !== undefined && !isMachinery) return { name: withArguments(c, symbolName(alias), args), symbol: alias };
  const written = writtenAlias(c, type, typeNode);
  if (written !== null) return { name: symbolName(written), symbol: written };
  const symbol = type.symbol as ts.Symbol | undefined;
  if (symbol === undefined || c.origins.isPlatform(symbol)) return null;
  if (symbol.flags & ts.SymbolFlags.Enum) return { name: symbolName(symbol), symbol };
  if (!(symbol.flags & ts.SymbolFlags.Interface)) return null;
  return { name: withArguments(c, symbolName(symbol), interfaceArguments(c, type)), symbol };
}

/** The alias by which the type is written here, where it stands for exactly this type. */
function writtenAlias(c: Conversion, type: ts.Type, typeNode: ts.TypeNode | undefined): ts.Symbol | null {
  const symbol = aliasAt(c, typeNode);
  if (symbol === null || c.origins.isPlatform(symbol)) return null;
  return c.checker.getDeclaredTypeOfSymbol(symbol) === type ? symbol : null;
}

/** The type alias that a type reference names. */
export function aliasAt(c: Conversion, typeNode: ts.TypeNode | undefined): ts.Symbol | null {
  if (typeNode === undefined || !ts.isTypeReferenceNode(typeNode) || typeNode.typeArguments !== undefined) return null;
  let symbol = c.checker.getSymbolAtLocation(typeNode.typeName);
  if (symbol !== undefined && symbol.flags & ts.SymbolFlags.Alias) symbol = c.checker.getAliasedSymbol(symbol);
  return symbol !== undefined && symbol.flags & ts.SymbolFlags.TypeAlias ? symbol : null;
}

/** A name for a type that contains itself but has none of its own. */
export function fallbackName(c: Conversion, type: ts.Type): string {
  if (type.aliasSymbol !== undefined)
    return withArguments(c, symbolName(type.aliasSymbol), type.aliasTypeArguments ?? []);
  const name = (type.symbol as ts.Symbol | undefined)?.name ?? "";
  return /^[A-Za-z][\w$]*$/.test(name) ? name : "Recursive";
}

function interfaceArguments(c: Conversion, type: ts.Type): readonly ts.Type[] {
  const reference = type as ts.TypeReference;
  const parameters = (reference.target as ts.GenericType | undefined)?.typeParameters?.length ?? 0;
  return parameters === 0 ? [] : c.checker.getTypeArguments(reference).slice(0, parameters);
}

/** `Page<User>` becomes `Page_User`. */
function withArguments(c: Conversion, name: string, args: readonly ts.Type[]): string {
  return [name, ...args.map((arg) => argumentName(c, arg, 0))].join("_").slice(0, 80);
}

function argumentName(c: Conversion, type: ts.Type, depth: number): string {
  if (depth > 3) return "Object";
  if (type.aliasSymbol !== undefined)
    return withArguments(c, symbolName(type.aliasSymbol), type.aliasTypeArguments ?? []);
  if (c.checker.isArrayType(type)) {
    const [element] = c.checker.getTypeArguments(type as ts.TypeReference);
    return `${element === undefined ? "Object" : argumentName(c, element, depth + 1)}_Array`;
  }
  if (type.isStringLiteral() || type.isNumberLiteral()) return String(type.value).replace(/[^\w]+/g, "-");
  if (type.flags & ts.TypeFlags.Boolean) return "boolean";
  if (type.isUnion()) {
    const members = type.types.filter((t) => !(t.flags & ts.TypeFlags.Undefined));
    return members
      .map((t) => argumentName(c, t, depth + 1))
      .sort()
      .join("_or_"); // by code unit
  }
  const symbol = type.symbol as ts.Symbol | undefined;
  if (symbol !== undefined && !symbol.name.startsWith("__")) {
    return [symbolName(symbol), ...interfaceArguments(c, type).map((arg) => argumentName(c, arg, depth + 1))].join("_");
  }
  if (type.flags & ts.TypeFlags.Object) return "Object";
  return c.checker.typeToString(type).replace(/[^\w]+/g, "-");
}

/** The declared name: an `export default interface User` is called `User`, not `default`. */
function symbolName(symbol: ts.Symbol): string {
  if (symbol.name !== "default") return symbol.name;
  const [declaration] = symbol.declarations ?? [];
  const name = declaration === undefined ? undefined : ts.getNameOfDeclaration(declaration);
  return name !== undefined && ts.isIdentifier(name) ? name.text : "Default";
}
