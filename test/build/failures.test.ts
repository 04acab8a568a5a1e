import assert from "node:assert/strict";
import { test } from "node:test";
import { buildError } from "./project.ts";

const HEAD = 'import { App } from "athanor";\nexport const app = new App("demo");\n';

test("an entry that throws at import names file, line and message, and shows what it printed", async () => {
  const error = await buildError({
    "app.ts": `${HEAD}import { load } from "./lib/load.ts";\nconsole.log("loading");\nload();\nexport const f = app.function(() => 1);\n`,
    "lib/load.ts":
      'export function load(): void {\n  const model: string = "m";\n  throw new RangeError("no model " + model);\n}\n',
  });
  assert.equal(error.code, "import_failed");
  assert.match(error.detail, /^lib\/load\.ts:3:9: RangeError: no model m/);
  assert.match(error.detail, /app\.ts:5:1/);
  assert.match(error.detail, /It printed:\nloading/);
});

test("what is no Error, an exit and a rejected promise out of band are import failures too", async () => {
  const thrown = await buildError({ "app.ts": `${HEAD}throw "x";\n` });
  assert.equal(thrown.code, "import_failed");
  assert.match(thrown.detail, /threw x, which is no Error/);
  const exited = await buildError({ "app.ts": `${HEAD}process.exit(3);\n` });
  assert.equal(exited.code, "import_failed");
  assert.match(exited.detail, /status 3/);
  const unsettled = await buildError({ "app.ts": `${HEAD}await new Promise(() => {});\n` });
  assert.equal(unsettled.code, "import_failed");
  assert.match(unsettled.detail, /never settles/);
});

test("a folder is told from a file", async () => {
  const error = await buildError({ "app.ts/inner.ts": HEAD });
  assert.deepEqual([error.code, /app\.ts is a folder$/.test(error.detail)], ["build_failed", true], error.detail);
});

test("no app, an app without functions, and two apps are refused", async () => {
  const none = await buildError({ "app.ts": "export const x = 1;\n" });
  assert.equal(none.code, "no_app");
  assert.match(none.detail, /app\.ts/);
  const empty = await buildError({ "app.ts": HEAD });
  assert.equal(empty.code, "no_app");
  assert.match(empty.detail, /demo has no functions/);
  const two = await buildError({
    "app.ts": `${HEAD}export const f = app.function(() => 1);\nexport const b = new App("other");\n`,
  });
  assert.equal(two.code, "no_app");
  assert.match(two.detail, /"demo" and "other"/);
});

test("options and paths that are wrong name the function's file and line", async () => {
  const cases: [string, string, RegExp][] = [
    ["app.endpoint('/x', { timeoutS: -1 }, () => 1)", "option_invalid", /^app\.ts:3: endpoint f: timeoutS is -1/],
    ["app.endpoint('/x', { nope: 1 } as {}, () => 1)", "option_invalid", /^app\.ts:3: .*nope/],
    ["app.endpoint('x', () => 1)", "option_invalid", /^app\.ts:3: .*must begin with \//],
    ["app.endpoint('/a?b=1', () => 1)", "option_invalid", /^app\.ts:3: .*letters, digits/],
    ["app.endpoint('/a/../b', () => 1)", "option_invalid", /^app\.ts:3: .*\.\. segments/],
    [
      "app.endpoint('/x', () => 1);\nexport const g = app.endpoint('/x', () => 2)",
      "name_collision",
      /^app\.ts:4: g has the path \/x, which is that of f \(app\.ts:3\)/,
    ],
  ];
  for (const [call, code, detail] of cases) {
    const error = await buildError({ "app.ts": `${HEAD}export const f = ${call};\n` });
    assert.equal(error.code, code, call);
    assert.match(error.detail, detail, call);
  }
});

test("a call that runs twice is refused with its place", async () => {
  const error = await buildError({
    "app.ts": `${HEAD}function make() {\n  const f = app.function(() => 1);\n  return f;\n}\nexport const a = make();\nexport const b = make();\n`,
  });
  assert.equal(error.code, "name_collision");
  assert.match(error.detail, /^app\.ts:4: .*registered twice/);
});

test("an import that cannot be resolved names file, line and column", async () => {
  const error = await buildError({
    "app.ts": `${HEAD}// @ts-ignore\nimport x from "not-there";\nexport const f = app.function((): number => x.n);\n`,
  });
  assert.equal(error.code, "build_failed");
  assert.match(error.detail, /app\.ts:4(?::15)?: .*not-there/);
});

test("a syntax error names file and line", async () => {
  const error = await buildError({ "app.ts": `${HEAD}export const f = app.function(() => {;\n` });
  assert.equal(error.code, "build_failed");
  assert.match(error.detail, /app\.ts:\d/);
});

test("athanor.json is checked", async () => {
  const files = { "app.ts": `${HEAD}export const f = app.function(() => 1);\n` };
  const malformed = await buildError({ ...files, "athanor.json": "{" });
  assert.equal(malformed.code, "option_invalid");
  assert.match(malformed.detail, /athanor\.json/);
  const unknown = await buildError({ ...files, "athanor.json": '{"queues": {}}' });
  assert.equal(unknown.code, "option_invalid");
  assert.match(unknown.detail, /queues/);
  const external = await buildError({ ...files, "athanor.json": '{"external": ["../x"]}' });
  assert.equal(external.code, "option_invalid");
});

test("the imported code sees no secret of the environment, and cannot deploy", async () => {
  process.env.BUILD_TEST_SECRET = "hush";
  try {
    const error = await buildError({ "app.ts": `${HEAD}throw new Error(String(process.env.BUILD_TEST_SECRET));\n` });
    assert.match(error.detail, /Error: undefined/);
  } finally {
    delete process.env.BUILD_TEST_SECRET;
  }
  const deploys = await buildError({
    "app.ts": `${HEAD}export const f = app.function(() => 1);\nawait app.deploy();\n`,
  });
  assert.match(deploys.detail, /app\.deploy\(\) was called/);
});
