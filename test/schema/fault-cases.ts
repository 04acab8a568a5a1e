import type { ErrorCode } from "../../src/protocol/errors.ts";

export interface FaultCase {
  name: string;
  /** Stands below `import { App, … } from "athanor"; const app = new App("faults");`, which are lines 1 and 2. */
  source: string;
  code: ErrorCode;
  /** Each line of the error's detail, in order: a part of it, after `FILE:`. */
  lines: string[];
  extension?: ".js";
}

const unserialisable = (name: string, source: string, ...lines: string[]): FaultCase => ({
  name,
  source,
  code: "type_not_serialisable",
  lines,
});
const failed = (name: string, source: string, ...lines: string[]): FaultCase => ({
  name,
  source,
  code: "build_failed",
  lines,
});

export const FAULTS: FaultCase[] = [
  // What cannot cross the wire
  unserialisable(
    "function-in-options",
    `interface Options {
  width: number;
  onDone?: (ok: boolean) => void;
}
export const resize = app.function((name: string, options: Options) => name + options.width);`,
    "5: resize: parameter options.onDone: `(ok: boolean) => void` is a function and cannot cross the wire; take out the member",
  ),
  unserialisable(
    "callback",
    "export const run = app.function((cb: () => void) => cb());",
    "3: run: parameter cb: `() => void` is a function",
  ),
  unserialisable(
    "method-in-interface",
    "interface A { go(): void }\nexport const run = app.function((a: A, b: string) => b);",
    "3: run: parameter a.go: `() => void` is a function",
  ),
  unserialisable(
    "function-type",
    "export const run = app.function((f: Function, b: string) => b);",
    "3: run: parameter f: `Function` is no plain data and cannot cross the wire; write the data",
  ),
  unserialisable(
    "symbol",
    "export const run = app.function((s: symbol) => 1);",
    "3: run: parameter s: `symbol` is a symbol",
  ),
  unserialisable(
    "class",
    "class User { constructor(readonly name: string) {} }\nexport const run = app.function((users: User[]) => users.length);",
    "4: run: parameter users[]: `User` is a class and cannot cross the wire; write an interface with the fields that are to travel, and make the User from it",
  ),
  unserialisable(
    "map",
    "export const run = app.function((m: Map<string, number>) => m.size);",
    "3: run: parameter m: `Map<string, number>` is no plain data and cannot cross the wire; write Record<string, V>",
  ),
  unserialisable(
    "set-result",
    "export const run = app.function((a: string): { all: Set<string> } => ({ all: new Set([a]) }));",
    "3: run: result.all: `Set<string>` is no plain data and cannot cross the wire; write an array",
  ),
  unserialisable(
    "weakmap",
    "export const run = app.function((m: WeakMap<object, string>) => 1);",
    "3: run: parameter m: `WeakMap<object, string>`",
  ),
  unserialisable(
    "nested-promise",
    "export const run = app.function((a: string) => ({ later: Promise.resolve(a) }));",
    "3: run: result.later: `Promise<string>` is no plain data and cannot cross the wire; await it",
  ),
  unserialisable(
    "promise-parameter",
    "export const run = app.function((a: Promise<string>) => 1);",
    "3: run: parameter a: `Promise<string>`",
  ),
  unserialisable(
    "regexp",
    "export const run = app.function((r: RegExp) => 1);",
    "3: run: parameter r: `RegExp` is no plain data and cannot cross the wire; write string",
  ),
  unserialisable(
    "url",
    "export const run = app.function((u: URL) => u.href);",
    "3: run: parameter u: `URL` is no plain data and cannot cross the wire; write string, with `@format uri`",
  ),
  unserialisable(
    "error-result",
    "export const run = app.function((a: string): Error => new Error(a));",
    "3: run: result: `Error` is no plain data and cannot cross the wire; write an object",
  ),
  unserialisable(
    "array-buffer",
    "export const run = app.function((b: ArrayBuffer) => 1);",
    "3: run: parameter b: `ArrayBuffer` is no plain data and cannot cross the wire; write Uint8Array",
  ),
  unserialisable("float-array", "export const run = app.function((b: Float32Array) => 1);", "write number[]"),
  unserialisable(
    "wrapper-object",
    "export const run = app.function((s: String) => 1);",
    "3: run: parameter s: `String` is no plain data and cannot cross the wire; write string",
  ),
  unserialisable(
    "nested-response",
    "export const run = app.endpoint(() => ({ r: new Response() }));",
    "3: run: result.r: `Response` is no plain data and cannot cross the wire; return it by itself",
  ),
  unserialisable(
    "nested-progress",
    "export const run = app.function((a: { p: JobProgress }, b: string) => b);",
    "3: run: parameter a.p: `JobProgress` is no plain data and cannot cross the wire; make it a parameter of its own",
  ),
  unserialisable(
    "nested-generator",
    "export const run = app.function((a: string) => ({ all: (function* () { yield a; })() }));",
    "3: run: result.all: `Generator<string, void, unknown>` is no plain data and cannot cross the wire; make the function itself an async generator",
  ),
  unserialisable(
    "generic-function",
    "export const run = app.function(<T,>(a: T): T => a);",
    "3: run: the function is generic in `T`",
  ),
  unserialisable(
    "node-class",
    'import { EventEmitter } from "node:events";\nexport const run = app.function((e: EventEmitter) => 1);',
    "4: run: parameter e: `EventEmitter<",
  ),
  unserialisable(
    "endless-generic",
    "interface A<T> { next: A<T[]> | null }\nexport const run = app.function((a: A<string>) => 1);",
    "expands without end",
  ),
  unserialisable(
    "all-at-once",
    "interface A {\n  m: Map<string, string>;\n  f: () => void;\n}\nexport const one = app.function((a: A) => 1);\nexport const two = app.function((s: Set<string>): symbol => Symbol());",
    "4: one: parameter a.m:",
    "5: one: parameter a.f:",
    "8: two: parameter s:",
    "8: two: result: `symbol` is a symbol",
  ),
  unserialisable(
    "deep-path",
    "export const run = app.function((a: { list: { pair: [string, { on: () => void }] }[]; by: Record<string, Date | symbol> }) => 1);",
    "3: run: parameter a.list[].pair[1].on: `() => void`",
    "3: run: parameter a.by[string]: `symbol`",
  ),
  unserialisable(
    "chunk",
    "export const run = app.function(async function* () { yield { f: () => 1 }; });",
    "3: run: chunk.f: `() => 1` is a function",
  ),
  unserialisable(
    "method",
    "class A {\n  @app.function()\n  go(f: () => void) {}\n}",
    "5: go: parameter f: `() => void` is a function",
  ),

  // Comments
  failed(
    "bad-minimum",
    "interface A {\n  /** @minimum abc */\n  a: number;\n}\nexport const run = app.function((a: A) => 1);",
    '4: @minimum takes a number, but got "abc"',
  ),
  failed(
    "bad-tag-of-param",
    "/**\n * Runs.\n * @param a How often. @minimum often\n */\nexport const run = app.function((a: number) => 1);",
    '5: @minimum takes a number, but got "often"',
  ),
  failed(
    "bad-pattern",
    "export const run = app.function((/** @pattern [a- */ a: string) => 1);",
    "3: @pattern takes a regular expression",
  ),
  failed(
    "bad-length",
    "/**\n * A name.\n * @minLength -1\n */\ntype Name = string;\nexport const run = app.function((a: Name) => 1);",
    '5: @minLength takes a whole number of at least 0, but got "-1"',
  ),
  failed(
    "bad-multiple",
    "export const run = app.function((/** @multipleOf 0 */ a: number) => 1);",
    "3: @multipleOf takes a number over 0",
  ),
  failed(
    "bad-default",
    "interface A {\n  /** @default {oops */\n  a?: number;\n}\nexport const run = app.function((a: A) => 1);",
    "4: @default takes a JSON value",
  ),
  failed(
    "tag-of-other-type",
    "interface A {\n  /** @minLength 1 */\n  a: number;\n}\nexport const run = app.function((a: A) => 1);",
    "4: @minLength goes with a string, but the type here is none",
  ),

  // Names and places
  failed(
    "default-export",
    "export default app.function((a: string) => a);",
    "3: the default export has no name: write `export const name = app.function(…)`",
  ),
  failed(
    "no-name",
    'app.endpoint("/a", (a: string) => a);',
    "3: this function has no name: write `export const name = app.endpoint(…)`",
  ),
  failed("in-a-list", "export const all = [app.function((a: string) => a)];", "3: this function has no name"),
  failed("no-handler", "export const run = app.function();", "3: run: app.function() was given no function"),
  failed(
    "static-method",
    "class A {\n  @app.function()\n  static go(a: string) {}\n}",
    "4: @app.function() stands on a public instance method: take out `static`",
  ),
  failed(
    "private-method",
    "class A {\n  @app.function()\n  #go(a: string) {}\n}",
    "4: @app.function() stands on a public instance method: take out the `#`",
  ),
  failed(
    "decorated-field",
    "class A {\n  @app.function()\n  go = (a: string) => a;\n}",
    "4: @app.function() stands on a method",
  ),
  failed(
    "nameless-class",
    "export default class {\n  @app.function()\n  go(a: string) {}\n}",
    "4: @app.function() stands in a class without a name",
  ),
  failed("enter-as-call", "app.enter();", "3: app.enter() decorates a method"),
  failed(
    "overloaded",
    "function go(a: string): string;\nfunction go(a: number): number;\nfunction go(a: any) { return a; }\nexport const run = app.function(go);",
    "6: run: the function is overloaded",
  ),
  failed(
    "taken-apart",
    "export const run = app.function(({ a }: { a: string }, b: string) => a + b);",
    "3: run: a parameter is taken apart in the signature and has no name on the wire",
  ),
  failed(
    "request-and-more",
    "export const run = app.endpoint((request: Request, name: string) => name);",
    "3: run: parameter name: a function that takes the untouched Request has no other wire parameter",
  ),
  failed(
    "untyped-parameter",
    "export const run = app.function((a) => 1);",
    "3: run: parameter a has no type; write one, such as `a: string`",
  ),
  {
    name: "bad-name",
    source: 'export const functions = { "a b!": app.function((a: string) => a) };',
    code: "name_invalid",
    lines: ['3: a b! becomes "a-b!", which is no name'],
  },
  {
    name: "long-name",
    source: "export const thisNameIsMuchTooLongForTheWire = app.function((a: string) => a);",
    code: "name_invalid",
    lines: ["3: thisNameIsMuchTooLongForTheWire becomes"],
  },
  {
    name: "collision",
    source:
      "export const swapFace = app.function((a: string) => a);\nexport const swap_face = app.function((a: string) => a);",
    code: "name_collision",
    lines: ['4: swap_face and swapFace (collision.ts:3) are both "swap-face"'],
  },

  // Types that are no types
  failed("unknown-type", "export const run = app.function((a: Usr) => 1);", "3: Cannot find name 'Usr'. (TS2304)"),
  failed(
    "unknown-type-in-interface",
    "interface A {\n  a: Missing[];\n}\nexport const run = app.function((a: A) => 1);",
    "4: Cannot find name 'Missing'. (TS2304)",
  ),
  failed(
    "missing-module",
    'import type { User } from "./nowhere.ts";\nexport const run = app.function((a: User[]) => 1);',
    "4: `User` cannot be resolved; check that what it is imported from exists and is installed",
  ),
  failed(
    "missing-package",
    'import type { User } from "no-such-package";\ninterface A extends User {\n  a: string;\n}\nexport const run = app.function((a: A) => 1);',
    "4: `User` cannot be resolved",
  ),
  failed(
    "missing-base",
    "interface A extends Missing {\n  a: string;\n}\nexport const run = app.function((a: A) => 1);",
    "3: Cannot find name 'Missing'. (TS2304)",
  ),
  failed(
    "bad-pick",
    'interface A {\n  a: string;\n}\ntype B = Pick<A, "b">;\nexport const run = app.function((a: B) => 1);',
    "6: Type '\"b\"' does not satisfy the constraint",
  ),
  failed(
    "unresolved-result",
    "export const run = app.function(() => missing());",
    "3: run: result: the type cannot be resolved",
  ),
  failed(
    "unknown-option",
    "export const run = app.function({ timeoutSeconds: 3 }, (a: string) => a);",
    "3: Object literal may only specify known properties, and 'timeoutSeconds' does not exist in type 'FunctionOptions & UnbatchedOptions'. (TS2769)",
  ),
  failed(
    "wrong-option",
    'export const run = app.endpoint("/a", { methods: ["FETCH"] }, (a: string) => a);',
    "3: Type '\"FETCH\"' is not assignable to type",
  ),
  failed(
    "wrong-option-of-method",
    'class A {\n  @app.endpoint("/a", { queue: { size: "x" } })\n  go(a: string) {}\n}',
    "4: Type 'string' is not assignable to type 'number'. (TS2769)",
  ),
  failed("syntax", "export const run = app.function((a: string => a);", "3: ',' expected. (TS1005)"),
  {
    ...failed("syntax-js", "export const run = app.function((a => a);", "3: ')' expected. (TS1005)"),
    extension: ".js",
  },
];

/** What is none of the build's business: these have no fault. */
export const ACCEPTED: { name: string; source: string; extension?: ".js" }[] = [
  {
    name: "error-in-body",
    source: "export const run = app.function((a: string): number => { const b: number = a; return b; });",
  },
  {
    name: "error-elsewhere",
    source: "const wrong: number = 'text';\nexport const run = app.function((a: string) => a);",
  },
  { name: "unused-parameter", source: "export const run = app.function((a: string, b: string) => a);" },
  {
    name: "other-app",
    source:
      "class App2 { function(f: (a: Map<string, string>) => void) {} endpoint() {} }\nnew App2().function(() => {});\nnew App2().endpoint();",
  },
  {
    name: "missing-module-unused",
    source:
      'import type { User } from "./nowhere.ts";\nlet user: User;\nexport const run = app.function((a: string) => a);',
  },
  { name: "javascript", source: "export const run = app.function((a, b = [], ...c) => a.b.c);", extension: ".js" },
];
