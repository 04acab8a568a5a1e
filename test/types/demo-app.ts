/** An entry file as users write it; the other files here look at its types. */
import * as v from "valibot";
import { z } from "zod";
import { App, type ImageFile, type JobContext, type JobProgress } from "../../src/index.ts";

const app = new App("demo", { compute: "dedicated", memoryMb: 512 });

export const hello = app.endpoint("/hello", { methods: ["GET"] }, () => ({ message: "hello" }));
export const generate = app.endpoint(
  "/generate",
  { queue: { size: 50 } },
  async (_progress: JobProgress, prompt: string, steps = 50) => ({ prompt, steps }),
);
export const byName = app.endpoint((name: string) => name.length);
export const withOptions = app.endpoint({ tags: ["a"] }, (name: string, _context: JobContext) => name);
export const infer = app.function({ retries: 3, timeoutS: 60 }, async (text: string) => text.toUpperCase());
export const plain = app.function((when: Date, amount: bigint, raw: Uint8Array) => ({ when, amount, raw }));
export const rest = app.function((first: number, ...others: string[]) => others.length + first);
export const hook = app.endpoint("/hook", (request: Request) => new Response(request.body));
export const read = app.endpoint("/read", async (page: ImageFile, language?: string) => ({ page, language }));
export const count = app.function(async function* (to: number) {
  for (let i = 0; i < to; i++) yield { i };
});
export const countSync = app.function(function* (to: number) {
  for (let i = 0; i < to; i++) yield i;
});
export const list = app.function((): string[] => []);
export const nothing = app.function(async (_progress: JobProgress) => {});
export const maybe = app.function((key: string): string | undefined => (key === "" ? undefined : key));
// biome-ignore lint/suspicious/noExplicitAny: plain JavaScript is like this
export const untyped = app.function(async (value: any): Promise<any> => value);

export const parsed = app.endpoint(
  "/parsed",
  { input: z.object({ n: z.string().transform(Number) }), output: z.object({ at: z.date() }) },
  async (input, context) => {
    const n: number = input.n;
    context.signal.throwIfAborted();
    return { at: new Date(n) };
  },
);
export const parsedInputOnly = app.function({ input: v.object({ name: v.string() }) }, ({ name }) => name.length);

export const embed = app.function(
  { batch: { maxSize: 32, waitMs: 5 }, rateLimit: { limit: 100, perS: 1 }, concurrency: 64 },
  async (texts: string[], dims: readonly number[], context: JobContext) =>
    texts.map((text, i) => (text === "" ? new Error(`empty: ${context.batch?.[i]?.jobId}`) : [dims[i] ?? 0])),
);
export const tag = app.endpoint(
  "/tag",
  { queue: { size: 9 }, batch: { maxSize: 2 } },
  (progress: JobProgress, pages: ImageFile[]): string[] => pages.map(() => String(progress)),
);
export const parsedBatch = app.function(
  { batch: { maxSize: 4 }, input: z.object({ n: z.string().transform(Number) }), output: z.object({ at: z.date() }) },
  (inputs, context) => inputs.map(({ n }) => (context.signal.aborted ? new Error("late") : { at: new Date(n) })),
);
export const parsedBatchInputOnly = app.function({ batch: { maxSize: 4 }, input: v.string() }, async (inputs) =>
  inputs.map((input) => (input === "" ? new Error("empty") : input.length)),
);
export const nightly = app.function(
  { schedule: { cron: "0 3 * * *", timeZone: "Europe/Berlin", missed: "skip" }, priority: -5, expireS: 60 },
  () => {},
);
export const often = app.function({ schedule: { everyS: 30 }, keyConcurrency: 2, queue: { size: 5 } }, () => {});

export class Whisper {
  @app.enter()
  async load() {}

  @app.exit()
  async unload() {}

  @app.endpoint("/transcribe")
  async transcribe(_progress: JobProgress, audio: Uint8Array) {
    return { text: String(audio.length) };
  }

  @app.function({ retries: 1 })
  async summarise(text: string, words = 10) {
    return { text, words };
  }

  @app.endpoint()
  ping() {
    return "pong";
  }
}

export const notAFunction = 42;
export { app };
