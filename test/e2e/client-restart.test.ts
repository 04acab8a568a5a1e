/** A client through the death of its server: `kill -9`, and a new one on the same data folder and port. */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Client } from "../../src/sdk/client/index.ts";
import { ServerProcess } from "../harness/server.ts";
import * as lab from "./client-app.ts";

test("watching and waiting go on through a killed server, with no event lost or doubled", async () => {
  const folder = await mkdtemp(join(tmpdir(), "athanor-restart-"));
  const dataDir = join(folder, "data");
  const tempDir = join(folder, "tmp");
  await mkdir(tempDir);
  try {
    const first = await ServerProcess.start({ dataDir, tempDir });
    const second = await killedInTheMiddle(first, dataDir, tempDir);
    await second.stop();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

async function killedInTheMiddle(first: ServerProcess, dataDir: string, tempDir: string): Promise<ServerProcess> {
  await using undo = new AsyncDisposableStack();
  undo.use(first);
  const { url, token } = first;
  await lab.app.deploy({ url, token });
  const job = await new Client({ url, token }).app<typeof lab>("lab").lines.spawn(400);
  const result = job.result();
  // Its answer waits for the end, and so is broken off with the server.
  const remote = new Client({ url, token }).app<typeof lab>("lab").lines.remote(10);
  // Looked at below; until then its failure is no unhandled one.
  for (const waiting of [result, remote]) waiting.catch(() => {});
  let second: ServerProcess | null = null;
  const ids: number[] = [];
  const kinds: string[] = [];
  for await (const event of job.watch()) {
    ids.push(event.id);
    kinds.push(event.event);
    if (second || event.event !== "job.log" || event.data.line !== "line 50") continue;
    await first.kill();
    second = undo.use(await ServerProcess.start({ dataDir, tempDir, args: ["--port", new URL(url).port] }));
  }
  assert.ok(second);
  assert.equal(await result, 400);
  assert.equal(await remote, 10);
  assert.deepEqual(
    ids,
    ids.map((_, index) => index + 1),
  );
  assert.equal(kinds.at(-1), "job.end");
  assert.equal(kinds.filter((kind) => kind === "job.running").length, 2, "the job was started again");
  assert.equal(kinds.filter((kind) => kind === "job.result").length, 1);
  undo.move();
  return second;
}
