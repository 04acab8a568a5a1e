import path from "node:path";
import type ts from "typescript";
import { AthanorError, type ErrorCode, type SourcePlace } from "../../protocol/errors.ts";

/** What stops a build, gathered so that one run names all of it. */
interface Fault extends SourcePlace {
  code: ErrorCode;
}

/** Which code the error carries where faults of several kinds were found: the first of these that is among them. */
const PRECEDENCE: readonly ErrorCode[] = ["build_failed", "name_invalid", "name_collision", "type_not_serialisable"];

const MAX_LISTED = 50;

export class Faults {
  readonly #root: string;
  readonly #faults: Fault[] = [];

  constructor(root: string) {
    this.#root = root;
  }

  /** One fault a line and code is enough: the first one found there is nearest to the cause. */
  add(code: ErrorCode, node: ts.Node, message: string): void {
    this.addAt(code, node.getSourceFile(), node.getStart(), message);
  }

  addAt(code: ErrorCode, file: ts.SourceFile, position: number, message: string): void {
    const plain = message.replaceAll(`${this.#root}${path.sep}`, ""); // TypeScript names files in full
    const { line, character } = file.getLineAndCharacterOfPosition(position);
    const place = { file: this.relative(file.fileName), line: line + 1, column: character + 1 };
    const fault: Fault = { code, ...place, message: plain };
    const known = this.#faults.some(
      (f) =>
        f.file === fault.file &&
        f.line === fault.line &&
        (f.message === plain || (code === "build_failed" && f.code === code)),
    );
    if (!known) this.#faults.push(fault);
  }

  get any(): boolean {
    return this.#faults.length > 0;
  }

  relative(fileName: string): string {
    return path.relative(this.#root, fileName).split(path.sep).join("/");
  }

  /** `app.ts:3` */
  place(node: ts.Node): string {
    const file = node.getSourceFile();
    return `${this.relative(file.fileName)}:${lineOf(file, node.getStart())}`;
  }

  /** Throws one error that lists every fault, where there is any. */
  throwAny(): void {
    if (!this.any) return;
    const faults = this.#faults.toSorted((a, b) => compareText(a.file, b.file) || a.line - b.line);
    const code = PRECEDENCE.find((c) => faults.some((f) => f.code === c)) ?? "build_failed";
    const lines = faults.slice(0, MAX_LISTED).map((f) => `${f.file}:${f.line}: ${f.message}`);
    if (faults.length > MAX_LISTED) lines.push(`and ${faults.length - MAX_LISTED} more`);
    const places = faults.map(({ file, line, column, message }) => ({ file, line, column, message }));
    throw new AthanorError(code, lines.join("\n"), { places });
  }
}

/** 1-based. */
export function lineOf(file: ts.SourceFile, position: number): number {
  return file.getLineAndCharacterOfPosition(position).line + 1;
}

/** By code unit, so that the order does not depend on the machine's locale. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
