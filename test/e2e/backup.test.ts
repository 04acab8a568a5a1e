import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { build } from "../../src/build/index.ts";
import { ServerProcess } from "../harness/server.ts";
import { CliRun, temporaryFolder } from "./cli-process.ts";

const athanor = async (...args: string[]): Promise<Record<string, unknown>> => {
  await using run = new CliRun([...args, "--json"], { env: {} });
  const { status, stdout, stderr } = await run.ended;
  assert.equal(status, 0, `${stdout}\n${stderr}`);
  return JSON.parse(stdout) as Record<string, unknown>;
};

/** A job that was acknowledged, and what its result is. */
interface Acknowledged {
  id: string;
  result: string;
}

/** Calls without end, each with a result in the blob folder, until it is told to stop. */
class Load {
  readonly acknowledged: Acknowledged[] = [];
  #stopped = false;
  readonly #senders: Promise<void>[];

  constructor(server: ServerProcess) {
    this.#senders = ["a", "b", "c"].map((sender) => this.#send(server, sender));
  }

  async until(count: number): Promise<void> {
    while (this.acknowledged.length < count) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#senders);
  }

  async #send({ api }: ServerProcess, sender: string): Promise<void> {
    for (let i = 0; !this.#stopped; i++) {
      const fill = `${sender}${i}.`;
      const { job_id: id } = await api.spawn("cluster", "large", { args: [fill] });
      this.acknowledged.push({ id, result: fill });
    }
  }
}

describe("a backup of a server under load", () => {
  it("restores to one that has every job acknowledged before, runs its apps, and honours its tokens and links", async () => {
    await using folder = await temporaryFolder();
    const [dataDir, restored, file] = ["data", "restored", "backup.tar.gz"].map((name) => join(folder.path, name)) as [
      string,
      string,
      string,
    ];
    const upload = await build({ entry: join(import.meta.dirname, "apps/cluster.ts") });
    await using server = await ServerProcess.start({ dataDir, tempDir: folder.path });
    await server.api.deploy(upload);
    const load = new Load(server);
    await load.until(20);
    const before = [...load.acknowledged];
    const report = await athanor("backup", file, "--data", dataDir);
    assert.deepEqual(report.problems, []);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    await load.until(load.acknowledged.length + 5);
    await load.stop();
    const links = (await server.api.job((before[0] as Acknowledged).id)).links;
    await server.kill();

    const { problems } = await athanor("restore", file, "--data", restored);
    assert.deepEqual(problems, []);
    await using again = await ServerProcess.start({ dataDir: restored, tempDir: folder.path });
    assert.equal(again.token, server.token);
    assert.equal(await (await fetch(new URL("/cluster/version", again.url))).json(), "version-1");
    for (const { id, result } of before) {
      const job = await again.api.end(id);
      assert.equal(job.status, "succeeded");
      assert.equal(job.result, result.repeat(400_000));
    }
    const { pathname, search } = new URL(links.result, server.url);
    const answer = await again.api.fetch(pathname + search);
    assert.equal(answer.status, 200);
    await answer.body?.cancel();
    assert.deepEqual(await again.api.json("GET", "/v1/server/check"), { problems: [] });
    assert.equal(await again.stop(), 0);
  });

  it("says what to do where it cannot be made or restored", async () => {
    await using folder = await temporaryFolder();
    for (const [args, pattern] of [
      [
        ["backup", join(folder.path, "x.tar.gz"), "--data", folder.path],
        /there is no athanor.db .*\n {2}Next: .*--data/,
      ],
      [["restore", join(folder.path, "none"), "--data", join(folder.path, "d")], /none cannot be read/],
    ] as const) {
      await using run = new CliRun([...args], { env: {} });
      const { status, stderr } = await run.ended;
      assert.equal(status, 2, stderr);
      assert.match(stderr, pattern);
    }
  });
});
