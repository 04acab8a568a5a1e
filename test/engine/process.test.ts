import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { engineConformance, isAlive } from "./conformance.ts";
import { makeProcessEngine } from "./process.ts";

engineConformance("process", () => makeProcessEngine());

/** Waits for the processes' end; gives up after what a user would call for ever. */
async function allGone(pids: number[]): Promise<boolean> {
  for (let tries = 0; tries < 500; tries++) {
    if (!pids.some(isAlive)) return true;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return false;
}

describe("the process engine", { timeout: 60_000 }, () => {
  it("keeps a blank ready, and makes another when it is taken", async () => {
    await using made = await makeProcessEngine();
    await made.engine.start();
    const [blank] = made.engine.list();
    assert.ok(blank);
    await made.hello(blank.token);
    const replica = await made.engine.startReplica({ replicaId: "replicas:1", memoryMb: 512, env: {} });
    assert.equal(replica.pid, blank.pid);
    while (made.engine.list().length < 2) await new Promise((resolve) => setTimeout(resolve, 10));
  });

  it("starts a process with a larger heap where memoryMb is beyond V8's own limit", async () => {
    await using made = await makeProcessEngine();
    await made.engine.start();
    const replica = await made.engine.startReplica({ replicaId: "replicas:1", memoryMb: 1_000_000, env: {} });
    assert.deepEqual(await made.run(replica.token, "reply(process.execArgv)"), ["--max-old-space-size=1000000"]);
  });

  it("leaves nothing running when its server is killed", async () => {
    const host = spawn(process.execPath, [join(import.meta.dirname, "fixtures/host.ts")], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const exited = once(host, "exit");
    const [text] = (await once(host.stdout, "data")) as [Buffer];
    const { dir, pids } = JSON.parse(String(text)) as { dir: string; pids: number[] };
    assert.ok(pids.every(isAlive));
    host.kill("SIGKILL");
    await exited;
    assert.ok(await allGone(pids), `still alive: ${pids.filter(isAlive)}`);
    await rm(dir, { recursive: true, force: true });
  });

  it("kills what an earlier server left behind, and no one else", async () => {
    await using made = await makeProcessEngine();
    const workDir = join(made.dir, "replicas", "w-left01");
    mkdirSync(workDir, { recursive: true });
    const start = (home: string) =>
      spawn("/bin/sh", ["-c", "while :; do sleep 1; done"], {
        detached: true,
        stdio: "ignore",
        env: { ...process.env, HOME: home },
      });
    const leftover = start(workDir);
    const stranger = start(made.dir);
    const gone = once(leftover, "exit");
    await made.engine.start();
    assert.deepEqual(await gone, [null, "SIGKILL"]);
    assert.ok(!existsSync(workDir));
    assert.ok(isAlive(stranger.pid as number));
    process.kill(-(stranger.pid as number), "SIGKILL");
    await once(stranger, "exit");
  });

  it("kills a replica that a signal keeps from running, and no other, however long that computes", async () => {
    await using made = await makeProcessEngine({ frozenMs: 300, memoryPollMs: 20 });
    await made.engine.start();
    const start = async (replicaId: string) => {
      const replica = await made.engine.startReplica({ replicaId, memoryMb: 512, env: {} });
      await made.hello(replica.token);
      return replica;
    };
    const [frozen, busy] = [await start("replicas:1"), await start("replicas:2")];
    const code = "const until = Date.now() + 1500; while (Date.now() < until); reply('computed')";
    const computed = made.run(busy.token, code);
    process.kill(frozen.pid as number, "SIGSTOP");
    const exit = await frozen.exited;
    assert.deepEqual([exit.reason, exit.signal], ["frozen", "SIGKILL"]);
    assert.equal(await computed, "computed");
    assert.ok(isAlive(busy.pid as number));
  });

  it("removes every working folder", async () => {
    await using made = await makeProcessEngine({ blankReplicas: 2 });
    await made.engine.start();
    await made.engine.stop();
    assert.deepEqual(readdirSync(join(made.dir, "replicas")), []);
    await made.engine.stop();
    assert.deepEqual(made.engine.list(), []);
  });
});
