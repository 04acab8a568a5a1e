/** Functions that do each thing that a job can do, for jobs.test.ts. */
import { spawn } from "node:child_process";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { App, type JobContext, type JobProgress } from "athanor";

const app = new App("jobs");
const sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });

export const double = app.function(async (n: number) => n * 2);

export const chatty = app.function(async (progress: JobProgress, context: JobContext, name: string) => {
  console.log(`hello ${name}`);
  console.error("a warning");
  context.log("through the context");
  progress.setStatus(0.5, "half way");
  await sleep(60);
  progress.setStatus(0.9);
  return { name, jobId: context.jobId };
});

export const countTo = app.function(async function* (to: number) {
  for (let i = 0; i < to; i++) yield { i };
});

/** Succeeds at the attempt that it is told. */
export const flaky = app.function(
  { retries: { max: 3, delayS: 0.05, backoff: 1, jitter: 0 } },
  async (context: JobContext, succeedsAt: number) => {
    if (context.attempt < succeedsAt) throw new TypeError(`attempt ${context.attempt} is too early`);
    return context.attempt;
  },
);

export const slowRetry = app.function({ retries: { max: 1, delayS: 60, jitter: 0 } }, async () => {
  throw new Error("not yet");
});

export const heedsAbort = app.function(async (context: JobContext) => {
  await sleep(60_000, context.signal);
});

export const heedsTimeout = app.function({ timeoutS: 0.3 }, async (context: JobContext) => {
  await sleep(60_000, context.signal);
});

export const blocksForEver = app.function({ timeoutS: 0.3 }, async () => {
  for (;;);
});

export const blocks = app.function(async () => {
  console.log("blocking");
  await sleep(50);
  for (;;);
});

export const exits = app.function(async (code: number) => {
  console.error("about to exit");
  process.exit(code);
});

export const exitsOnce = app.function({ retries: { max: 1, delayS: 0 } }, async (context: JobContext) => {
  if (context.attempt === 1) process.kill(process.pid, "SIGKILL");
  return context.attempt;
});

export const throwsOutOfBand = app.function(async () => {
  setTimeout(() => {
    throw new Error("nobody catches this");
  }, 10);
  await sleep(60_000);
});

export const eatsMemory = app.function({ memoryMb: 200 }, async () => {
  const kept: Buffer[] = [];
  for (;;) {
    kept.push(Buffer.alloc(8 * 1024 * 1024, 1));
    await sleep(5);
  }
});

/** Two at a time in one replica; the death of one is the other's too. */
export const pair = app.function({ concurrency: 2 }, async (context: JobContext, fatal: boolean) => {
  if (fatal) {
    await sleep(200);
    process.exit(9);
  }
  if (context.attempt === 1) await sleep(60_000, context.signal);
  return context.attempt;
});

let running = 0;
/** Says how many of it ran at a time, itself included. */
export const crowd = app.function({ concurrency: 3 }, async () => {
  running++;
  const seen = running;
  await sleep(30);
  running--;
  return { seen, pid: process.pid };
});

/** Ends only once `replicas` of them have run it: each leaves its process's number in the folder. */
export const wide = app.function({ maxReplicas: 2 }, async (dir: string, replicas: number) => {
  writeFileSync(join(dir, String(process.pid)), "");
  while (readdirSync(dir).length < replicas) await sleep(10);
  return process.pid;
});

const order: number[] = [];
export const inOrder = app.function(async (n: number) => {
  order.push(n);
  return [...order];
});

export const brief = app.function({ keepWarmS: 0.2 }, async () => process.pid);

export const queued = app.endpoint("/queued", { queue: { maxWorkers: 2 } }, async (ms: number) => {
  running++;
  const seen = running;
  await sleep(ms);
  running--;
  return seen;
});

export const sync = app.endpoint("/sync", async (n: number) => n + 1);

/** The trace that it belongs to. */
export const traced = app.function((context: JobContext) => context.traceparent);

/** Its own, and those of calls that it makes. */
export const traces = app.endpoint("/traces", { timeoutS: 60 }, async (context: JobContext) => {
  const [many] = await traced.spawnMany([[]]);
  return [context.traceparent, await traced.remote(), await many?.result()];
});

export const tracedBatch = app.function(
  { batch: { maxSize: 2, waitMs: 60_000 } },
  (context: JobContext, ns: number[]) => {
    return ns.map((n) => [context.traceparent, context.batch?.[n]?.traceparent ?? null]);
  },
);

export const parent = app.function(async () => {
  spawn("sleep", ["600"], { stdio: "ignore" });
  await sleep(60_000);
});

class Broken {
  @app.enter()
  async load(): Promise<void> {
    throw new Error("the model is missing");
  }

  @app.function()
  async run(): Promise<number> {
    return 1;
  }
}

export { Broken };
