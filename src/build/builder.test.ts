/** A builder that is used again gives what a fresh one gives. */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { AthanorError } from "../protocol/errors.ts";
import { Builder } from "./builder.ts";
import { build } from "./index.ts";

const HEAD = 'import { App } from "athanor";\nconst app = new App("demo");\n';

describe("Builder", () => {
  let dir: string;
  let entry: string;
  let builder: Builder;

  const write = async (name: string, text: string): Promise<void> => {
    await mkdir(path.dirname(path.join(dir, name)), { recursive: true });
    await writeFile(path.join(dir, name), text);
  };
  const failure = async (): Promise<AthanorError> => {
    const error = await builder.build().then(
      () => null,
      (thrown: unknown) => thrown,
    );
    assert.ok(error instanceof AthanorError, "the build failed");
    return error;
  };
  /** Builds, and holds the result against a fresh build of the same files. */
  const same = async () => {
    const upload = await builder.build();
    assert.deepEqual(upload, await build({ entry }));
    return upload;
  };

  before(async () => {
    dir = await realpath(await mkdtemp(path.join(tmpdir(), "athanor-builder-")));
    entry = path.join(dir, "app.ts");
  });
  after(() => rm(dir, { recursive: true, force: true }));
  beforeEach(async () => {
    await write("package.json", '{ "name": "project", "type": "module" }');
    builder = new Builder({ entry });
  });
  afterEach(() => builder[Symbol.asyncDispose]());

  it("follows edits of the entry and of what it imports, prepared or not", async () => {
    await write(
      "app.ts",
      `${HEAD}import { greet } from "./lib/greet.ts";\nexport const f = app.endpoint("/f", (name: string) => greet(name));\n`,
    );
    await write("lib/greet.ts", 'export const greet = (name: string): string => "Hello, " + name;\n');
    const first = await same();
    builder.prepare();
    await write("lib/greet.ts", "export const greet = (name: string): { said: string } => ({ said: name });\n");
    const second = await same();
    assert.notEqual(second.digest, first.digest);
    assert.deepEqual(
      [first, second].map(({ spec }) => (spec.functions[0]?.output.schema as { type?: string } | undefined)?.type),
      ["string", "object"],
    );
    await write(
      "app.ts",
      `${HEAD}export const g = app.endpoint("/g", (count: number) => count);\nexport const h = app.function(() => 1);\n`,
    );
    const third = await same();
    assert.deepEqual(
      third.spec.functions.map(({ name }) => name),
      ["g", "h"],
    );
    assert.ok(!builder.inputs.includes(path.join(dir, "lib/greet.ts")));
  });

  it("says what to watch: sources, texts and settings, also after a build that failed", async () => {
    await write(
      "app.ts",
      `${HEAD}import text from "./text.txt";\nimport { n } from "./n.ts";\nexport const f = app.endpoint("/f", () => text + n);\n`,
    );
    await write("txt.d.ts", 'declare module "*.txt" { const text: string; export default text; }');
    await write("tsconfig.json", '{ "compilerOptions": { "strict": true }, "include": ["."] }');
    await write("text.txt", "text");
    await write("n.ts", "export const n = 1;\n");
    await builder.build();
    const names = ["app.ts", "athanor.json", "n.ts", "package.json", "text.txt", "tsconfig.json", "txt.d.ts"];
    assert.deepEqual(builder.inputs.map((file) => path.relative(dir, file)).sort(), names);
    await write("n.ts", "export const n = ;\n");
    const error = await failure();
    assert.deepEqual(
      error.places.map(({ file, line, column }) => ({ file, line, column })),
      [{ file: "n.ts", line: 1, column: 18 }],
    );
    assert.deepEqual(builder.inputs.map((file) => path.relative(dir, file)).sort(), names);
    await rm(path.join(dir, "tsconfig.json"));
    await rm(path.join(dir, "txt.d.ts"));
  });

  it("finds a file and a package that were missing, once they are there", async () => {
    await write(
      "app.ts",
      `${HEAD}import { late } from "./late.ts";\nimport { there } from "there";\nexport const f = app.endpoint("/f", (): string => late + there);\n`,
    );
    assert.equal((await failure()).code, "build_failed");
    await write("late.ts", 'export const late = "late";\n');
    assert.match((await failure()).detail, /there/);
    const installed = path.join(dir, "node_modules/there");
    await write(
      "node_modules/.store/there/package.json",
      '{ "name": "there", "version": "1.0.0", "type": "module", "exports": "./index.js" }',
    );
    await write("node_modules/.store/there/index.js", 'export const there = "there";\n');
    await symlink(path.join(dir, "node_modules/.store/there"), installed);
    await write("package.json", '{ "name": "project", "type": "module", "dependencies": { "there": "1.0.0" } }');
    const upload = await same();
    assert.match(upload.bundle, /"late"/);
    assert.match(upload.vendor?.content?.code ?? "", /"there"/);
  });

  it("gives the columns of type errors, and fails again until they are mended", async () => {
    const good = `${HEAD}export const f = app.endpoint("/f", (name: string) => name);\n`;
    await write("app.ts", good);
    const first = await builder.build();
    await write("app.ts", good.replace("name: string", "name: () => void"));
    for (let time = 0; time < 2; time++) {
      const error = await failure();
      assert.equal(error.code, "type_not_serialisable");
      assert.deepEqual(
        error.places.slice(0, 1).map(({ file, line, column }) => ({ file, line, column })),
        [{ file: "app.ts", line: 3, column: 38 }],
      );
    }
    await write("app.ts", good);
    assert.equal((await builder.build()).digest, first.digest);
    assert.equal(await readFile(entry, "utf8"), good);
  });
});
