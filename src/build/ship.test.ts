import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { SERVER_DEFAULTS } from "../protocol/defaults.ts";
import { AthanorError } from "../protocol/errors.ts";
import { Shipper } from "./ship.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), "athanor-ship-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function write(name: string, content: string | Uint8Array = "x"): string {
  const file = path.join(dir, name);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, content);
  return file;
}

function shipped(): string[] {
  return new Shipper().ship(dir).map((file) => file.path);
}

function refused(detail: RegExp): void {
  assert.throws(
    () => new Shipper().ship(dir),
    (error) => {
      assert.ok(error instanceof AthanorError && error.code === "build_failed", String(error));
      assert.match(error.detail, detail);
      return true;
    },
  );
}

describe("files that ship", () => {
  it("are all but hidden, installed and generated ones, sorted", () => {
    for (const name of ["main.py", "a/b/page.html", "a/data.json", "B.py", "ä.txt"]) write(name);
    for (const name of [".env", ".git/config", "node_modules/x/index.js", "a/__pycache__/b.pyc", "old.pyc"])
      write(name);
    for (const name of ["env/pyvenv.cfg", "env/bin/python", ".venv/pyvenv.cfg", "venv/x"]) write(name);
    assert.deepEqual(shipped(), ["B.py", "a/b/page.html", "a/data.json", "main.py", "ä.txt"]);
  });

  it("heed .athanorignore", () => {
    for (const name of [
      "main.py",
      "notes.md",
      "a/notes.md",
      "tests/x.py",
      "a/tests/x.py",
      "data/big.bin",
      "data/keep.txt",
    ])
      write(name);
    for (const name of [".next/server.js", ".next/node_modules/p.js", ".next/cache/c", ".env"]) write(name);
    write(
      ".athanorignore",
      "# not needed\n*.md\n/tests/\ndata/*\n!data/keep.txt\n!.next/\n!.next/node_modules/\n.next/cache/\n",
    );
    assert.deepEqual(shipped(), [
      ".next/node_modules/p.js",
      ".next/server.js",
      "a/tests/x.py",
      "data/keep.txt",
      "main.py",
    ]);
  });

  it("keep their bytes and whether they can be run", () => {
    chmodSync(write("run.sh", "#!/bin/sh\n"), 0o755);
    write("text.txt", "ä\r\n");
    write("bytes.bin", new Uint8Array([0, 255, 1]));
    write("zeros.bin", new Uint8Array(5000));
    const [bytes, run, text, zeros] = new Shipper().ship(dir);
    assert.deepEqual(bytes, { path: "bytes.bin", executable: false, encoding: "base64", content: "AP8B" });
    assert.deepEqual(run, { path: "run.sh", executable: true, encoding: "utf8", content: "#!/bin/sh\n" });
    assert.deepEqual(text, { path: "text.txt", executable: false, encoding: "utf8", content: "ä\r\n" });
    assert.equal(zeros?.encoding, "base64", "JSON would write each of its characters as six");
  });

  it("may be links to files of the project, and lead nowhere else", () => {
    symlinkSync(write("a.txt", "linked"), path.join(dir, "b.txt"));
    assert.equal(new Shipper().ship(dir)[1]?.content, "linked");
    symlinkSync("/etc/hostname", path.join(dir, "c.txt"));
    refused(/c\.txt would ship with the deployment, and is a link that leads out of the project/);
    write(".athanorignore", "c.txt\nlib\n");
    symlinkSync("..", path.join(dir, "lib"));
    assert.deepEqual(shipped(), ["a.txt", "b.txt"]);
    write(".athanorignore", "c.txt\n");
    refused(/lib would ship .* leads to a folder/);
  });

  it("are bounded, and the largest are named", () => {
    write("main.py");
    write("model.bin", new Uint8Array(SERVER_DEFAULTS.maxShippedBytes));
    refused(
      /2 files of 32\.0 MiB would ship.*at most 10000 of 32\.0 MiB may\. The largest: model\.bin \(32\.0 MiB\), main\.py/,
    );
  });

  it("are watched, with the folders where others may come", () => {
    write("a/main.py");
    const shipper = new Shipper();
    assert.deepEqual([shipper.files, shipper.folders], [[], []]);
    const before = shipper.ship(dir);
    assert.deepEqual(shipper.folders, [dir, path.join(dir, "a")]);
    assert.deepEqual(
      shipper.files.map((file) => path.relative(dir, file)),
      [".athanorignore", "a/main.py"],
    );
    assert.equal(shipper.ship(dir)[0], before[0], "what has not changed is not read again");
    write("a/main.py", "other");
    assert.equal(shipper.ship(dir)[0]?.content, "other");
    rmSync(path.join(dir, "a/main.py"));
    assert.deepEqual([shipper.ship(dir), shipper.files.length], [[], 1]);
  });
});
