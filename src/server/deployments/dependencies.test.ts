import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { AthanorError } from "../../protocol/errors.ts";
import type { DependencySet } from "../../protocol/spec.ts";
import type { Log } from "../log.ts";
import { Dependencies } from "./dependencies.ts";
import { findNpm, npmEnvironment } from "./npm.ts";

const silent: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
let folder: string;
let tarball: string;

before(() => {
  folder = mkdtempSync(join(tmpdir(), "athanor-npm-"));
  const source = join(folder, "package");
  mkdirSync(source);
  writeFileSync(join(source, "package.json"), JSON.stringify({ name: "tiny", version: "1.0.0", main: "index.js" }));
  writeFileSync(join(source, "index.js"), "module.exports = 7;\n");
  tarball = join(folder, "tiny-1.0.0.tgz");
  execFileSync("tar", ["-czf", tarball, "-C", folder, "package"]);
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** One package, from a file: no registry is asked. */
function setOf(path: string): DependencySet {
  const integrity = `sha512-${createHash("sha512").update(readFileSync(tarball)).digest("base64")}`;
  const lock = {
    name: "app",
    version: "1.0.0",
    lockfileVersion: 3,
    requires: true,
    packages: {
      "": { name: "app", version: "1.0.0", dependencies: { tiny: "1.0.0" } },
      "node_modules/tiny": { version: "1.0.0", resolved: `file:${path}`, integrity },
    },
  };
  return { packages: { tiny: "1.0.0" }, lockfile: JSON.stringify(lock) };
}

async function dependencies(name: string): Promise<{ root: string; installer: Dependencies }> {
  const root = join(folder, name);
  const env = { ...process.env, npm_config_cache: join(folder, `cache-${name}`), npm_config_offline: "true" };
  const installer = new Dependencies({ root, log: silent, env });
  await installer.start();
  return { root, installer };
}

describe("dependencies", () => {
  it("are installed once, however many ask at a time", async () => {
    const { root, installer } = await dependencies("once");
    const [first, second] = await Promise.all([installer.install(setOf(tarball)), installer.install(setOf(tarball))]);
    assert.equal(first, second);
    assert.equal(readFileSync(join(first ?? "", "tiny/index.js"), "utf8"), "module.exports = 7;\n");
    assert.equal(await installer.install(setOf(tarball)), first);
    assert.equal(readdirSync(root).length, 1);
    await installer.stop();
  });

  it("that do not install say why, and leave nothing", async () => {
    const { root, installer } = await dependencies("fails");
    await assert.rejects(installer.install(setOf(join(folder, "missing.tgz"))), (error) => {
      assert.ok(error instanceof AthanorError && error.code === "dependency_install_failed", String(error));
      assert.match(error.detail, /tiny@1\.0\.0/);
      assert.match(error.detail, /npm ended with status/);
      assert.match(error.detail, /missing\.tgz|ENOENT/);
      return true;
    });
    assert.deepEqual(readdirSync(root), []);
    await installer.stop();
  });

  it("are none where there are none", async () => {
    const { installer } = await dependencies("none");
    assert.equal(await installer.install(null), null);
    assert.equal(await installer.install({ packages: {}, lockfile: null }), null);
    await installer.stop();
  });
});

describe("npm", () => {
  it("sees how to reach its registry, and nothing else of the server's", () => {
    const passed = npmEnvironment({
      PATH: "/bin",
      HOME: "/home/x",
      https_proxy: "http://proxy",
      npm_config_registry: "https://registry.example",
      NPM_CONFIG_CAFILE: "/ca.pem",
      "npm_config_@scope:registry": "https://scoped.example",
      npm_config_local_prefix: "/project",
      npm_config_global: "true",
      npm_lifecycle_event: "quickstart",
      ATHANOR_TOKEN: "secret",
      NODE_OPTIONS: "--inspect",
      DATABASE_URL: "secret",
    });
    assert.deepEqual(Object.keys(passed).sort(), [
      "HOME",
      "NPM_CONFIG_CAFILE",
      "PATH",
      "https_proxy",
      "npm_config_@scope:registry",
      "npm_config_registry",
    ]);
    assert.ok(passed.PATH?.endsWith(":/bin"));
  });

  it("is found", () => {
    assert.match(findNpm(process.env) ?? "", /npm-cli\.js$/);
  });
});
