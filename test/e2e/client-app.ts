/** The app that client.test.ts deploys, and whose handles it uses from here. */
import { setTimeout as sleep } from "node:timers/promises";
import { App, ImageFile, type JobContext, type JobProgress } from "../../src/index.ts";

export const app = new App("lab");

export const shout = app.function(async (text: string, mark = "!") => text.toUpperCase() + mark);

export interface Sample {
  at: Date;
  raw: Uint8Array;
  amount: bigint;
  picture: ImageFile;
  next: Sample | null;
}

/** Gives back what it got, so that every kind of value crosses both ways. */
export const echo = app.function(async (sample: Sample, whens: Date[]) => ({
  sample,
  whens,
  isDate: sample.at instanceof Date,
}));

export const count = app.function(async function* (to: number) {
  for (let i = 1; i <= to; i++) yield { i, at: new Date(i) };
});

export const skip = app.function((first: string, second = "second", third?: string) => [first, second, third ?? null]);

export const fail = app.function({ timeoutS: 30 }, async (progress: JobProgress, reason: string): Promise<string> => {
  progress.setStatus(0.5, "about to fail");
  throw new RangeError(reason);
});

export const hang = app.function(async (context: JobContext) => {
  console.log("started");
  await sleep(600_000, null, { signal: context.signal });
});

/** Calls another function of the same app, from inside its replica. */
export const outer = app.function(async (text: string) => `outer(${await shout.remote(text)})`);

export const page = app.endpoint("/page", { methods: ["GET"] }, () => "page");

/** A large result: over the limit up to which content stands in JSON. */
export const large = app.function(async (picture: ImageFile) => {
  const bytes = new Uint8Array(2 * 1024 * 1024);
  bytes.set(await picture.bytes());
  return { picture: ImageFile.fromBytes(bytes, { fileName: "large.png" }) };
});

/** Many lines, slowly enough to be interrupted. */
export const lines = app.function(async (howMany: number) => {
  for (let i = 1; i <= howMany; i++) {
    console.log(`line ${i}`);
    await sleep(2);
  }
  return howMany;
});
