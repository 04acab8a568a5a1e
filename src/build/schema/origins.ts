import type ts from "typescript";
import { isOwnFile } from "./own.ts";

/** Where a type comes from: the language, Node, athanor, or the user. Types are recognised by the declaration, not by the name alone. */
export class Origins {
  readonly #program: ts.Program;

  constructor(program: ts.Program) {
    this.#program = program;
  }

  /** Declared by the language's libraries, Node's types, or the fetch types that Node's refer to. */
  isPlatform(symbol: ts.Symbol): boolean {
    const declarations = symbol.declarations ?? [];
    return declarations.length > 0 && declarations.every((d) => this.#isPlatformFile(d.getSourceFile()));
  }

  #isPlatformFile(file: ts.SourceFile): boolean {
    return (
      this.#program.isSourceFileDefaultLibrary(file) ||
      /\/node_modules\/(?:@types\/node|undici-types)\//.test(file.fileName)
    );
  }

  isPlatformType(type: ts.Type, ...names: string[]): boolean {
    const symbol = type.symbol as ts.Symbol | undefined;
    return symbol !== undefined && names.includes(symbol.name) && this.isPlatform(symbol);
  }

  /** A class of athanor's own, such as `ImageFile`. */
  isAthanorType(type: ts.Type, ...names: string[]): boolean {
    const symbol = type.symbol as ts.Symbol | undefined;
    if (symbol === undefined || !names.includes(symbol.name)) return false;
    return (symbol.declarations ?? []).some((d) => isOwnFile(d.getSourceFile().fileName));
  }

  /** In a package, not in the project's own files. */
  isPackaged(symbol: ts.Symbol): boolean {
    return (symbol.declarations ?? []).every((d) => d.getSourceFile().fileName.includes("/node_modules/"));
  }

  /** In a file that the user can edit. */
  isProjectNode(node: ts.Node): boolean {
    const { fileName } = node.getSourceFile();
    return !fileName.includes("/node_modules/") && !isOwnFile(fileName);
  }
}

/** Plain JavaScript says nothing of types, and none are asked of it. */
export function isJavaScript(file: ts.SourceFile): boolean {
  return /\.[cm]?jsx?$/.test(file.fileName);
}
