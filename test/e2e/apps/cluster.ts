/** Functions for cluster.test.ts, whose files tell which attempt runs where and let the test decide how long. */
import { appendFileSync, existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { App, type JobContext } from "athanor";

const app = new App("cluster");
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** The test deploys this bundle with another number in its place. */
const VERSION = "version-1";
export const version = app.endpoint("/version", { methods: ["GET"] }, async () => VERSION);

export const countTo = app.function(async function* (to: number) {
  for (let i = 0; i < to; i++) {
    console.log(`line ${i}`);
    yield { i };
    await sleep(5);
  }
});

/** Ends only once `processes` have run it: each leaves its number in the folder. */
export const together = app.function(async (dir: string, processes: number) => {
  writeFileSync(join(dir, String(process.pid)), "");
  while (readdirSync(dir).length < processes) await sleep(10);
  return process.pid;
});

/** Writes its attempt and process to `log`, and ends when the file `open` is there. */
export const hold = app.function(async (context: JobContext, log: string, open: string) => {
  appendFileSync(log, `${context.attempt} ${process.pid}\n`);
  while (!existsSync(open)) await sleep(20);
  appendFileSync(log, `${context.attempt} done\n`);
  return context.attempt;
});

export const large = app.function(async (fill: string) => fill.repeat(400_000));
