import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { type Analysis, analyze } from "./index.ts";

/** A project in a temporary folder, for one test. */
function project(files: { [name: string]: string }): { folder: string; [Symbol.dispose](): void } {
  const folder = mkdtempSync(path.join(tmpdir(), "athanor-analyze-"));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    writeFileSync(path.join(folder, name), text);
  }
  return { folder, [Symbol.dispose]: () => rmSync(folder, { recursive: true }) };
}

/** The file's text with `SITE` where the site argument goes, and `STATIC` where the class's static block goes. */
function marked(text: string, analysis: Analysis): string {
  const edits = [...analysis.sites, ...analysis.hooks].map((s) => ({
    at: s.siteArgument.offset,
    text: `${s.siteArgument.prefix}SITE`,
  }));
  const starts = new Set(analysis.sites.flatMap((s) => s.classBodyStart ?? []));
  edits.push(...[...starts].map((at) => ({ at, text: "STATIC" })));
  return edits
    .toSorted((a, b) => b.at - a.at)
    .reduce((out, edit) => out.slice(0, edit.at) + edit.text + out.slice(edit.at), text);
}

describe("analyze", () => {
  it("says where the site argument and the static block go", () => {
    const text = `import { App } from "athanor";
const app = new App("places");
// é𝒳 before
export const a = app.endpoint("/a", { methods: ["GET"] }, () => "x" /* ) */);
export const b = app.function(
  (text: string) => text,
);
export class Whisper extends Object { // {
  @app.enter() load() {}
  @app.exit( /* nothing */ ) unload() {}
  @app.endpoint("/t") t(text: string) { return text; }
  @app.function({},) u() {}
}
`;
    using p = project({ "app.ts": text });
    const analysis = analyze({ entry: path.join(p.folder, "app.ts") });
    assert.equal(
      marked(text, analysis),
      `import { App } from "athanor";
const app = new App("places");
// é𝒳 before
export const a = app.endpoint("/a", { methods: ["GET"] }, () => "x", SITE /* ) */);
export const b = app.function(
  (text: string) => text,SITE
);
export class Whisper extends Object {STATIC // {
  @app.enter(SITE) load() {}
  @app.exit(SITE /* nothing */ ) unload() {}
  @app.endpoint("/t", SITE) t(text: string) { return text; }
  @app.function({},SITE) u() {}
}
`,
    );
    assert.deepEqual(
      analysis.sites.map((s) => [s.name, s.kind, s.className, s.line, s.file]),
      [
        ["a", "endpoint", null, 4, "app.ts"],
        ["b", "function", null, 5, "app.ts"],
        ["t", "endpoint", "Whisper", 11, "app.ts"],
        ["u", "function", "Whisper", 12, "app.ts"],
      ],
    );
    assert.deepEqual(
      analysis.sites.map((s) => s.decorator && text.slice(s.decorator.start, s.decorator.end)),
      [null, null, 'app.endpoint("/t")', "app.function({},)"],
    );
    assert.deepEqual(
      analysis.hooks.map((h) => [h.kind, h.codeName, h.className]),
      [
        ["enter", "load", "Whisper"],
        ["exit", "unload", "Whisper"],
      ],
    );
  });

  it("follows imports in the project, names files relative to its root, and says what to watch", () => {
    using p = project({
      "package.json": '{"type":"module"}',
      "tsconfig.json": '{"extends":"./base.json","include":["src"]}',
      "base.json":
        '{"compilerOptions":{"module":"nodenext","strict":true,"resolveJsonModule":true,"noUnusedLocals":true,"types":["node"]}}',
      "src/app.ts":
        'export { infer } from "./lib/infer.ts";\nexport * from "./shared.ts";\nimport data from "./data.json" with { type: "json" };\nvoid data;\n',
      "src/data.json": "{}",
      "src/shared.ts": 'import { App } from "athanor";\nexport const app = new App("many");\n',
      "src/lib/infer.ts":
        'import type { User } from "./types.ts";\nimport { app } from "../shared.ts";\nexport const infer = app.function((user: User) => user.id);\n',
      "src/lib/types.ts": "export default interface Shadow { a: string }\nexport interface User { id: string }\n",
      "src/unrelated.ts": "export const a: number = 'x';",
    });
    const analysis = analyze({ entry: path.join(p.folder, "src/app.ts") });
    assert.deepEqual(
      analysis.sites.map((s) => [s.name, s.file, s.line]),
      [["infer", "src/lib/infer.ts", 3]],
    );
    const watched = analysis.programFiles.map((f) => path.relative(p.folder, f)).sort();
    assert.deepEqual(watched, [
      "base.json",
      "package.json",
      "src/app.ts",
      "src/data.json",
      "src/lib/infer.ts",
      "src/lib/types.ts",
      "src/shared.ts",
      "tsconfig.json",
    ]);
    assert.ok(!JSON.stringify([analysis.sites.map((s) => ({ ...s, path: "" })), analysis.$defs]).includes(p.folder));
  });

  it("keeps null and undefined apart from the rest under a tsconfig that is not strict", () => {
    using p = project({
      "tsconfig.json": '{"compilerOptions":{"strict":false,"experimentalDecorators":true,"types":["node"]}}',
      "app.ts":
        'import { App } from "athanor";\nconst app = new App("loose");\nexport const run = app.function((a: string | null, b?: number) => 1);\n',
    });
    const [site] = analyze({ entry: path.join(p.folder, "app.ts") }).sites;
    assert.ok(site?.input.mode === "params");
    assert.deepEqual(site.input.schema, {
      type: "object",
      properties: { a: { anyOf: [{ type: "string" }, { type: "null" }] }, b: { type: "number" } },
      required: ["a"],
      additionalProperties: false,
    });
  });

  it("gives the same analysis whatever else is in the program", () => {
    const shapes =
      'export type Size = Exclude<"zeta" | "alpha" | "mid" | "none", "none">;\nexport interface A { size: Size; by: Record<Size, number> }\n';
    const app = (first: string) =>
      `${first}import { App } from "athanor";\nimport type { A } from "./shapes.ts";\nconst app = new App("same");\nexport const run = app.function((a: A): Pick<A, "size" | "by"> => a);\n`;
    using one = project({ "app.ts": app(""), "shapes.ts": shapes });
    using two = project({
      "app.ts": app('import "./earlier.ts"; '),
      "shapes.ts": shapes,
      "earlier.ts": 'export const used: "mid" | "alpha" | "by" | "size" = "mid";\n',
    });
    const schemas = [one, two].map((p) => {
      const { sites, $defs } = analyze({ entry: path.join(p.folder, "app.ts") });
      return JSON.stringify([sites.map((s) => [s.input, s.output]), $defs]);
    });
    assert.equal(schemas[0], schemas[1]);
  });

  it("finds nothing in a file without an app", () => {
    using p = project({ "app.ts": "export const a = 1;\n" });
    assert.deepEqual(analyze({ entry: path.join(p.folder, "app.ts") }).sites, []);
  });

  it("names the entry that is not there, and the tsconfig that cannot be read", () => {
    using p = project({ "tsconfig.json": '{"compilerOptions":{"module":"nonsense"}}', "app.ts": "" });
    assert.throws(() => analyze({ entry: path.join(p.folder, "none.ts") }), {
      code: "build_failed",
      detail: /none\.ts/,
    });
    assert.throws(() => analyze({ entry: path.join(p.folder, "app.ts") }), {
      code: "build_failed",
      detail: /tsconfig\.json cannot be read: .*module/,
    });
  });
});
