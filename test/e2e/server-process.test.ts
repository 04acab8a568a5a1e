/** A server as a process: what its token and address may be, what it leaves when it stops, and when it is killed. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { build } from "../../src/build/index.ts";
import type { DeploymentUpload } from "../../src/protocol/spec.ts";
import { processesWithMark } from "../faults/processes.ts";
import { Api } from "../harness/api.ts";
import { ServerProcess } from "../harness/server.ts";
import { CliRun, temporaryFolder } from "./cli-process.ts";

/** What a killed server's replicas may outlive it by. */
const ORPHAN_LIMIT_MS = 5000;

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let upload: DeploymentUpload;

before(async () => {
  folder = await temporaryFolder();
  upload = await build({ entry: join(import.meta.dirname, "apps/process.ts") });
});
after(() => folder?.[Symbol.asyncDispose]());

/** Starts a server as a user does, and resolves with its API. */
async function up(name: string, args: string[] = [], env: Record<string, string> = {}) {
  const data = join(folder.path, name);
  const run = new CliRun(["up", "--port", "0", "--data", data, "--log-level", "silent", ...args], { env });
  const url = (await run.until("stdout", /Athanor is up at (http:\S+)/))[1] ?? "";
  const token = env.ATHANOR_TOKEN ?? (await readFile(join(data, "token"), "utf8")).trim();
  return { run, data, api: new Api(url, token) };
}

describe("a server that is stopped", () => {
  it("lets what runs come to its end, takes nothing new, and leaves with 0", async () => {
    const { run, api, data } = await up("stop");
    await using _ = run;
    await api.deploy(upload);
    const [go, started] = [join(folder.path, "go"), join(folder.path, "started")];
    const job = await api.spawn("process", "holds", { args: [go] });
    const waiting = await api.spawn("process", "holds", { args: [go] });
    await api.events(job.job_id, { enough: ({ event }) => event === "job.log" });
    const call = api.fetch("/process/holds", {
      method: "POST",
      body: JSON.stringify({ path: go, started }),
      headers: { "content-type": "application/json" },
    });
    while (!existsSync(started)) await new Promise((resolve) => setTimeout(resolve, 10));

    run.signal("SIGTERM");
    await run.until("stderr", /^Stopping: /m);
    const refused = await api.fetch("/process/holds", { method: "POST" }).then(
      ({ status }) => status,
      () => "no connection",
    );
    assert.ok(refused === 503 || refused === "no connection", String(refused));
    await writeFile(go, "");
    const answer = await call;
    assert.deepEqual([answer.status, await answer.json()], [200, "held"]);
    const { status, stderr } = await run.ended;
    assert.equal(status, 0, stderr);

    const again = await up("stop");
    await using __ = again.run;
    assert.equal(again.data, data);
    const held = await again.api.job(job.job_id);
    assert.deepEqual([held.status, held.result, held.attempt], ["succeeded", "held", 1]);
    assert.equal((await again.api.end(waiting.job_id)).result, "held", "what was queued runs afterwards");
  });
});

describe("a server that is killed", {
  skip: process.platform === "linux" ? false : "needs /proc to find what was left running",
}, () => {
  it("takes along replicas that never yield and heed nothing, and what they started", async () => {
    const tempDir = join(folder.path, "marked");
    await mkdir(tempDir);
    await using server = await ServerProcess.start({ dataDir: join(tempDir, "data"), tempDir });
    await server.api.deploy(upload);
    const spinning = join(folder.path, "spinning");
    await server.api.spawn("process", "stubborn", { args: [spinning] });
    while (!existsSync(spinning)) await new Promise((resolve) => setTimeout(resolve, 10));
    // The server, its reaper, a blank, the replica and its three.
    const commands = (await processesWithMark(tempDir)).map(({ command }) => command);
    assert.ok(
      commands.some((command) => command.includes("sleep 600")),
      commands.join("\n"),
    );
    assert.ok(
      commands.some((command) => command.includes("while :")),
      commands.join("\n"),
    );
    await server.kill();
    const until = performance.now() + ORPHAN_LIMIT_MS;
    let left = await processesWithMark(tempDir);
    while (left.length > 0 && performance.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      left = await processesWithMark(tempDir);
    }
    for (const { pid } of left) process.kill(pid, "SIGKILL");
    assert.deepEqual(left, []);
  });
});

describe("the token", () => {
  it("is written at the first start for its owner alone, and /v1 needs it", async () => {
    const { run, api, data } = await up("token");
    await using _ = run;
    assert.equal((await stat(join(data, "token"))).mode & 0o777, 0o600);
    assert.ok(api.token.length >= 32);
    assert.equal((await fetch(`${api.url}/v1/jobs`)).status, 401);
    assert.equal((await api.fetch("/v1/jobs")).status, 200);
    // The CLI of the same machine finds it, and the server too.
    const listed = await new CliRun(["app", "list"], { env: { ATHANOR_DATA: data } }).ended;
    assert.equal(listed.status, 0, listed.stderr);
  });

  it("must have been given by somebody where other machines can reach the server", async () => {
    const args = ["up", "--port", "0", "--host", "0.0.0.0", "--log-level", "silent"];
    const data = join(folder.path, "open");
    const refused = await new CliRun([...args, "--data", data, "--json"], { env: {} }).ended;
    assert.equal(refused.status, 1);
    assert.equal(refused.stdout, "");
    assert.equal(JSON.parse(refused.stderr.trim().split("\n").at(-1) ?? "").code, "no_token");
    const given = "given-by-somebody-0123456789";
    const { run, api } = await up("open", ["--host", "0.0.0.0"], { ATHANOR_TOKEN: given });
    await using _ = run;
    assert.equal((await api.fetch("/v1/jobs")).status, 200);
    assert.ok(!existsSync(join(data, "token")), "it stays where it was given");
  });
});
