/** Functions whose logs hold each kind of event, for event-stream.test.ts. */
import { App, type JobContext, type JobProgress } from "athanor";

const app = new App("events");

/** Every kind of event that a job's log can have, in two attempts. */
export const everything = app.function(
  { retries: { max: 1, delayS: 0 } },
  async function* (progress: JobProgress, context: JobContext) {
    console.log("to stdout");
    console.error("to stderr");
    progress.setStatus(0.25, "a quarter");
    yield { attempt: context.attempt };
    if (context.attempt === 1) throw new RangeError("the first attempt fails");
  },
);

/** More events than it may keep. */
export const many = app.function({ events: { window: 5 } }, async function* (howMany: number) {
  for (let i = 0; i < howMany; i++) yield i;
});

/** As `many`; then it says so, and stays until it is stopped. */
export const manyThenWaits = app.function(
  { events: { window: 5 } },
  async function* (howMany: number, progress: JobProgress, context: JobContext) {
    for (let i = 0; i < howMany; i++) yield i;
    progress.setStatus(0.75, "waiting");
    await new Promise<void>((resolve) => {
      if (context.signal.aborted) resolve();
      context.signal.addEventListener("abort", () => resolve(), { once: true });
    });
  },
);

/** Small chunks as fast as they can be made: more than the default window, and than half of it are ever under way. */
export const fast = app.function(async function* (howMany: number) {
  for (let i = 0; i < howMany; i++) yield i;
});

export const returns = app.function(() => "the result");

/** Says all it can until it is stopped, each line with its number. */
export const flood = app.function(async (context: JobContext) => {
  let lines = 0;
  while (!context.signal.aborted) {
    for (let i = 0; i < 1000; i++) console.log(`line ${lines++}`);
    await new Promise(setImmediate);
  }
  console.log(`line ${lines}`);
});

/** A result that is too large to stand in the database's rows. */
export const large = app.function((characters: number) => ({ text: "x".repeat(characters) }));
