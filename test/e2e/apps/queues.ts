/** Functions with limits, for queues.test.ts. */
import { writeSync } from "node:fs";
import { App, type JobContext } from "athanor";

const app = new App("queues");
const sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });

export const hold = app.function({ queue: { size: 20_000 } }, async (context: JobContext, name: string) => {
  await sleep(60_000, context.signal);
  return name;
});

export const quick = app.function({ queue: { size: 20_000, maxWorkers: 50 } }, async (n: number) => n);

export const single = app.function({ concurrency: 1, queue: { maxWorkers: 4 }, maxReplicas: 3 }, async (ms: number) => {
  await sleep(ms);
  return process.pid;
});

export const limited = app.function(
  { rateLimit: { limit: 1, perS: 3600 }, queue: { maxWorkers: 4 } },
  async (n: number) => n,
);

export const small = app.function({ queue: { size: 1 } }, async (context: JobContext) => {
  await sleep(60_000, context.signal);
});

export const keyed = app.function({ queue: { maxWorkers: 10 } }, async (context: JobContext, name: string) => {
  await sleep(60_000, context.signal);
  return name;
});

export const poison = app.function(async () => {
  // Straight to the descriptor: a killed process sends nothing that it still holds.
  writeSync(2, "taking the replica along\n");
  process.kill(process.pid, "SIGKILL");
  await sleep(60_000);
});

/** Holds the event loop for so long, without once yielding it. */
export const computes = app.function(async (ms: number, context: JobContext) => {
  const until = Date.now() + ms;
  while (Date.now() < until);
  return context.attempt;
});

export const stopped = app.function(async (context: JobContext) => {
  console.log("here");
  if (context.attempt === 1) await sleep(60_000);
  return context.attempt;
});

export const late = app.function({ expireS: 0.2 }, async (context: JobContext) => {
  await sleep(60_000, context.signal);
});

export const echo = app.function(async (text: string) => text);

export const fails = app.function({ priority: 3 }, async (text: string) => {
  throw new Error(`no: ${text}`);
});

type Runtime = { serverUrl: string; serverToken: string };
const runtimeOf = (): Runtime => (globalThis as Record<symbol, unknown>)[Symbol.for("athanor.runtime")] as Runtime;

export const token = app.function(() => runtimeOf().serverToken);

/** Calls `hold` as code in a replica may, and waits. */
export const parent = app.function(async (context: JobContext) => {
  const runtime = runtimeOf();
  const response = await fetch(`${runtime.serverUrl}/v1/apps/queues/functions/hold/jobs`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${runtime.serverToken}`,
      "content-type": "application/json",
      "athanor-parent-job": String(context.jobId),
    },
    body: JSON.stringify({ args: ["child"] }),
  });
  console.log(((await response.json()) as { job_id: string }).job_id);
  await sleep(60_000, context.signal);
});
