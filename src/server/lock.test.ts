import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { AthanorError } from "../protocol/errors.ts";
import { lockDataDir } from "./lock.ts";

function temporaryFolder(): Disposable & { path: string } {
  const path = mkdtempSync(join(tmpdir(), "athanor-lock-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

const locked = (pattern: RegExp) => (error: unknown) =>
  error instanceof AthanorError && error.code === "data_dir_locked" && pattern.test(error.detail);

test("a second server on the folder is refused and told where the first is", () => {
  using folder = temporaryFolder();
  using lock = lockDataDir(join(folder.path, "data"));
  assert.throws(() => lockDataDir(join(folder.path, "data")), locked(/still starting/));
  lock.announce({ url: "http://127.0.0.1:7700", pid: 4711, version: "1" });
  assert.throws(() => lockDataDir(join(folder.path, "data")), locked(/pid 4711 at http:\/\/127\.0\.0\.1:7700/));
});

test("a released folder can be taken again, and releasing twice does nothing", () => {
  using folder = temporaryFolder();
  const first = lockDataDir(folder.path);
  first.announce({ url: "http://127.0.0.1:1", pid: 1, version: "1" });
  first.release();
  assert.ok(!existsSync(join(folder.path, "server.json")));
  using second = lockDataDir(folder.path);
  first.release();
  assert.throws(() => lockDataDir(folder.path), locked(/in use/));
  assert.ok(second);
});

test("a killed process leaves no lock behind", async () => {
  using folder = temporaryFolder();
  const module = JSON.stringify(new URL("./lock.ts", import.meta.url).href);
  const script = `const { lockDataDir } = await import(${module});
    lockDataDir(${JSON.stringify(folder.path)}).announce({ url: "http://127.0.0.1:1", pid: process.pid, version: "1" });
    console.log("locked"); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    await once(child.stdout, "data");
    assert.throws(() => lockDataDir(folder.path), locked(new RegExp(`pid ${child.pid}`)));
  } finally {
    child.kill("SIGKILL");
    await once(child, "exit");
  }
  using lock = lockDataDir(folder.path);
  assert.ok(!existsSync(join(folder.path, "server.json")));
  assert.ok(lock);
});

test("a folder that cannot be one is named", () => {
  using folder = temporaryFolder();
  const path = join(folder.path, "file");
  writeFileSync(path, "");
  assert.throws(
    () => lockDataDir(path),
    (error) => error instanceof AthanorError && error.code === "config_invalid" && error.detail.includes(path),
  );
});
