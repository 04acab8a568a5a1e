import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { build } from "../../src/build/index.ts";
import { isFinal } from "../../src/protocol/job.ts";
import type { DeploymentUpload } from "../../src/protocol/spec.ts";
import type { JobJson } from "../../src/protocol/wire.ts";
import type { Api } from "../harness/api.ts";
import { ServerProcess } from "../harness/server.ts";
import { type Expected, type FinalJob, type History, violations } from "./history.ts";
import { processesWithMark } from "./processes.ts";

const JOBS = 1000;
const CLIENTS = 8;
const SERVER_KILLS = 5;
const DRAINS = 1;
const REPLICA_KILLS = 12;
const ORPHAN_LIMIT_MS = 5000;
/** Of a job that no client was told of. */
const UNKNOWN_INPUT = -1;
const FUNCTIONS = ["single", "crowded", "flaky", "doomed"] as const;
const fnOf = (input: number): string => FUNCTIONS[input % FUNCTIONS.length] ?? "single";

/** The same seed gives the same plan of jobs and faults: ATHANOR_FAULT_SEED=N replays it, as far as the machine's timing allows. */
const seed = Number(process.env.ATHANOR_FAULT_SEED ?? Math.floor(Math.random() * 1e9));

/** mulberry32 */
function random(start: number): () => number {
  let state = start | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

type Fault = "kill server" | "drain server" | "kill replica";

/** At which number of sent jobs each fault strikes. */
function planFaults(next: () => number): Map<number, Fault[]> {
  const plan = new Map<number, Fault[]>();
  const kinds: [Fault, number][] = [
    ["kill server", SERVER_KILLS],
    ["drain server", DRAINS],
    ["kill replica", REPLICA_KILLS],
  ];
  for (const [fault, times] of kinds) {
    for (let i = 0; i < times; i++) {
      const at = 20 + Math.floor(next() * (JOBS - 40));
      plan.set(at, [...(plan.get(at) ?? []), fault]);
    }
  }
  return plan;
}

/** As the functions in apps/faults.ts do. */
function expected(input: number): Expected {
  if (fnOf(input) === "doomed") return { status: "failed", result: null };
  return { status: "succeeded", result: { input, square: input * input } };
}

/** One run: clients that send jobs, and faults that strike a server which comes back on the same data folder. */
class Run implements AsyncDisposable {
  readonly history: History = { acknowledged: [], sent: [], observed: [], final: [], orphans: [] };
  readonly #tempDir: string;
  readonly #next: () => number;
  readonly #plan: Map<number, Fault[]>;
  #server: Promise<ServerProcess>;

  private constructor(tempDir: string, server: Promise<ServerProcess>, next: () => number) {
    this.#tempDir = tempDir;
    this.#server = server;
    this.#next = next;
    this.#plan = planFaults(next);
  }

  static async make(upload: DeploymentUpload): Promise<Run> {
    const tempDir = await mkdtemp(join(tmpdir(), "athanor-faults-"));
    await mkdir(join(tempDir, "data"));
    const run = new Run(tempDir, startIn(tempDir), random(seed));
    await (await run.#server).api.deploy(upload);
    return run;
  }

  /** Sends all jobs, with the faults of the plan in between. */
  async send(): Promise<void> {
    let input = 0;
    const client = async (): Promise<void> => {
      while (input < JOBS) {
        const mine = input++;
        for (const fault of this.#plan.get(mine) ?? []) await this.#strike(fault);
        await this.#sendOne(mine);
      }
    };
    await Promise.all(Array.from({ length: CLIENTS }, client));
  }

  /** A client that gets no answer asks again, with the same key: one request must stay one job. */
  async #sendOne(input: number): Promise<void> {
    this.history.sent.push(input);
    const sent = await this.#untilAnswered((api) =>
      api.spawn("faults", fnOf(input), { args: [input] }, `input-${input}`),
    );
    this.history.acknowledged.push({ job: sent.job_id, input });
    // What a client sees on the way must still be true at the end.
    const earlier = this.history.acknowledged[Math.floor(this.#next() * this.history.acknowledged.length)];
    if (input % 3 !== 0 || earlier === undefined) return;
    const { job_id, status, result } = await this.#untilAnswered((api) => api.job(earlier.job));
    if (isFinal(status)) this.history.observed.push({ job: job_id, status, result });
  }

  /** A refusal that the server answered with is a fault of the test; a connection that broke is what it is about. */
  async #untilAnswered<T>(ask: (api: Api) => Promise<T>): Promise<T> {
    for (;;) {
      const { api } = await this.#server;
      try {
        return await ask(api);
      } catch (error) {
        if (error instanceof assert.AssertionError && !/shutting_down/.test(error.message)) throw error;
        // The server may have gone a moment before this run knows of its successor.
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
  }

  async #strike(fault: Fault): Promise<void> {
    if (fault === "kill replica") return this.#killReplica();
    // One at a time; the clients wait for the server that comes back.
    const before = this.#server;
    this.#server = before.then(async (server) => {
      if (fault === "kill server") await this.#killServer(server);
      else await server.stop();
      return startIn(this.#tempDir);
    });
    await this.#server;
  }

  async #killServer(server: ServerProcess): Promise<void> {
    await server.kill();
    this.history.orphans.push(...(await survivors(this.#tempDir, ORPHAN_LIMIT_MS)));
  }

  async #killReplica(): Promise<void> {
    try {
      const { api } = await this.#server;
      const replicas = (await api.replicas()).filter(({ pid }) => pid !== null);
      const chosen = replicas[Math.floor(this.#next() * replicas.length)];
      if (chosen?.pid) process.kill(chosen.pid, "SIGKILL");
    } catch {
      // It had ended, or its server has just been killed: as good.
    }
  }

  /** Waits until nothing is queued or running, and reads all jobs and logs. */
  async settle(): Promise<void> {
    const { api } = await this.#server;
    for (const { job_id } of await api.jobs("&status=queued,running")) await api.end(job_id);
    const jobs = await api.jobs();
    for (let i = 0; i < jobs.length; i += 32) {
      this.history.final.push(...(await Promise.all(jobs.slice(i, i + 32).map((job) => this.#finalOf(job)))));
    }
  }

  async #finalOf({ job_id, status, result }: JobJson): Promise<FinalJob> {
    const { api } = await this.#server;
    const events = await api.events(job_id);
    const input = this.history.acknowledged.find(({ job }) => job === job_id)?.input ?? UNKNOWN_INPUT;
    return { job: job_id, input, status, result, events };
  }

  /** The last stop: the server drains, and nothing of it is left. */
  async stop(): Promise<number | null> {
    const code = await (await this.#server).stop();
    this.history.orphans.push(...(await survivors(this.#tempDir, ORPHAN_LIMIT_MS)));
    return code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.then(
      (server) => server.kill(),
      () => {},
    );
    for (const { pid } of await survivors(this.#tempDir, 1000)) process.kill(pid, "SIGKILL");
    await rm(this.#tempDir, { recursive: true, force: true });
  }
}

const startIn = (tempDir: string): Promise<ServerProcess> =>
  ServerProcess.start({ dataDir: join(tempDir, "data"), tempDir });

/** Processes of the server that are left after the time they have. */
async function survivors(mark: string, withinMs: number): Promise<{ pid: number; command: string }[]> {
  const until = performance.now() + withinMs;
  for (;;) {
    const left = await processesWithMark(mark);
    if (left.length === 0 || performance.now() > until) return left;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

describe("kill -9 of server and replicas", {
  skip: process.platform === "linux" ? false : "needs /proc to find what was left running",
}, () => {
  it(`loses none of ${JOBS} jobs and doubles no result`, { timeout: 240_000 }, async (t) => {
    t.diagnostic(`ATHANOR_FAULT_SEED=${seed}`);
    const upload = await build({ entry: join(import.meta.dirname, "apps/faults.ts") });
    await using run = await Run.make(upload);
    await run.send();
    await run.settle();
    assert.equal(await run.stop(), 0);
    const { history } = run;
    const again = history.final.filter(
      ({ events }) => events.filter(({ event }) => event === "job.running").length > 1,
    );
    t.diagnostic(
      `${history.acknowledged.length} acknowledged, ${history.final.length} stored, ${history.observed.length} seen ended on the way, ${again.length} run more than once`,
    );
    assert.equal(history.acknowledged.length, JOBS);
    assert.deepEqual(violations(history, expected), [], `seed ${seed}`);
  });
});
