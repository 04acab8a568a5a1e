import assert from "node:assert/strict";
import { existsSync, readdirSync, statSync } from "node:fs";
import { describe, it } from "node:test";
import type { Engine, ReplicaProcess, StartRequest } from "../../src/engines/engine.ts";

/** An engine under test, whose replicas run a small program that the suite commands through the environment. */
export interface EngineUnderTest extends AsyncDisposable {
  engine: Engine;
  /** Resolves when the replica's program has said HELLO with this token. */
  hello(token: string): Promise<void>;
  /** Has the program run a piece of JavaScript; resolves with what it sends back by `reply(value)`. */
  run(token: string, code: string): Promise<unknown>;
}

/** What any engine must do. `make` gives a fresh engine that is not started. */
export function engineConformance(name: string, make: () => Promise<EngineUnderTest>): void {
  const withEngine = async (body: (p: EngineUnderTest) => Promise<void>) => {
    await using made = await make();
    await made.engine.start();
    await body(made);
  };
  const start = async (made: EngineUnderTest, p: Partial<StartRequest> = {}): Promise<ReplicaProcess> => {
    const replica = await made.engine.startReplica({ replicaId: "replicas:1", memoryMb: 512, env: {}, ...p });
    await made.hello(replica.token);
    return replica;
  };

  describe(`the ${name} engine`, { timeout: 120_000 }, () => {
    it("starts and stops replicas, as often as it is told to", () =>
      withEngine(async (made) => {
        const replica = await start(made);
        assert.equal(replica.replicaId, "replicas:1");
        assert.ok(made.engine.list().includes(replica));
        const [exit, again] = await Promise.all([replica.stop({ graceMs: 5000 }), replica.stop({ graceMs: 5000 })]);
        assert.equal(exit.reason, "stopped");
        assert.equal(again, exit);
        assert.equal(await replica.stop({ graceMs: 0 }), exit);
        assert.ok(!made.engine.list().includes(replica));
        await made.engine.start();
        await start(made);
      }));

    it("gives each replica a token of its own", () =>
      withEngine(async (made) => {
        const [one, two] = await Promise.all([start(made), start(made, { replicaId: "replicas:2" })]);
        assert.notEqual(one.token, two.token);
        assert.ok(one.token.length >= 43);
        assert.notEqual(one.workDir, two.workDir);
      }));

    it("gives a folder that is private, empty, and gone at the end", () =>
      withEngine(async (made) => {
        const replica = await start(made);
        assert.equal(statSync(replica.workDir).mode & 0o777, 0o700);
        assert.deepEqual(readdirSync(replica.workDir), []);
        await made.run(
          replica.token,
          `fs.writeFileSync("left.txt", "x"); fs.mkdirSync("a/b", { recursive: true }); reply(1)`,
        );
        assert.deepEqual(readdirSync(replica.workDir).sort(), ["a", "left.txt"]);
        await replica.stop({ graceMs: 0 });
        assert.ok(!existsSync(replica.workDir));
      }));

    it("passes on declared variables and what any process needs, nothing else", () =>
      withEngine(async (made) => {
        process.env.SERVER_SECRET = "do not pass on";
        const replica = await start(made, { env: { DECLARED: "yes" } });
        delete process.env.SERVER_SECRET;
        assert.equal(replica.env.DECLARED, "yes");
        const own = (await made.run(replica.token, "reply(process.env)")) as Record<string, string>;
        for (const key of Object.keys({ ...own, ...replica.env }))
          assert.match(key, /^(PATH|HOME|TMPDIR|LANG|TZ|DECLARED|ATHANOR_REPLICA_(TOKEN|ADDRESS))$/);
        const args = await made.run(replica.token, "reply([process.argv, process.execArgv, process.title])");
        assert.ok(!JSON.stringify(args).includes(replica.token));
      }));

    it("tells why a replica ended: its code, its signal, its last words", () =>
      withEngine(async (made) => {
        const leaving = await start(made);
        const code = `for (let i = 1; i <= 30; i++) console.error("line " + i); process.exitCode = 3; process.exit()`;
        void made.run(leaving.token, code).catch(() => {});
        const exit = await leaving.exited;
        assert.deepEqual([exit.code, exit.signal, exit.reason], [3, null, "self"]);
        assert.equal(exit.lastStderr.length, 20);
        assert.equal(exit.lastStderr.at(-1), "line 30");
        const killed = await start(made);
        void made.run(killed.token, `process.kill(process.pid, "SIGSEGV")`).catch(() => {});
        assert.deepEqual([(await killed.exited).signal, (await killed.exited).reason], ["SIGSEGV", "self"]);
      }));

    it("hands on what is written straight to the file descriptors, line by line and no longer than a line may be", () =>
      withEngine(async (made) => {
        const replica = await start(made);
        const lines: string[] = [];
        const last = Promise.withResolvers<void>();
        replica.onLine((stream, line) => {
          lines.push(`${stream} ${line.length} ${line.slice(0, 5)}`);
          if (line === "last") last.resolve();
        });
        await made.run(
          replica.token,
          `fs.writeSync(1, "one\\ntw"); fs.writeSync(1, "o\\n" + "x".repeat(40000) + "\\nlast\\n"); reply(1)`,
        );
        await last.promise;
        assert.deepEqual(
          lines.filter((_, i) => i !== 2),
          ["stdout 3 one", "stdout 3 two", "stdout 4 last"],
        );
        assert.match(lines[2] ?? "", /^stdout 164\d\d xxxxx$/);
      }));

    it("holds a replica and what it starts to its memory", () =>
      withEngine(async (made) => {
        if (!made.engine.capabilities.memoryLimit) return;
        const grow = "const held = []; setInterval(() => held.push(Buffer.alloc(8e6, 1)), 5)";
        const alone = await start(made, { memoryMb: 150 });
        await made.run(alone.token, `${grow}; reply(1)`);
        const exit = await alone.exited;
        assert.equal(exit.reason, "memory");
        assert.ok((exit.memoryMb ?? 0) > 150);
        const parent = await start(made, { memoryMb: 200 });
        await made.run(
          parent.token,
          `child_process.spawn(process.execPath, ["-e", ${JSON.stringify(grow)}]); reply(1)`,
        );
        assert.equal((await parent.exited).reason, "memory");
      }));

    it("leaves nothing of what a replica has started, not even what left its group", () =>
      withEngine(async (made) => {
        for (const detached of [false, true]) {
          const replica = await start(made);
          const options = `{ detached: ${detached}, stdio: "ignore" }`;
          const child = await made.run(
            replica.token,
            `const child = child_process.spawn("/bin/sh", ["-c", "sleep 1000 & echo $!; wait"], { ...${options}, stdio: ["ignore", "pipe", "ignore"] });
             child.stdout.once("data", (text) => reply([child.pid, Number(text)]))`,
          );
          const pids = child as number[];
          assert.ok(pids.every(isAlive));
          await replica.stop({ graceMs: 0 });
          assert.ok(!pids.some(isAlive), `alive: ${pids.filter(isAlive)}`);
        }
      }));

    it("kills after the grace what does not heed the wish to stop", () =>
      withEngine(async (made) => {
        const replica = await start(made);
        await made.run(replica.token, `process.on("SIGTERM", () => {}); reply(1)`);
        const exit = await replica.stop({ graceMs: 100 });
        assert.deepEqual([exit.signal, exit.reason], ["SIGKILL", "stopped"]);
      }));

    it("takes all replicas along when it is disposed of", async () => {
      const made = await make();
      await made.engine.start();
      const replica = await start(made);
      await made[Symbol.asyncDispose]();
      assert.equal((await replica.exited).reason, "stopped");
      assert.deepEqual(made.engine.list(), []);
      if (replica.pid !== null) assert.ok(!isAlive(replica.pid));
    });
  });
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  return !isZombie(pid);
}

/** Ended, and waiting for a parent that may never ask. */
function isZombie(pid: number): boolean {
  try {
    return /^State:\s+Z/m.test(process.getBuiltinModule("node:fs").readFileSync(`/proc/${pid}/status`, "latin1"));
  } catch {
    return false;
  }
}
