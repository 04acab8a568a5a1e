/** What kill.test.ts runs. Each function's result tells its input, so that a doubled or swapped one shows. */
import { spawn } from "node:child_process";
import { App, type JobContext } from "athanor";

const app = new App("faults");
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
// Killed replicas use up attempts, so there are enough.
const retries = { max: 50, delayS: 0.05, backoff: 1, jitter: 0.5 };
const queue = { size: 5000 };

// A process of the replica's own, which must not outlive it either.
spawn("sleep", ["600"], { stdio: "ignore" });

export const single = app.endpoint("/single", { queue, retries }, async (n: number) => {
  await pause(n % 4);
  return { input: n, square: n * n };
});

export const crowded = app.endpoint(
  "/crowded",
  { queue: { ...queue, maxWorkers: 4 }, maxReplicas: 2, retries },
  async (n: number) => {
    console.log(`working on ${n}`);
    await pause(n % 15);
    return { input: n, square: n * n };
  },
);

export const flaky = app.endpoint(
  "/flaky",
  { queue: { ...queue, maxWorkers: 2 }, retries },
  async (n: number, context: JobContext) => {
    if (context.attempt === 1 && n % 3 === 0) throw new Error(`not at first: ${n}`);
    return { input: n, square: n * n };
  },
);

export const doomed = app.endpoint("/doomed", { queue }, async (n: number) => {
  throw new Error(`never: ${n}`);
});
