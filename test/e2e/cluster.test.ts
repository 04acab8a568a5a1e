import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { build } from "../../src/build/index.ts";
import { digestUpload } from "../../src/protocol/digest.ts";
import type { JobEvent } from "../../src/protocol/event.ts";
import type { DeploymentUpload } from "../../src/protocol/spec.ts";
import { postgresMissing, TestPostgres } from "../harness/postgres.ts";
import { ServerProcess } from "../harness/server.ts";
import { CliRun } from "./cli-process.ts";

const PATIENCE_MS = 60_000;

/** Waits until it is so; what is waited for must come, however late. */
async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = performance.now() + PATIENCE_MS; !(await condition()); ) {
    if (performance.now() > end) assert.fail(`in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

/** Servers of one database, each with its own data folder, and with a blob folder that they share. */
class Cluster implements AsyncDisposable {
  readonly postgres: TestPostgres;
  readonly dir: string;
  readonly servers: ServerProcess[] = [];

  private constructor(postgres: TestPostgres, dir: string) {
    this.postgres = postgres;
    this.dir = dir;
  }

  static async start(count: number): Promise<Cluster> {
    const dir = await mkdtemp(join(tmpdir(), "athanor-cluster-"));
    const cluster = new Cluster(await TestPostgres.start(), dir);
    await Promise.all(Array.from({ length: count }, () => cluster.add()));
    return cluster;
  }

  async add(args: string[] = []): Promise<ServerProcess> {
    const dataDir = await mkdtemp(join(this.dir, "data-"));
    const server = await ServerProcess.start({
      dataDir,
      tempDir: this.dir,
      env: { ATHANOR_STORE: this.postgres.url(), ATHANOR_BLOBS: join(this.dir, "blobs") },
      args,
    });
    this.servers.push(server);
    return server;
  }

  /** Those that run. */
  get running(): ServerProcess[] {
    return this.servers.filter((server) => server.running);
  }

  /** The running server whose replica is the process. */
  async serverOf(pid: number): Promise<ServerProcess> {
    for (const server of this.running)
      if ((await server.api.replicas()).some((replica) => replica.pid === pid)) return server;
    throw new Error(`no server has the replica with pid ${pid}`);
  }

  other(than: ServerProcess): ServerProcess {
    const other = this.running.find((server) => server !== than);
    if (other === undefined) throw new Error("there is no other server");
    return other;
  }

  /** The app is served by all. */
  async deployed(upload: DeploymentUpload, by: ServerProcess): Promise<void> {
    await by.api.deploy(upload);
    await until("every server serves the deployment", async () => {
      const digests = await Promise.all(
        this.running.map(async ({ api }) => (await api.fetch("/cluster/version")).text()),
      );
      return digests.every((text) => upload.bundle.includes(text.replaceAll('"', "")) && text.includes("version"));
    });
  }

  async file(name: string): Promise<string> {
    await mkdir(this.dir, { recursive: true });
    return join(this.dir, name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.servers.map((server) => server.kill()));
    await this.postgres[Symbol.asyncDispose]();
    await rm(this.dir, { recursive: true, force: true });
  }
}

const ids = (events: JobEvent[]): number[] => events.map(({ id }) => id);
const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);
const countOf = (events: JobEvent[], name: JobEvent["event"]): number =>
  events.filter(({ event }) => event === name).length;

async function lines(path: string): Promise<string[]> {
  return existsSync(path) ? (await readFile(path, "utf8")).trim().split("\n") : [];
}

/** A job that holds on, once its attempt runs: who runs it, and what lets it go. */
async function held(cluster: Cluster, name: string, from: ServerProcess) {
  const [log, open] = [await cluster.file(`${name}.log`), await cluster.file(`${name}.open`)];
  const { job_id: id } = await from.api.spawn("cluster", "hold", { args: [log, open] });
  const attempt = async (n: number): Promise<number> => {
    let pid = Number.NaN;
    await until(`attempt ${n} of ${name}`, async () => {
      const line = (await lines(log)).find((each) => each.startsWith(`${n} `) && !each.endsWith("done"));
      pid = Number(line?.split(" ")[1]);
      return line !== undefined;
    });
    return pid;
  };
  return { id, log, attempt, open: () => writeFile(open, "") };
}

describe("several servers on one database", { skip: postgresMissing() }, () => {
  let cluster: Cluster;
  let upload: DeploymentUpload;

  before(async () => {
    upload = await build({ entry: join(import.meta.dirname, "apps/cluster.ts") });
    cluster = await Cluster.start(3);
    await cluster.deployed(upload, cluster.running[0] as ServerProcess);
  });
  after(() => cluster?.[Symbol.asyncDispose]());

  it("have one token, and a link that one of them gave opens on all", async () => {
    const tokens = new Set(cluster.running.map(({ token }) => token));
    assert.equal(tokens.size, 1);
    const [a, b] = cluster.running as [ServerProcess, ServerProcess];
    const response = await fetch(new URL("/cluster/version", a.url), { headers: { prefer: "respond-async" } });
    assert.equal(response.status, 202);
    const { job_id, links } = (await response.json()) as { job_id: string; links: { result: string } };
    await b.api.end(job_id);
    const { pathname, search } = new URL(links.result, a.url);
    assert.match(search, /key=/);
    assert.equal((await fetch(new URL(pathname + search, b.url))).status, 200);
    assert.equal((await fetch(new URL(pathname, b.url))).status, 401);
  });

  it("share the jobs that one of them was given", async () => {
    const dir = await mkdtemp(join(cluster.dir, "together-"));
    const [a] = cluster.running as [ServerProcess];
    const jobs = await Promise.all(upTo(3).map(() => a.api.spawn("cluster", "together", { args: [dir, 3] })));
    const ended = await Promise.all(jobs.map(({ job_id }) => a.api.end(job_id)));
    assert.deepEqual(
      ended.map(({ status }) => status),
      ["succeeded", "succeeded", "succeeded"],
    );
    const ran = await Promise.all(ended.map(({ result }) => cluster.serverOf(Number(result))));
    assert.equal(new Set(ran).size, 3);
  });

  it("show a job's events to watchers of any, without a gap or a double", async () => {
    const [a] = cluster.running as [ServerProcess];
    const jobs = await Promise.all(upTo(6).map(() => a.api.spawn("cluster", "count-to", { args: [50] })));
    const watched = await Promise.all(
      cluster.running.flatMap(({ api }) => jobs.map(({ job_id }) => api.events(job_id))),
    );
    for (const events of watched) {
      assert.deepEqual(ids(events), upTo(events.length));
      assert.equal(countOf(events, "job.chunk"), 50);
      assert.equal(events.at(-1)?.event, "job.end");
    }
  });

  it("read large results from the folder that they share", async () => {
    const [a, b, c] = cluster.running as [ServerProcess, ServerProcess, ServerProcess];
    const { job_id } = await a.api.spawn("cluster", "large", { args: ["x"] });
    for (const { api } of [a, b, c]) assert.equal(String((await api.end(job_id)).result).length, 400_000);
  });

  it("stop a job that runs on another", async () => {
    const [a] = cluster.running as [ServerProcess];
    const job = await held(cluster, "cancelled", a);
    const pid = await job.attempt(1);
    await cluster.other(await cluster.serverOf(pid)).api.cancel(job.id);
    assert.equal((await a.api.end(job.id)).status, "cancelled");
    await until("the code is gone", () => !isAlive(pid));
  });

  it("all serve what is deployed on one, and nothing of an app that is deleted on one", async () => {
    const [a, b, c] = cluster.running as [ServerProcess, ServerProcess, ServerProcess];
    const next = { ...upload, bundle: upload.bundle.replaceAll("version-1", "version-2") };
    await cluster.deployed({ ...next, digest: digestUpload(next) }, b);
    assert.equal((await c.api.fetch("/v1/apps/cluster", { method: "DELETE" })).status, 204);
    await until("no server serves the app", async () => {
      const all = await Promise.all([a, b, c].map(({ api }) => api.fetch("/cluster/version")));
      return all.every(({ status }) => status === 404);
    });
    await cluster.deployed(upload, c);
  });

  it("serve an app that is new on one of them at once, by the gateway and the API", async () => {
    const [a, b, c] = cluster.running as [ServerProcess, ServerProcess, ServerProcess];
    assert.equal((await b.api.fetch("/other/version")).status, 404);
    assert.equal((await c.api.fetch("/v1/apps/other")).status, 404);
    await a.api.deploy(await build({ entry: join(import.meta.dirname, "apps/other.ts") }));
    const answers = [b.api.fetch("/other/version"), c.api.fetch("/v1/apps/other"), b.api.fetch("/other/none")];
    assert.deepEqual(
      (await Promise.all(answers)).map(({ status }) => status),
      [200, 200, 404],
    );
    assert.equal((await c.api.run("other", "keep", { args: ["four"] })).result, 4);
    assert.equal((await a.api.fetch("/v1/apps/other", { method: "DELETE" })).status, 204);
  });

  it("switch each between ready replicas: no request fails on any while one of them deploys", async () => {
    const { running } = cluster;
    const [a] = running as [ServerProcess];
    let deploying = true;
    const failures: string[] = [];
    const ask = async ({ api }: ServerProcess): Promise<void> => {
      while (deploying) {
        const response = await api.fetch("/cluster/version");
        const text = await response.text();
        if (response.status !== 200 || !/^"version-\d+"$/.test(text)) failures.push(`${response.status} ${text}`);
      }
    };
    const asking = running.map(ask);
    try {
      for (let version = 10; version < 14; version++) {
        const next = { ...upload, bundle: upload.bundle.replaceAll("version-1", `version-${version}`) };
        await cluster.deployed({ ...next, digest: digestUpload(next) }, a);
        for (const { api } of running) {
          const ready = (await api.replicas()).filter(
            ({ functions, status }) => status === "ready" && functions.includes("version"),
          );
          assert.ok(ready.length > 0);
        }
      }
      await cluster.deployed(upload, a);
    } finally {
      deploying = false;
      await Promise.all(asking);
    }
    assert.deepEqual(failures, []);
  });

  it("are looked at by doctor, which says what the database is, and repeats no password", async () => {
    const [a] = cluster.running as [ServerProcess];
    const store = cluster.postgres.url({ password: "geheim" });
    await using run = new CliRun(["doctor", "--url", a.url, "--token", a.token], { env: { ATHANOR_STORE: store } });
    const { stdout, stderr } = await run.ended;
    assert.match(stdout, /ok +store +PostgreSQL \d+.*read in .* ms, 3 servers.*: nothing wrong/);
    // The tests' database does not wait for its disk.
    assert.match(stdout, /WRONG +database +PostgreSQL \d+.*fsync is off/);
    await using other = new CliRun(["doctor", "--url", a.url], { env: { ATHANOR_STORE: `${store}x` } });
    const missing = await other.ended;
    assert.match(missing.stdout, /WRONG +database .*postgresx/);
    for (const text of [stdout, stderr, missing.stdout, missing.stderr]) assert.doesNotMatch(text, /geheim/);
  });

  it("refuse one that has other files, and say what to do", async () => {
    await assert.rejects(cluster.add(["--blobs", join(cluster.dir, "other-blobs")]), /blobs_not_shared/);
  });

  it("run a killed server's jobs on the others", async () => {
    const [a] = cluster.running as [ServerProcess];
    const job = await held(cluster, "killed", a);
    const killed = await cluster.serverOf(await job.attempt(1));
    await killed.kill();
    const again = await cluster.serverOf(await job.attempt(2));
    assert.notEqual(again, killed);
    await job.open();
    const { api } = cluster.other(again);
    const ended = await api.end(job.id);
    assert.deepEqual([ended.status, ended.result], ["succeeded", 2]);
    const events = await api.events(job.id);
    assert.deepEqual(ids(events), upTo(events.length));
    assert.equal(countOf(events, "job.result"), 1);
    await cluster.add();
  });

  it("take the jobs of one that was stopped past its lease; what it then writes is refused, and its replicas are gone", async () => {
    const [a] = cluster.running as [ServerProcess];
    const job = await held(cluster, "frozen", a);
    const first = await job.attempt(1);
    const frozen = await cluster.serverOf(first);
    process.kill(frozen.pid, "SIGSTOP");
    try {
      await job.attempt(2);
      // Both attempts end; the first's end reaches its server when that goes on.
      await job.open();
      await until("the first attempt is done", async () => (await lines(job.log)).includes("1 done"));
    } finally {
      process.kill(frozen.pid, "SIGCONT");
    }
    for (const { api } of cluster.running) {
      const ended = await api.end(job.id);
      assert.deepEqual([ended.status, ended.result], ["succeeded", 2]);
    }
    const events = await frozen.api.events(job.id);
    assert.deepEqual(ids(events), upTo(events.length));
    assert.deepEqual([countOf(events, "job.result"), countOf(events, "job.end")], [1, 1]);
    await until("the replica of the lost attempt is gone", () => !isAlive(first));
    await until("it is ready again", async () => (await frozen.api.fetch("/readyz")).status === 200);
    assert.equal((await frozen.api.run("cluster", "count-to", { args: [1] })).status, "succeeded");
  });

  it("hand over when one is stopped in order", async () => {
    const [a] = cluster.running as [ServerProcess];
    const job = await held(cluster, "handed-over", a);
    const stopped = await cluster.serverOf(await job.attempt(1));
    assert.equal(await stopped.stop(), 0);
    assert.notEqual(await cluster.serverOf(await job.attempt(2)), stopped);
    await job.open();
    assert.equal((await cluster.other(stopped).api.end(job.id)).result, 2);
    const { api } = await cluster.add();
    assert.equal((await api.run("cluster", "count-to", { args: [1] })).status, "succeeded");
  });

  it("wait for a database that restarts, and nothing fails", async () => {
    const { running } = cluster;
    const spawned = await Promise.all(
      upTo(30).map((n) => (running[n % 3] as ServerProcess).api.spawn("cluster", "count-to", { args: [40] })),
    );
    await cluster.postgres.stop();
    const late = running.map(({ api }) => api.spawn("cluster", "count-to", { args: [1] }));
    await cluster.postgres.start();
    const jobs = [...spawned, ...(await Promise.all(late))];
    for (const { job_id } of jobs) {
      const { status, error } = await (running[0] as ServerProcess).api.end(job_id);
      assert.deepEqual([status, error], ["succeeded", null]);
    }
    for (const { api } of running)
      await until("the server is ready", async () => (await api.fetch("/readyz")).status === 200);
    const problems = await (running[0] as ServerProcess).api.json("GET", "/v1/server/check");
    assert.deepEqual(problems, { problems: [] });
  });

  it("give up what runs when the database is away for longer than their lease, and run it again when it is back", async () => {
    const [a] = cluster.running as [ServerProcess];
    const job = await held(cluster, "cut off", a);
    const first = await job.attempt(1);
    await cluster.postgres.kill();
    await until("the first attempt is killed", () => !isAlive(first));
    for (const { api } of cluster.running)
      await until("it says that it is not ready", async () => (await api.fetch("/readyz")).status === 503);
    assert.equal((await a.api.fetch("/healthz")).status, 200);
    await cluster.postgres.start();
    await job.attempt(2);
    await job.open();
    const ended = await a.api.end(job.id);
    assert.deepEqual([ended.status, ended.result], ["succeeded", 2]);
    assert.deepEqual(await a.api.json("GET", "/v1/server/check"), { problems: [] });
  });
});
