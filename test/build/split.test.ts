import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { Builder } from "../../src/build/builder.ts";
import type { DeploymentUpload } from "../../src/protocol/spec.ts";
import { makeProject, type Project, writeBundle } from "./project.ts";

const HEAD = 'import { App } from "athanor";\nconst app = new App("demo");\n';

/** A package of the project, of files with their text. */
function packageOf(name: string, files: Record<string, string>, manifest: object = { type: "module" }) {
  const made = { name, version: "1.0.0", main: "index.js", ...manifest };
  const all = { "package.json": JSON.stringify(made), "index.d.ts": "declare const any: any; export = any;", ...files };
  return Object.fromEntries(Object.entries(all).map(([file, text]) => [`node_modules/${name}/${file}`, text]));
}

const ANY = { "any.d.ts": 'declare module "esm*"; declare module "cjs*"; declare module "data*";' };
const TSCONFIG = {
  "tsconfig.json":
    '{ "compilerOptions": { "module": "preserve", "strict": false, "resolveJsonModule": true }, "include": ["."] }',
};

/** What the app's code printed at its import, and what calling its function `f` gives. */
async function run(project: Project, upload: DeploymentUpload): Promise<{ printed: string[]; result: unknown }> {
  const bundlePath = await writeBundle(upload, path.join(project.dir, "deployed"));
  const script = `await import(${JSON.stringify(pathToFileURL(bundlePath).href)});
    const app = globalThis[Symbol.for("athanor.registry")].apps[0][Symbol.for("athanor.app")];
    const f = app.registrations.find((r) => r.site.name === "f").handler;
    console.log(JSON.stringify((await f()) ?? null));`;
  const { stdout } = await promisify(execFile)(process.execPath, [
    "--enable-source-maps",
    "--input-type=module",
    "-e",
    script,
  ]);
  const printed = stdout.trim().split("\n");
  return { result: JSON.parse(printed.pop() ?? ""), printed };
}

/** The same code as two files and as one. */
async function both(
  files: Record<string, string>,
): Promise<{ split: DeploymentUpload; results: Awaited<ReturnType<typeof run>>[] }> {
  await using project = await makeProject({ ...ANY, ...TSCONFIG, ...files });
  const entry = path.join(project.dir, "app.ts");
  await using splitter = new Builder({ entry });
  await using joiner = new Builder({ entry, splits: false });
  const [split, whole] = [await splitter.build(), await joiner.build()];
  assert.equal(whole.vendor, undefined);
  const results = [await run(project, split), await run(project, whole)];
  assert.deepEqual(results[0], results[1]);
  return { split, results };
}

test("packages are in a file of their own, and run when the own code's imports say, in that order", async () => {
  const { split, results } = await both({
    "app.ts": `import "./first.ts";\nimport cjs from "cjs";\n${HEAD}import { second } from "./second.ts";\nimport { esm } from "esm";\nconsole.log("app");\nexport const f = app.function(async (): Promise<unknown> => [cjs.name, second, esm, (await import("esm-late")).late, process.env.SET]);\n`,
    "first.ts": 'console.log("first"); process.env.SET = "by first";\n',
    "second.ts": 'import { other } from "esm-other";\nconsole.log("second");\nexport const second = other;\n',
    ...packageOf("cjs", { "index.js": 'console.log("cjs", process.env.SET); exports.name = "cjs";' }, {}),
    ...packageOf("esm", {
      "index.js": 'console.log("esm"); export const esm = "esm"; export const unused = "never taken";',
    }),
    ...packageOf("esm-other", { "index.js": 'import "esm"; console.log("esm-other"); export const other = "other";' }),
    ...packageOf("esm-late", { "index.js": 'console.log("esm-late"); export const late = "late";' }),
  });
  assert.deepEqual(results[0]?.printed, ["first", "cjs by first", "esm", "esm-other", "second", "app", "esm-late"]);
  assert.deepEqual(results[0]?.result, ["cjs", "other", "esm", "late", "by first"]);
  const vendor = split.vendor?.content?.code ?? "";
  for (const log of ['"cjs"', '"esm"', '"esm-other"', '"esm-late"'].map((name) => `console.log(${name}`)) {
    assert.ok(vendor.includes(log), log);
    assert.ok(!split.bundle.includes(log), log);
  }
  assert.ok(!vendor.includes("never taken"), "what nobody takes is left out");
});

test("imports of all kinds mean the same as in one bundle", async () => {
  const { split } = await both({
    "app.ts": `${HEAD}import esm, { count, grow, type Shape, "a b" as ab } from "esm";
import * as members from "esm";
import * as whole from "esm-whole";
import cjs, { named } from "cjs";
import * as cjsWhole from "cjs";
import babel, { other } from "cjs-babel";
import * as mixed from "esm-mixed";
import data from "data/data.json" with { type: "json" };
import { deep } from "./own.ts";
export { default as again } from "esm";
const shape: Shape = { size: 1 };
export const f = app.function(async (): Promise<unknown> => {
  const before = count;
  grow();
  return [esm.name, before, count, ab, members.count, Object.keys(whole), whole.default, whole.one, cjs.named, named, Object.keys(cjsWhole).sort(), babel, other,
    Object.keys(mixed).sort(), mixed.named, mixed.own, data.n, deep, shape, Object.keys(await import("esm-whole")).sort(), Object.keys(await import("cjs")).sort()];
});
`,
    "own.ts": 'export * from "esm-deep";\n',
    ...packageOf("esm", {
      "index.js":
        'export let count = 1; export function grow() { count++; } export default class Named {} const ab = "ab"; export { ab as "a b" };',
      "index.d.ts":
        'export let count: number; export function grow(): void; export default class Named {} export interface Shape { size: number }\ndeclare const ab: string; export { ab as "a b" };',
    }),
    ...packageOf("esm-whole", { "index.js": "export const one = 1, two = 2; export default 3;" }),
    ...packageOf("esm-deep", { "index.js": 'export const deep = "deep", shallow = 1;' }),
    ...packageOf("cjs", { "index.js": 'module.exports = { named: "named", [Symbol.for("x")]: 1 };' }, {}),
    ...packageOf(
      "cjs-babel",
      {
        "index.js":
          'Object.defineProperty(exports, "__esModule", { value: true }); exports.default = "default"; exports.other = "other";',
      },
      {},
    ),
    ...packageOf("esm-mixed", { "index.js": 'export { named } from "cjs"; export const own = "own";' }),
    ...packageOf("data", { "data.json": '{ "n": 7 }' }),
  });
  assert.ok(split.vendor, "it was split");
});

test("the vendor file is the same while the own code changes, and another where it takes other names or a package has changed", async () => {
  await using project = await makeProject({
    ...ANY,
    ...TSCONFIG,
    "app.ts": `${HEAD}import { one } from "esm";\nexport const f = app.function((): unknown => [1, one]);\n`,
    ...packageOf("esm", { "index.js": 'export const one = "one", two = "two";' }),
  });
  await using builder = new Builder({ entry: path.join(project.dir, "app.ts") });
  const vendorOf = async (file: string, text: string): Promise<NonNullable<DeploymentUpload["vendor"]>> => {
    await writeFile(path.join(project.dir, file), text);
    const upload = await builder.build();
    assert.deepEqual(upload, await project.build());
    assert.ok(upload.vendor);
    return upload.vendor;
  };
  const first = await vendorOf(
    "app.ts",
    `${HEAD}import { one } from "esm";\nexport const f = app.function((): unknown => [2, one]);\n`,
  );
  const edited = await vendorOf(
    "app.ts",
    `${HEAD}import { one } from "esm";\nexport const f = app.function((): unknown => [3, one, one]);\n`,
  );
  assert.deepEqual(edited, first);
  const more = await vendorOf(
    "app.ts",
    `${HEAD}import { one, two } from "esm";\nexport const f = app.function((): unknown => [one, two]);\n`,
  );
  assert.notEqual(more.sha256, first.sha256);
  const changed = await vendorOf("node_modules/esm/index.js", 'export const one = "another", two = "two";');
  assert.match(changed.content?.code ?? "", /another/);
});

test("what cannot be split is one bundle", async () => {
  await using project = await makeProject({
    ...ANY,
    ...TSCONFIG,
    "app.ts": `${HEAD}import { late } from "esm-awaits";\nexport const f = app.function((): unknown => late);\n`,
    ...packageOf("esm-awaits", { "index.js": 'export const late = await Promise.resolve("late");' }),
  });
  const upload = await project.build();
  assert.equal(upload.vendor, undefined);
  assert.equal((await run(project, upload)).result, "late");
});

test("a stack names the places in packages, and those in the own code", async () => {
  await using project = await makeProject({
    ...ANY,
    ...TSCONFIG,
    "app.ts": `${HEAD}import { fail } from "esm";\nexport const f = app.function((): unknown => {\n  try {\n    return fail();\n  } catch (error) {\n    return error.stack;\n  }\n});\n`,
    ...packageOf("esm", { "index.js": '// Fails.\nexport function fail() {\n  throw new Error("failed");\n}\n' }),
  });
  const upload = await project.build();
  assert.ok(upload.vendor);
  const { result } = await run(project, upload);
  assert.match(String(result), /node_modules\/esm\/index\.js:3:9[\s\S]*app\.ts:6:12/);
  await rm(path.join(project.dir, "deployed"), { recursive: true });
});
