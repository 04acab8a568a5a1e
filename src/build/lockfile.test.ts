import assert from "node:assert/strict";
import { test } from "node:test";
import { cutLockfile } from "./lockfile.ts";

type Packages = Record<string, Record<string, unknown>>;

function cut(packages: Packages, ...paths: string[]): Packages | null {
  const roots = paths.map((path) => ({ name: path.slice(path.lastIndexOf("node_modules/") + 13), path }));
  const text = cutLockfile({ packages }, roots);
  return text === null ? null : (JSON.parse(text) as { packages: Packages }).packages;
}

const resolved = (name: string): string => `https://registry.example/npm/${name}/-/${name.split("/").at(-1)}-1.0.0.tgz`;

test("only what the packages need is kept, without hosts and without marks of the old tree", () => {
  const made = cut(
    {
      "": { dependencies: { a: "^1.0.0" }, devDependencies: { z: "1" } },
      "node_modules/a": {
        version: "1.0.0",
        resolved: resolved("a"),
        integrity: "sha512-a",
        dev: true,
        license: "MIT",
        dependencies: { "@s/b": "1" },
      },
      "node_modules/@s/b": { version: "1.0.0", resolved: resolved("@s/b"), integrity: "sha512-b" },
      "node_modules/z": { version: "1.0.0" },
      "node_modules/g": { version: "1.0.0", resolved: "git+ssh://git@host.example/g.git#abc" },
    },
    "node_modules/a",
    "node_modules/g",
  );
  assert.deepEqual(made, {
    "": { name: "dependencies", version: "0.0.0", dependencies: { a: "1.0.0", g: "1.0.0" } },
    "node_modules/@s/b": { version: "1.0.0", integrity: "sha512-b" },
    "node_modules/a": { version: "1.0.0", integrity: "sha512-a", dependencies: { "@s/b": "1" } },
    "node_modules/g": { version: "1.0.0", resolved: "git+ssh://git@host.example/g.git#abc" },
  });
});

test("optional ones stay optional, unless something needs them for certain", () => {
  const made = cut(
    {
      "node_modules/a": {
        version: "1.0.0",
        optionalDependencies: { "a-linux": "1", shared: "1" },
        dependencies: { c: "1" },
      },
      "node_modules/a-linux": {
        version: "1.0.0",
        os: ["linux"],
        cpu: ["x64"],
        optional: true,
        dependencies: { deep: "1" },
      },
      "node_modules/deep": { version: "1.0.0" },
      "node_modules/shared": { version: "1.0.0", optional: true, dependencies: { under: "1" } },
      "node_modules/under": { version: "1.0.0" },
      "node_modules/c": {
        version: "1.0.0",
        dependencies: { shared: "1" },
        peerDependencies: { p: "1", q: "1" },
        peerDependenciesMeta: { q: { optional: true } },
      },
      "node_modules/p": { version: "1.0.0", peer: true },
      "node_modules/q": { version: "1.0.0" },
    },
    "node_modules/a",
  );
  const optional = Object.fromEntries(
    Object.entries(made ?? {}).map(([path, entry]) => [path.replace("node_modules/", ""), entry.optional ?? false]),
  );
  assert.deepEqual(optional, {
    "": false,
    a: false,
    "a-linux": true,
    c: false,
    deep: true,
    p: false,
    shared: false,
    under: false,
  });
  assert.deepEqual(made?.["node_modules/a-linux"], {
    version: "1.0.0",
    cpu: ["x64"],
    os: ["linux"],
    dependencies: { deep: "1" },
    optional: true,
  });
});

test("versions that differ stay apart, wherever in a workspace they lay", () => {
  const made = cut(
    {
      "packages/app/node_modules/a": { version: "2.0.0", dependencies: { x: "2", b: "1" } },
      "packages/app/node_modules/x": { version: "2.0.0" },
      "node_modules/a": { version: "1.0.0" },
      "node_modules/x": { version: "1.0.0" },
      "node_modules/b": { version: "1.0.0", dependencies: { x: "1", c: "1" } },
      "node_modules/c": { version: "1.0.0", dependencies: { x: "3", b: "1" } },
      "node_modules/c/node_modules/x": { version: "3.0.0" },
    },
    "packages/app/node_modules/a",
  );
  const versions = Object.fromEntries(Object.entries(made ?? {}).map(([path, entry]) => [path, entry.version]));
  assert.deepEqual(versions, {
    "": "0.0.0",
    "node_modules/a": "2.0.0",
    "node_modules/b": "1.0.0",
    "node_modules/b/node_modules/x": "1.0.0",
    "node_modules/c": "1.0.0",
    "node_modules/c/node_modules/x": "3.0.0",
    "node_modules/x": "2.0.0",
  });
});

test("a package that the lock does not have, or that is a folder, gives none", () => {
  assert.equal(cut({}, "node_modules/a"), null);
  assert.equal(cut({ "node_modules/a": { link: true, resolved: "packages/a" } }, "node_modules/a"), null);
  assert.equal(cut({ "node_modules/a": { version: "1.0.0", resolved: "file:a.tgz" } }, "node_modules/a"), null);
});
