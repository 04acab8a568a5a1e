import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import type { AppSpec, FunctionSpec } from "../../src/protocol/spec.ts";
import { routeTable, targetOf } from "../../src/server/gateway/routes.ts";
import type { JobOutcome, JobRecord, Store } from "../../src/server/store/store.ts";
import { givenDeployment, newJob } from "../../test/store/conformance/given.ts";
import { Unavailable } from "../contestant.ts";
import { startPostgres } from "../peers/postgres.ts";
import { temporaryFolder } from "../peers/temporary.ts";
import { median } from "../stats.ts";

export const title = "B10 growth: claim, route and append with much stored, beside the same with a hundredth of it";

const QUEUED = 1_000_000;
const FUNCTIONS = 10_000;
const EVENTS = 10_000_000;
const SMALLER = 100;
const INSERTED_AT_ONCE = 10_000;
const EVENTS_AT_ONCE = 1000;
const SAMPLES = 300;

type Opened = AsyncDisposable & { store: Store };
interface Measured {
  what: string;
  unit: string;
  small: number;
  large: number;
}

export async function run({ rounds }: { rounds: number }): Promise<string> {
  const rows: Measured[] = [];
  const missing: string[] = [];
  for (const [name, open] of [
    ["SQLite", openSqlite],
    ["PostgreSQL", openPostgres],
  ] as const) {
    try {
      const claim = (queued: number) => medianOf(rounds, () => withStore(open, (store) => claimUs(store, queued)));
      const append = (events: number) => medianOf(rounds, () => withStore(open, (store) => appendUs(store, events)));
      rows.push({
        what: `${name}: claim and end one job, ${QUEUED / 1e6} M queued`,
        unit: "µs",
        small: await claim(QUEUED / SMALLER),
        large: await claim(QUEUED),
      });
      rows.push({
        what: `${name}: append ${EVENTS_AT_ONCE} events, ${EVENTS / 1e6} M stored`,
        unit: "µs",
        small: await append(EVENTS / SMALLER),
        large: await append(EVENTS),
      });
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      missing.push(`${name}: ${error.message}`);
    }
  }
  rows.push({
    what: `route a request, ${FUNCTIONS} functions`,
    unit: "ns",
    small: await medianOf(rounds, async () => routeNs(FUNCTIONS / SMALLER)),
    large: await medianOf(rounds, async () => routeNs(FUNCTIONS)),
  });
  return [
    "| | at a hundredth | in full | ratio |",
    "|---|---|---|---|",
    ...rows.map(({ what, unit, small, large }) => {
      return `| ${what} | ${small.toFixed(0)} ${unit} | ${large.toFixed(0)} ${unit} | ${(large / small).toFixed(2)} |`;
    }),
    ...missing.map((line) => `\nLeft out: ${line}`),
  ].join("\n");
}

async function medianOf(rounds: number, sample: () => Promise<number>): Promise<number> {
  const values: number[] = [];
  for (let round = 0; round < rounds; round++) values.push(await sample());
  return median(values);
}

async function withStore(open: () => Promise<Opened>, measure: (store: Store) => Promise<number>): Promise<number> {
  await using opened = await open();
  return await measure(opened.store);
}

async function openSqlite(): Promise<Opened> {
  const { openSqliteStore } = await import("../../src/server/store/sqlite.ts");
  const folder = await temporaryFolder();
  const store = await openSqliteStore({ path: join(folder.path, "athanor.db") });
  return {
    store,
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

async function openPostgres(): Promise<Opened> {
  const { openPostgresStore } = await import("../../src/server/store/postgres.ts");
  const postgres = await startPostgres();
  const store = await openPostgresStore({ url: postgres.url });
  return {
    store,
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      await postgres[Symbol.asyncDispose]();
    },
  };
}

const growing = { input: '{"n":1}', queueSize: 2 * QUEUED, maxAttempts: 1 };

async function claim(store: Store, deployment: number, limit: number): Promise<JobRecord[]> {
  const functions = [{ name: "infer", concurrency: null, rate: null }];
  const now = store.clock();
  return (await store.jobClaim({ deployment, functions, limit, replica: "replicas:1", owner: "bench", now })).jobs;
}

/** Of one claim and its end, one at a time, with the queue that long. */
async function claimUs(store: Store, queued: number): Promise<number> {
  const deployment = await givenDeployment(store, "demo", store.clock());
  for (let left = queued; left > 0; left -= INSERTED_AT_ONCE) {
    const jobs = Array.from({ length: Math.min(left, INSERTED_AT_ONCE) }, () => newJob(deployment, growing));
    await store.jobInsertMany({ jobs, now: store.clock() });
  }
  settleDisk();
  const samples: number[] = [];
  for (let n = 0; n < SAMPLES; n++) {
    const startedAt = performance.now();
    const [job] = await claim(store, deployment, 1);
    if (job === undefined || job.job !== n + 1) throw new Error(`claimed ${job?.job}, not the oldest, ${n + 1}`);
    const outcome: JobOutcome = { type: "succeed", result: "1", resultBlobs: [] };
    const change = await store.jobFinish({ job: job.job, fence: job.fence, outcome, now: store.clock() });
    samples.push((performance.now() - startedAt) * 1000);
    if (change?.job.status !== "succeeded") throw new Error(`${job.job} is ${change?.job.status}`);
  }
  return median(samples);
}

/** Of one batch to the log of a running job, once that many events of many jobs are stored. */
async function appendUs(store: Store, stored: number): Promise<number> {
  const deployment = await givenDeployment(store, "demo", store.clock());
  const jobs = Array.from({ length: 1000 }, () => newJob(deployment, growing));
  await store.jobInsertMany({ jobs, now: store.clock() });
  const running = await claim(store, deployment, jobs.length);
  const at = new Date(0).toISOString();
  const events = Array.from({ length: EVENTS_AT_ONCE }, (_, index) => ({
    event: "job.log" as const,
    data: { stream: "stdout" as const, line: `line ${index}`, at },
  }));
  const append = async (n: number): Promise<void> => {
    const { job, fence } = running[n % running.length] as JobRecord;
    const [added] = await store.eventAppend({ batches: [{ job, fence, events }], now: store.clock() });
    if (added?.length !== events.length) throw new Error(`${added?.length} events were stored`);
  };
  let n = 0;
  for (; n < stored / EVENTS_AT_ONCE; n++) await append(n);
  settleDisk();
  const samples: number[] = [];
  for (let i = 0; i < SAMPLES; i++, n++) {
    const startedAt = performance.now();
    await append(n);
    samples.push((performance.now() - startedAt) * 1000);
  }
  return median(samples);
}

/** What filling the store left to be written must not be waited for by what is measured. */
function settleDisk(): void {
  execFileSync("sync");
}

/** Of finding an endpoint of one app of many functions. */
function routeNs(functions: number): number {
  const specs = Array.from({ length: functions }, (_, index) => ({
    name: `f${index}`,
    kind: "endpoint",
    input: { mode: "params", params: [], schema: true },
    placement: { memoryMb: 128 },
    endpoint: { path: `/f${index}`, methods: ["POST"], maxUploadFileSizeMb: 1 },
  })) as unknown as FunctionSpec[];
  const spec: AppSpec = { specVersion: 1, name: "demo", compute: "dedicated", functions: specs, $defs: {} };
  const table = routeTable([{ app: "demo", spec } as Parameters<typeof routeTable>[0][number]]);
  const times = 200_000;
  const startedAt = performance.now();
  for (let n = 0; n < times; n++) {
    const path = `/demo/f${(n * 7919) % functions}`;
    const target = targetOf({ host: "localhost", path, domain: "localhost", publicHost: null });
    const route = table.get(target.app)?.byPath.get(target.path);
    if (route === undefined) throw new Error(`${path} has no route`);
  }
  return ((performance.now() - startedAt) * 1e6) / times;
}
