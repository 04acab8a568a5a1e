/** The app that many.test.ts deploys, and whose handles it uses. */
import { setTimeout as sleep } from "node:timers/promises";
import { App, type JobContext, NonRetryableError } from "../../src/index.ts";

export const app = new App("many", { queue: { size: 20_000 } });

export const double = app.function({ concurrency: 8 }, async (n: number) => {
  if (n < 0) throw new RangeError(`${n} is negative`);
  return n * 2;
});

export const add = app.function({ queue: { maxWorkers: 8 } }, async (a: number, b = 1) => a + b);

/** How many jobs were in the batch of each. */
export const sizes = app.function({ batch: { maxSize: 4, waitMs: 200 } }, async (ns: number[]) =>
  ns.map((n) => (n < 0 ? new NonRetryableError(`${n} is negative`) : ns.length)),
);

/** A queued endpoint in batches; the body of each call is an object of its own. */
export const ask = app.endpoint(
  "/ask",
  { queue: {}, batch: { maxSize: 2, waitMs: 500 } },
  (questions: { text: string }[]) => questions.map(({ text }) => ({ answer: `${text} of ${questions.length}` })),
);

export const hang = app.function({ concurrency: 8 }, async (context: JobContext, _n?: number) => {
  console.log("hanging");
  await sleep(600_000, null, { signal: context.signal });
});

/** Calls another function of the app and waits for it. */
export const parent = app.function(async () => {
  const child = await hang.spawn();
  console.log(child.id);
  await child.result();
});

/** Fails so often, in a way that is worth a retry or not. */
export const flaky = app.function(
  { retries: { max: 5, delayS: 0, retryOn: (error) => (error as { code?: string }).code === "EAGAIN" } },
  async (context: JobContext, failures: number, code: string) => {
    if (context.attempt <= failures) throw Object.assign(new Error(`attempt ${context.attempt}`), { code });
    return context.attempt;
  },
);

export const letters = app.function(
  { retries: { max: 1, delayS: 0 } },
  async function* (context: JobContext, text: string, failAt = -1) {
    for (const [index, letter] of [...text].entries()) {
      if (index === failAt && context.attempt === 1) throw new Error("halfway");
      yield letter;
    }
  },
);

/** Chunks without end. */
export const endless = app.function(async function* (context: JobContext) {
  for (let n = 0; ; n++) {
    context.signal.throwIfAborted();
    yield n;
  }
});

const PADDING = "x".repeat(8 * 1024);

/** As many chunks as are asked for, at once: more bytes than connections hold on their way. */
export const burst = app.function({ events: { window: 200 } }, async function* (to: number) {
  for (let n = 0; n < to; n++) yield { n, padding: PADDING };
});

export const touch = app.function(async (_key: string) => {
  const started = Date.now();
  await sleep(5);
  return [started, Date.now()];
});
