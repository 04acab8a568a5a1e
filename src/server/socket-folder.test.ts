import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { it } from "node:test";
import { makeSocketFolder } from "./socket-folder.ts";

it("a start removes the folder that a killed server left, and nothing else", (t) => {
  const dataDir = mkdtempSync(join(tmpdir(), "athanor-sockets-"));
  t.after(() => rmSync(dataDir, { recursive: true, force: true }));

  const killed = makeSocketFolder(dataDir);
  writeFileSync(killed.address, "");
  const next = makeSocketFolder(dataDir);
  assert.equal(existsSync(dirname(killed.address)), false);
  assert.equal(existsSync(dirname(next.address)), true);
  next.remove();
  assert.equal(existsSync(dirname(next.address)), false);
  next.remove();

  const others = join(dataDir, "athanor-others");
  mkdirSync(others);
  writeFileSync(join(others, "kept"), "");
  writeFileSync(join(dataDir, "socket-folder"), `${others}\n`);
  makeSocketFolder(dataDir).remove();
  assert.equal(existsSync(join(others, "kept")), true);
});
