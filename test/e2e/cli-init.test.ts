import assert from "node:assert/strict";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { CliRun, temporaryFolder } from "./cli-process.ts";

test("init writes a project, says what next, and never overwrites", async () => {
  await using folder = await temporaryFolder();
  const run = (...args: string[]) => new CliRun(["init", ...args], { env: {}, cwd: folder.path }).ended;
  const first = await run("mine");
  assert.equal(first.status, 0, first.stderr);
  assert.match(first.stdout, /Next:\n {2}cd mine\n {2}npm install\n/);
  const dir = join(folder.path, "mine");
  assert.deepEqual((await readdir(dir)).sort(), ["app.ts", "athanor.json", "package.json", "tsconfig.json"]);
  const manifest = JSON.parse(await readFile(join(dir, "package.json"), "utf8"));
  assert.match(manifest.dependencies.athanor, /^\^\d/);
  assert.deepEqual(JSON.parse(await readFile(join(dir, "athanor.json"), "utf8")), {
    queue: { maxWorkers: 1, size: 500, ttlS: 3600 },
  });

  const second = await run("mine", "--json");
  assert.equal(second.status, 2);
  assert.match(JSON.parse(second.stderr).detail, /already has app\.ts, tsconfig\.json, athanor\.json/);
  const here = await run("--json");
  assert.deepEqual(JSON.parse(here.stdout).files, ["app.ts", "tsconfig.json", "athanor.json", "package.json"]);
});

test("init completes the package.json that `npm i athanor` has left", async () => {
  await using folder = await temporaryFolder();
  const run = () => new CliRun(["init", "--json"], { env: {}, cwd: folder.path }).ended;
  const manifest = join(folder.path, "package.json");
  await writeFile(manifest, "[]");
  const refused = await run();
  assert.deepEqual([refused.status, await readdir(folder.path)], [2, ["package.json"]]);
  assert.match(JSON.parse(refused.stderr).detail, /package\.json is not a JSON object/);

  const had = { name: "mine", type: "commonjs", dependencies: { athanor: "file:../athanor-0.1.0.tgz", zod: "4" } };
  await writeFile(manifest, JSON.stringify(had));
  assert.equal((await run()).status, 0);
  const { scripts, devDependencies, ...completed } = JSON.parse(await readFile(manifest, "utf8"));
  assert.deepEqual(completed, { private: true, engines: { node: ">=24" }, ...had });
  assert.deepEqual([scripts.up, Object.keys(devDependencies)], ["athanor up", ["@types/node", "typescript"]]);
});
