/**
 * What the faults harness runs. Every handler notes its start and its end in a file that no server knows of, and names its job's number and its
 * attempt in all that it writes, so that a doubled, swapped or late write shows.
 */

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { App, type JobContext, type JobProgress } from "athanor";

const app = new App("faults");
const RECORDS = process.env.FAULT_RECORDS;
// Killed replicas use up attempts, so there are enough.
const retries = { max: 50, delayS: 0.05, backoff: 1, jitter: 0.5 };

// A process of the replica's own, which must not outlive it either.
if (RECORDS !== undefined) spawn("sleep", ["600"], { stdio: "ignore" });

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function note(type: "start" | "end", { jobId, attempt }: JobContext, fn: string, n: number, key: string | null): void {
  const at = Number(process.hrtime.bigint() / 1000n) / 1000;
  const record = { at, type, job: jobId, attempt, function: fn, n, key, pid: process.pid };
  appendFileSync(join(RECORDS ?? ".", `${process.pid}.jsonl`), `${JSON.stringify(record)}\n`);
}

/** Runs the code between its two notes. */
async function noted<T>(context: JobContext, fn: string, n: number, code: () => Promise<T>, key: string | null = null) {
  note("start", context, fn, n, key);
  try {
    return { n, attempt: context.attempt, value: await code() };
  } finally {
    note("end", context, fn, n, key);
  }
}

/** Until the signal aborts. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

export const plain = app.endpoint(
  "/plain",
  { queue: { size: 20_000, maxWorkers: 8 }, maxReplicas: 2, retries },
  async (n: number, context: JobContext) => noted(context, "plain", n, async () => pause(n % 12).then(() => n * n)),
);

/** Fails at its first attempts, and then does not. */
export const flaky = app.endpoint(
  "/flaky",
  { queue: { size: 20_000, maxWorkers: 4 }, retries },
  async (n: number, context: JobContext) =>
    noted(context, "flaky", n, async () => {
      if (context.attempt <= 1 + (n % 2)) throw new Error(`not yet: ${n}`);
      return n * n;
    }),
);

export const doomed = app.endpoint(
  "/doomed",
  { queue: { size: 20_000, maxWorkers: 2 }, retries },
  async (n: number, context: JobContext) =>
    noted(context, "doomed", n, async (): Promise<number> => {
      throw Object.assign(new Error(`never: ${n}`), { retryable: false });
    }),
);

/** Logs and reports its progress, whose last must not be lost. */
export const talker = app.endpoint(
  "/talker",
  { queue: { size: 20_000, maxWorkers: 12 }, retries },
  async (n: number, stepMs: number, progress: JobProgress, context: JobContext) =>
    noted(context, "talker", n, async () => {
      for (let step = 1; step <= 10; step++) {
        console.log(`n=${n} attempt=${context.attempt} step=${step}`);
        progress.setStatus(step / 10, `attempt=${context.attempt}`);
        await pause(stepMs);
      }
      return n * n;
    }),
);

/** Runs until it is told to stop, and heeds that. */
export const patient = app.endpoint(
  "/patient",
  { queue: { size: 20_000, maxWorkers: 40 }, retries },
  async (n: number, context: JobContext) => noted(context, "patient", n, () => aborted(context.signal)),
);

/** Runs until it is killed. */
export const stubborn = app.endpoint(
  "/stubborn",
  { queue: { size: 20_000, maxWorkers: 1 }, retries },
  async (n: number, context: JobContext) =>
    noted(context, "stubborn", n, async (): Promise<number> => {
      for (;;) await pause(1000);
    }),
);

export const late = app.endpoint(
  "/late",
  { queue: { size: 20_000, maxWorkers: 20 }, timeoutS: 1, retries },
  async (n: number, context: JobContext) => noted(context, "late", n, () => aborted(context.signal)),
);

/** More chunks than its window holds, for some. */
export const chunks = app.endpoint(
  "/chunks",
  { queue: { size: 20_000, maxWorkers: 4 }, retries, events: { window: 40 } },
  async function* (n: number, count: number, context: JobContext) {
    note("start", context, "chunks", n, null);
    try {
      for (let index = 0; index < count; index++) {
        yield { n, attempt: context.attempt, index };
        if (index % 10 === 0) await pause(1);
      }
    } finally {
      note("end", context, "chunks", n, null);
    }
  },
);

/** Takes and gives more than stands in a row of the store. */
export const large = app.endpoint(
  "/large",
  { queue: { size: 20_000, maxWorkers: 2 }, retries },
  async (n: number, text: string, context: JobContext) =>
    noted(context, "large", n, async () => ({
      sha256: createHash("sha256").update(text).digest("hex"),
      text: text.slice(0, text.length / 2),
    })),
);

/** At most two of a key at a time, and five of all; see work.ts. */
export const keyed = app.endpoint(
  "/keyed",
  { queue: { size: 20_000, maxWorkers: 8 }, retries },
  async (n: number, key: string, context: JobContext) =>
    noted(context, "keyed", n, async () => pause(10 + (n % 30)).then(() => n * n), key),
);

export const rated = app.endpoint(
  "/rated",
  { queue: { size: 20_000, maxWorkers: 8 }, retries },
  async (n: number, context: JobContext) => noted(context, "rated", n, async () => n * n),
);

/** One at a time, in order. Only what kills a replica under it makes it fail. */
export const ordered = app.endpoint(
  "/ordered",
  { queue: { size: 20_000, maxWorkers: 1 } },
  async (n: number, context: JobContext) => noted(context, "ordered", n, async () => pause(n % 3).then(() => n * n)),
);
