import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { findOldNode, ROOT } from "../pack/stranger.ts";

test("npm run quickstart, under an older Node where there is one, reads the page and leaves nothing running", async () => {
  const old = await findOldNode();
  const node = old?.node ?? process.execPath;
  const { status, output } = await run(node, ["scripts/bootstrap.mjs", "quickstart"]);
  assert.equal(status, 0, output);
  assert.doesNotMatch(output, /Installing/, "everything is installed, as this test runs");
  for (const line of readFileSync(path.join(ROOT, "examples/reader/page.txt"), "utf8").split("\n")) {
    assert.ok(output.includes(line), `${line}\nis missing in\n${output}`);
  }
  const events = ["job.queued", "job.running", "job.progress", "job.result", "job.end"].map((event) =>
    output.indexOf(event),
  );
  assert.ok(!events.includes(-1), output);
  assert.deepEqual(
    events,
    events.toSorted((a, b) => a - b),
  );
  assert.match(output, /npx athanor up/);
});

test("npm run quickstart -- --keep leaves the server up and says how to stop it", async (t) => {
  if (isKeptServerUp()) return t.skip("a server kept by an earlier quickstart is up");
  const { status, output } = await run(process.execPath, ["scripts/quickstart.ts", "--keep"]);
  const pid = Number(/^Stop it with: kill (\d+)$/m.exec(output)?.[1]);
  try {
    assert.equal(status, 0, output);
    const url = /^ {2}(http:\S+)\/reader\/docs/m.exec(output)?.[1];
    const response = await fetch(`${url}/reader/openapi.json`);
    assert.equal(response.status, 200);
  } finally {
    if (pid > 0) process.kill(pid, "SIGTERM");
  }
});

async function run(node: string, args: string[]): Promise<{ status: number | null; output: string }> {
  const child = spawn(node, args, { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  const [status] = (await once(child, "close")) as [number | null];
  return { status, output };
}

function isKeptServerUp(): boolean {
  try {
    const { pid } = JSON.parse(readFileSync(path.join(ROOT, ".athanor/quickstart/server.json"), "utf8")) as {
      pid: number;
    };
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
