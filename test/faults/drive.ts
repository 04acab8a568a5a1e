import { mkdir } from "node:fs/promises";
import { isFinal } from "../../src/protocol/job.ts";
import type { JobJson, Page } from "../../src/protocol/wire.ts";
import { AppUnderTest } from "./app-under-test.ts";
import { request } from "./ask.ts";
import { Clients } from "./clients.ts";
import type { FinalJob, History } from "./history.ts";
import { type Fault, planFaults } from "./plan.ts";
import { random } from "./random.ts";
import { readStream } from "./stream.ts";
import { resumeAll, strikeAll } from "./strike.ts";
import { type Endpoint, System } from "./system.ts";
import { PROMISES, planWork } from "./work.ts";

export interface RunOptions {
  seed: number;
  jobs: number;
  /** Over which the calls and the faults are spread. */
  forMs: number;
  servers: number;
  store: "sqlite" | "postgres";
  /** A new folder for all that the run needs. */
  dir: string;
  say(line: string): void;
  /** Gives the run up, and cleans up after it. */
  signal?: AbortSignal;
}

/** After the last fault, all jobs must have ended by then. */
const SETTLE_MS = 90_000;
const READ_AT_ONCE = 16;
/** Of one ended job's log; a stream of it that does not end by then is one that its checker finds no end in. */
const READ_MS = 10_000;

/** Drives the calls of the seed against a system that suffers the faults of the seed. Returns what was seen. */
export async function drive(options: RunOptions): Promise<{ history: History; logs: string }> {
  const history = emptyHistory();
  await mkdir(options.dir, { recursive: true });
  await using system = await System.start(options);
  const { promise: givenUp, reject } = Promise.withResolvers<never>();
  options.signal?.addEventListener("abort", () => reject(options.signal?.reason), { once: true });
  await Promise.race([act(options, system, history), givenUp]);
  return { history, logs: system.logs() };
}

async function act({ seed, jobs, forMs, servers, say }: RunOptions, system: System, history: History): Promise<void> {
  const tasks = planWork(seed, jobs);
  const plan = planFaults({ seed, forMs, servers, types: system.faults(), leaseMs: system.leaseMs });
  for (const line of planLines(plan)) say(line);
  const app = await AppUnderTest.build(system.recordsDir);
  await app.deploy(system, 0);
  await app.known(system);
  const clients = new Clients(system, history, random(seed + 1));
  const sent = new AbortController();
  const struck = strikeAll({ system, app, history }, plan, (line) => say(`struck ${line}`), sent.signal);
  await clients.send(tasks, forMs);
  sent.abort();
  await struck;
  say(`all ${jobs} calls are made, ${history.faults.length} faults have struck`);
  await resumeAll(system);
  await clients.rest(SETTLE_MS);
  const endpoint = await system.endpoint(0);
  await settled(endpoint, SETTLE_MS);
  history.final = await finalJobs(endpoint);
  say("all that is left is read; the servers stop");
  for (const member of system.members) {
    await member.stop();
    history.orphans.push(...member.orphans);
    history.exits.push(...member.exits);
  }
  history.records = system.records();
  history.storeFaults = await system.storeFaults();
}

function emptyHistory(): History {
  return {
    functions: PROMISES,
    calls: [],
    cancels: [],
    observed: [],
    pauses: [],
    watches: [],
    records: [],
    final: [],
    faults: [],
    hurtReplicas: [],
    refusals: [],
    orphans: [],
    exits: [],
    storeFaults: [],
  };
}

function planLines(plan: readonly Fault[]): string[] {
  const counts = Map.groupBy(plan, ({ type }) => type);
  return [`${plan.length} faults: ${[...counts].map(([type, { length }]) => `${length} × ${type}`).join(", ")}`];
}

/** Until nothing is queued or running, or the time is up: what has not ended by then is for the checker to see. */
async function settled(endpoint: Endpoint, withinMs: number): Promise<void> {
  const until = performance.now() + withinMs;
  while (performance.now() < until) {
    const { body } = await request(endpoint, "GET", "/v1/jobs?status=queued,running&limit=1", { timeoutMs: 60_000 });
    if ((body as Page<JobJson>).items.length === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

async function finalJobs(endpoint: Endpoint): Promise<FinalJob[]> {
  const all: JobJson[] = [];
  for (let cursor: string | null = ""; cursor !== null; ) {
    const at = cursor === "" ? "" : `&cursor=${encodeURIComponent(cursor)}`;
    const { body } = await request(endpoint, "GET", `/v1/jobs?limit=500${at}`, { timeoutMs: 60_000 });
    const page = body as Page<JobJson>;
    all.push(...page.items);
    cursor = page.next_cursor;
  }
  const final: FinalJob[] = [];
  let next = 0;
  const reader = async (): Promise<void> => {
    for (let job = all[next++]; job !== undefined; job = all[next++]) final.push(await finalJob(endpoint, job));
  };
  await Promise.all(Array.from({ length: READ_AT_ONCE }, reader));
  return final;
}

async function finalJob(endpoint: Endpoint, job: JobJson): Promise<FinalJob> {
  const events: FinalJob["events"] = [];
  if (isFinal(job.status))
    await readStream({ from: endpoint, job: job.job_id, after: 0, events, signal: AbortSignal.timeout(READ_MS) });
  return {
    job: job.job_id,
    function: job.function,
    deployment: job.deployment_id,
    status: job.status,
    result: job.result,
    code: job.error?.code ?? null,
    attempt: job.attempt,
    progress: job.progress,
    parent: job.parent_id ?? null,
    startedAt: job.started_at === null ? null : Date.parse(job.started_at),
    runAt: job.run_at === null ? null : Date.parse(job.run_at),
    events,
  };
}
