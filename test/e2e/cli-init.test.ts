import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
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
  assert.match(JSON.parse(second.stderr).detail, /already has app\.ts, package\.json, tsconfig\.json, athanor\.json/);
  const here = await run("--json");
  assert.deepEqual(JSON.parse(here.stdout).files, ["app.ts", "package.json", "tsconfig.json", "athanor.json"]);
});
