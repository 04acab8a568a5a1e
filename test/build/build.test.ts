import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import type { DeploymentUpload } from "../../src/protocol/spec.ts";
import { checkInput } from "../../src/schema/check.ts";
import { compileValidators } from "../../src/schema/compile.ts";
import { loadValidators } from "../../src/schema/validators.ts";
import { makeProject, type Project, writeBundle } from "./project.ts";

const HEAD = 'import { App } from "athanor";\nconst app = new App("demo");\n';

/** Imports the bundle in a fresh Node, calls `use` with its registry, and returns what that returns. */
async function inBundle(project: Project, upload: DeploymentUpload, use: string): Promise<unknown> {
  const bundlePath = await writeBundle(upload, path.join(project.dir, "deployed"));
  const script = `await import(${JSON.stringify(pathToFileURL(bundlePath).href)});
    const registry = globalThis[Symbol.for("athanor.registry")];
    const app = registry.apps[0][Symbol.for("athanor.app")];
    const at = (name) => app.registrations.find((r) => r.site.name === name);
    console.log(JSON.stringify(await (async () => { ${use} })()));`;
  const { stdout } = await promisify(execFile)(process.execPath, [
    "--enable-source-maps",
    "--input-type=module",
    "-e",
    script,
  ]);
  return JSON.parse(stdout);
}

test("a small app: spec, bundle, JSON and text imports, top-level await", async () => {
  await using project = await makeProject({
    "app.ts": `${HEAD}import data from "./data.json" with { type: "json" };
import prompt from "./prompt.txt";
import { twice } from "./lib/twice.ts";
const late = await Promise.resolve("late");
/** Says it. */
export const sayIt = app.endpoint("/say", { queue: { size: 5 }, summary: "Say" }, (text: string, times = 2) => ({ text: twice(text), times, late, n: data.n, prompt }));
`,
    "data.json": '{ "n": 4 }',
    "prompt.txt": "hello",
    "txt.d.ts": 'declare module "*.txt" { const text: string; export default text; }',
    "tsconfig.json":
      '{ "compilerOptions": { "strict": true, "module": "preserve", "resolveJsonModule": true, "allowImportingTsExtensions": true, "noEmit": true }, "include": ["."] }',
    "lib/twice.ts": "export const twice = (text: string): string => text + text;\n",
    "athanor.json": '{ "queue": { "maxWorkers": 3, "size": 9 } }',
  });
  const upload = await project.build();
  assert.equal(upload.spec.name, "demo");
  const [fn] = upload.spec.functions;
  assert.ok(fn);
  assert.equal(fn.name, "say-it");
  assert.equal(fn.codeName, "sayIt");
  assert.deepEqual(fn.source, { file: "app.ts", line: 8 });
  assert.equal(fn.description, "Says it.");
  assert.deepEqual(fn.queue, { size: 5, maxWorkers: 3, ttlS: 3600 });
  assert.equal(fn.concurrency, 3);
  assert.equal(upload.dependencies, null);
  const said = await inBundle(project, upload, 'return at("say-it").handler("a");');
  assert.deepEqual(said, { text: "aa", times: 2, late: "late", n: 4, prompt: "hello" });
});

test("stacks name file, line and column of the source, also beside what the build inserts", async () => {
  const source = `${HEAD}
export const plain = app.function({ timeoutS: 5 }, () => { throw new Error("plain"); });
class Model {
  loaded = false;
  @app.enter() load(): void { this.loaded = true; }
  @app.function() run(text: string): string { if (text === "") throw new Error("decorated"); return text; }
  @app.function({ timeoutS: 9 })
  async deep(n: number): Promise<number> {
    return [n].map((x) => { throw new Error("deep" + x); })[0] as number;
  }
} export const after = app.function(() => { throw new Error("after"); });
`;
  await using project = await makeProject({ "src/app.ts": source });
  const upload = await project.build("src/app.ts");
  const made = (await inBundle(
    project,
    upload,
    `const model = new (registry.classes.get("Model"))();
     model.load();
     const stackOf = async (call) => { try { await call(); return "no error"; } catch (e) { return e.stack.split("\\n")[1]; } };
     return { hooks: [...app.hooks], loaded: model.loaded, methods: [at("run").methodName, at("deep").methodName],
       stacks: [await stackOf(() => at("plain").handler()), await stackOf(() => model.run("")), await stackOf(() => model.deep(1)), await stackOf(() => at("after").handler())] };`,
  )) as { hooks: unknown; loaded: boolean; methods: string[]; stacks: string[] };
  assert.deepEqual(made.hooks, [["Model", { enter: ["load"], exit: [] }]]);
  assert.equal(made.loaded, true);
  assert.deepEqual(made.methods, ["run", "deep"]);
  const lines = source.split("\n");
  for (const [i, text] of [
    'new Error("plain")',
    'new Error("decorated")',
    'new Error("deep"',
    'new Error("after")',
  ].entries()) {
    const line = lines.findIndex((l) => l.includes(text)) + 1;
    const column = (lines[line - 1] ?? "").indexOf(text) + 1;
    assert.match(made.stacks[i] ?? "", new RegExp(`src/app\\.ts:${line}:${column}\\)?$`), text);
  }
  const map = JSON.parse(upload.sourceMap) as { sources: string[]; sourcesContent: (string | null)[] };
  assert.ok(map.sources.includes("src/app.ts"));
  assert.equal(map.sourcesContent[map.sources.indexOf("src/app.ts")], source);
});

test("the same input in another folder gives the same digest, and another input another", async () => {
  const files = {
    "app.ts": `${HEAD}import { z } from "zod";\nimport sharp from "sharp";\nexport const f = app.function({ input: z.object({ a: z.string() }) }, (v) => [v, sharp.format]);\n`,
  };
  await using one = await makeProject(files, ["zod", "sharp"]);
  await using two = await makeProject(files, ["zod", "sharp"]);
  const [first, second] = [await one.build(), await two.build()];
  assert.deepEqual(second, first);
  for (const text of [first.bundle, first.sourceMap, JSON.stringify(first.spec)]) assert.ok(!text.includes(one.dir));
  await writeFile(path.join(one.dir, "app.ts"), files["app.ts"].replace("v,", "v, 1,"));
  assert.notEqual((await one.build()).digest, first.digest);
});

test("a native package stays outside and is pinned to the installed version", async () => {
  await using project = await makeProject(
    {
      "app.ts": `${HEAD}import sharp from "sharp";\nexport const size = app.function(async () => (await sharp({ create: { width: 2, height: 3, channels: 3, background: "red" } }).png().toBuffer()).length);\n`,
    },
    ["sharp"],
  );
  const upload = await project.build();
  assert.match(upload.bundle, /from "sharp"/);
  assert.ok(upload.bundle.length < 400_000);
  assert.deepEqual(Object.keys(upload.dependencies?.packages ?? {}), ["sharp"]);
  assert.match(upload.dependencies?.packages.sharp ?? "", /^\d+\.\d+\.\d+$/);
  assert.equal(upload.dependencies?.lockfile, null);
  await mkdir(path.join(project.dir, "deployed"), { recursive: true });
  assert.ok(((await inBundle(project, upload, 'return at("size").handler();')) as number) > 50);
});

test("packages that read files beside their code, or are only looked up, are recognised", async () => {
  await using project = await makeProject(
    {
      "app.ts": `${HEAD}import data from "reads-files";\nimport plain from "plain";\nconst where = import.meta.resolve("looked-up/package.json");\nexport const f = app.function(() => [data, plain, where]);\n`,
      "node_modules/reads-files/package.json": '{ "name": "reads-files", "version": "1.2.3", "main": "index.js" }',
      "node_modules/reads-files/index.js":
        'module.exports = require("fs").readFileSync(__dirname + "/data.txt", "utf8");',
      "node_modules/reads-files/data.txt": "data",
      "node_modules/reads-files/index.d.ts": "declare const data: string; export default data;",
      "node_modules/plain/package.json": '{ "name": "plain", "version": "1.0.0", "main": "index.js" }',
      "node_modules/plain/index.js": '// not __dirname\nmodule.exports = require("os").EOL.length;',
      "node_modules/plain/index.d.ts": "declare const n: number; export default n;",
      "node_modules/looked-up/package.json": '{ "name": "looked-up", "version": "4.5.6" }',
      "node_modules/addon/package.json": '{ "name": "addon", "version": "1.0.0", "gypfile": true }',
    },
    [],
  );
  const upload = await project.build();
  assert.deepEqual(upload.dependencies?.packages, { "looked-up": "4.5.6", "reads-files": "1.2.3" });
  const [data, plain] = (await inBundle(project, upload, 'return at("f").handler();')) as unknown[];
  assert.deepEqual([data, plain], ["data", 1]);
});

test("external in athanor.json is heeded", async () => {
  await using project = await makeProject({
    "app.ts": `${HEAD}import n from "plain";\nexport const f = app.function(() => n);\n`,
    "athanor.json": '{ "external": ["plain"] }',
    "node_modules/plain/package.json": '{ "name": "plain", "version": "1.0.0", "main": "index.js" }',
    "node_modules/plain/index.js": "module.exports = 1;",
    "node_modules/plain/index.d.ts": "declare const n: number; export default n;",
  });
  const upload = await project.build();
  assert.deepEqual(upload.dependencies, { packages: { plain: "1.0.0" }, lockfile: null });
  assert.match(upload.bundle, /from "plain"/);
});

test("explicit Zod, Valibot and ArkType schemas become JSON Schema where the library has it", async () => {
  await using project = await makeProject(
    {
      "app.ts": `${HEAD}import { z } from "zod";
import * as v from "valibot";
import { type } from "arktype";
const Tree = z.object({ name: z.string(), get kids() { return z.array(Tree); } });
export const zod = app.endpoint("/zod", { input: z.object({ n: z.number().int().min(1), tree: Tree }), output: z.object({ ok: z.boolean() }) }, (i) => ({ ok: i.n > 1 }));
export const valibot = app.endpoint("/valibot", { input: v.object({ n: v.number() }) }, (i) => i.n);
export const ark = app.endpoint("/ark", { input: type({ n: "number > 0" }) }, (i) => i.n);
`,
    },
    ["zod", "valibot", "arktype"],
  );
  const { spec } = await project.build();
  const byName = Object.fromEntries(spec.functions.map((fn) => [fn.name, fn]));
  assert.equal(byName.zod?.input.mode, "standard");
  assert.equal(byName.zod?.output.standard, true);
  assert.equal(byName.valibot?.input.mode, "standard");
  assert.equal(byName.ark?.input.mode, "standard");
  const validators = loadValidators(await compileValidators(spec));
  assert.deepEqual(validators.input("zod", { n: 1, tree: { name: "a", kids: [{ name: "b", kids: [] }] } }), []);
  assert.throws(
    () => checkInput({ fn: "zod", validators, body: { n: 0, tree: { name: "a", kids: [{ name: 1, kids: [] }] } } }),
    (e: Error & { errors: { path: string }[] }) => {
      assert.deepEqual(e.errors.map((x) => x.path).sort(), ["/n", "/tree/kids/0/name"]);
      return true;
    },
  );
  assert.deepEqual(validators.output("zod", { ok: true }), []);
  assert.equal(validators.output("zod", { ok: 1 }).length, 1);
  assert.equal(validators.input("ark", { n: 0 }).length, 1);
  // Valibot has no JSON Schema without its companion, which is not installed here.
  assert.deepEqual(validators.input("valibot", { n: "x" }), []);
});

test("what a Zod schema coerces is left to it, and what has no JSON Schema does not hide the rest", async () => {
  await using project = await makeProject(
    {
      "app.ts": `${HEAD}import { z } from "zod";
const input = z.object({ n: z.coerce.number().int().min(1).describe("how many"), when: z.coerce.date(), name: z.string() });
export const order = app.endpoint("/order", { input, output: z.object({ n: z.coerce.number() }) }, ({ n }) => ({ n }));
`,
    },
    ["zod"],
  );
  const { spec } = await project.build();
  const input = spec.functions[0]?.input;
  assert(input?.mode === "standard");
  assert.deepEqual((input.schema as { properties: object }).properties, {
    n: { description: "how many" },
    when: {},
    name: { type: "string" },
  });
  const validators = loadValidators(await compileValidators(spec));
  assert.deepEqual(validators.input("order", { n: "2", when: "2026-01-01", name: "a" }), []);
  assert.equal(validators.input("order", { n: "2", when: "2026-01-01", name: 1 }).length, 1);
  assert.equal(validators.output("order", { n: "2" }).length, 1);
});

test("a workspace's package is bundled as source, and its lock is found above", async () => {
  await using project = await makeProject({
    "packages/app/package.json": '{ "name": "inner", "type": "module" }',
    "packages/app/app.ts": `${HEAD}import { one } from "shared";\nimport ext from "ext";\nexport const f = app.function(() => one + ext);\n`,
    "packages/shared/package.json":
      '{ "name": "shared", "version": "1.0.0", "type": "module", "exports": "./index.ts" }',
    "packages/shared/index.ts": "export const one: number = 1;\n",
    "node_modules/ext/package.json": '{ "name": "ext", "version": "2.0.0", "main": "index.js" }',
    "node_modules/ext/index.js": "module.exports = __filename.length;",
    "node_modules/ext/index.d.ts": "declare const n: number; export default n;",
    "package-lock.json": JSON.stringify({
      lockfileVersion: 3,
      packages: {
        "": { workspaces: ["packages/*"] },
        "node_modules/ext": {
          version: "2.0.0",
          resolved: "https://registry.example/ext/-/ext-2.0.0.tgz",
          integrity: "sha512-x",
          dev: true,
        },
        "node_modules/other": { version: "9.0.0" },
      },
    }),
  });
  await symlink(path.join(project.dir, "packages/shared"), path.join(project.dir, "node_modules/shared"));
  const upload = await project.build("packages/app/app.ts");
  assert.deepEqual(upload.dependencies?.packages, { ext: "2.0.0" });
  const lock = JSON.parse(upload.dependencies?.lockfile ?? "null") as { packages: Record<string, unknown> };
  assert.deepEqual(lock.packages, {
    "": { name: "dependencies", version: "0.0.0", dependencies: { ext: "2.0.0" } },
    "node_modules/ext": { version: "2.0.0", integrity: "sha512-x" },
  });
  assert.match(upload.bundle, /one = 1/);
});
