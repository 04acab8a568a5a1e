import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import * as esbuild from "esbuild";
import { findOldNode, ROOT, Stranger } from "./stranger.ts";

const APP = `
import { App } from "athanor";
const app = new App("stranger");
export const greet = app.endpoint("/greet", async (name: string, times = 1) => ({ message: "Hello, " + name + "!".repeat(times) }));
export const shout = app.function(async (text: string) => text.toUpperCase());
`;

const CONSUMER = `
import { App, ImageFile, type JobProgress } from "athanor";
import { Client } from "athanor/client";
import type * as appModule from "./app.ts";

const client = new Client({ url: "http://127.0.0.1:7700", token: "token-of-the-test" }).app<typeof appModule>("stranger");
export const shouted: Promise<string> = client.shout.remote("hello");
// @ts-expect-error The argument is a string.
export const wrong = client.shout.remote(1);
export const app = new App("other", { keepWarmS: 5 });
export const read = app.endpoint("/read", async (_progress: JobProgress, page: ImageFile) => page.size);
// @ts-expect-error No such option.
export const misspelt = app.function({ timeoutSeconds: 5 }, async () => 1);
`;

describe("the packed tarball", () => {
  let stranger: Stranger;
  let packed: Awaited<ReturnType<Stranger["install"]>>;

  before(async () => {
    stranger = await Stranger.create();
    packed = await stranger.install();
    await writeFile(path.join(stranger.project, "app.ts"), APP);
  });
  after(() => stranger[Symbol.asyncDispose]());

  test("holds what is needed and nothing else", () => {
    const needed = ["package.json", "README.md", "LICENSE", "CHANGELOG.md", "bin/athanor.mjs"].concat(
      ["index", "client", "testing", "serve", "cli", "runtime"].map((name) => `dist/${name}.js`),
      ["dist/types/index.d.ts", "dist/types/sdk/client/index.d.ts", "dist/docs-viewer/swagger-ui-bundle.js"],
    );
    for (const file of needed) assert.ok(packed.files.includes(file), `${file} is missing`);
    const allowed = /^(package\.json|README\.md|CHANGELOG\.md|LICENSE|bin\/athanor\.mjs|dist\/.*)$/;
    const source = /(?<!\.d)\.ts$|\.test\.|node_modules|\.tsbuildinfo$/;
    assert.deepEqual(
      packed.files.filter((file) => !allowed.test(file) || source.test(file)),
      [],
    );
  });

  test("starts, deploys, answers and runs a job", async () => {
    const url = await stranger.up();
    try {
      const deployed = await stranger.athanor("deploy", "app.ts");
      assert.match(deployed, /deployments:1/);
      const response = await fetch(`${url}/stranger/greet`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ name: "you", times: 2 }),
      });
      assert.deepEqual([response.status, await response.json()], [200, { message: "Hello, you!!" }]);
      const invalid = await fetch(`${url}/stranger/greet`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ name: 7 }),
      });
      assert.equal(invalid.status, 422);
      const docs = await fetch(`${url}/stranger/docs`);
      assert.deepEqual([docs.status, docs.headers.get("content-type")?.split(";")[0]], [200, "text/html"]);
      const payload = JSON.stringify({ args: ["ahoy"], kwargs: {} });
      const ran = await stranger.athanor("run", "shout", "--app-name", "stranger", "--payload", payload);
      assert.match(ran, /AHOY/);
    } finally {
      await stranger.down();
    }
  });

  test("writes a project with init that deploys and type-checks as it is", async () => {
    await stranger.athanor("init", "begun");
    const begun = path.join(stranger.project, "begun");
    const manifest = JSON.parse(await readFile(path.join(begun, "package.json"), "utf8"));
    assert.equal(manifest.type, "module");
    await stranger.succeed("npm", ["install", packed.tarball], begun);
    await stranger.succeed("npx", ["tsc"], begun);
    await stranger.up();
    try {
      assert.match(await stranger.athanor("deploy", path.join("begun", "app.ts")), /deployments:\d+/);
    } finally {
      await stranger.down();
    }
  });

  for (const resolution of ["nodenext", "bundler"]) {
    test(`has types that hold under ${resolution} resolution, its own declarations checked too`, async () => {
      await writeFile(path.join(stranger.project, "consumer.ts"), CONSUMER);
      const module = resolution === "bundler" ? "esnext" : "nodenext";
      const options = {
        module,
        moduleResolution: resolution,
        target: "es2022",
        lib: ["es2024", "esnext.disposable", "dom"],
        types: ["node"],
        // As `npm i -D @types/node` would: sharp\'s declarations ask for it.
        typeRoots: [path.join(ROOT, "node_modules", "@types")],
      };
      const tsconfig = {
        compilerOptions: {
          ...options,
          strict: true,
          noEmit: true,
          skipLibCheck: false,
          allowImportingTsExtensions: true,
        },
        files: ["consumer.ts"],
      };
      const file = path.join(stranger.project, `tsconfig.${resolution}.json`);
      await writeFile(file, JSON.stringify(tsconfig));
      await stranger.succeed("npx", ["tsc", "-p", file]);
    });
  }

  test("reports its error under its own name where nobody catches it", async () => {
    const script = `import { AthanorError } from "athanor/client"; process.stdout.write(new AthanorError("usage", "x").constructor.name);`;
    assert.equal(await stranger.succeed("node", ["--input-type=module", "-e", script]), "AthanorError");
  });

  test("has a client that a browser can load", async () => {
    const bundled = await esbuild.build({
      stdin: { contents: 'export { Client } from "athanor/client";', resolveDir: stranger.project },
      bundle: true,
      platform: "browser",
      format: "esm",
      write: false,
      metafile: true,
      logLevel: "silent",
    });
    const imports = Object.values(bundled.metafile.outputs).flatMap((output) => output.imports);
    assert.deepEqual(imports, []);
  });
});

test("an older Node gets one line that says what is wrong and how to get a newer one", async (t) => {
  const old = await findOldNode();
  if (!old) return t.skip("no Node older than 24 is on the path");
  await using stranger = await Stranger.create();
  const { status, stdout, stderr } = await stranger.run(old.node, [path.join(ROOT, "bin", "athanor.mjs"), "up"]);
  assert.equal(status, 1);
  assert.equal(stdout, "");
  assert.equal(stderr.trimEnd().split("\n").length, 1, stderr);
  assert.ok(stderr.includes(old.version) && stderr.includes("npm i -D node@24"), stderr);
});
