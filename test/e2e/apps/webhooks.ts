/** Functions whose ends are told, for webhooks.test.ts. */
import { App, ImageFile, type JobContext, NonRetryableError } from "athanor";

const app = new App("webhooks");

export const shout = app.function(async (text: string) => ({ said: text.toUpperCase() }));

export const fails = app.function(async () => {
  throw new NonRetryableError("it is no use");
});

export const waits = app.function(async (context: JobContext) => {
  await new Promise((_, reject) => context.signal.addEventListener("abort", () => reject(context.signal.reason)));
});

export const slow = app.function({ timeoutS: 0.2 }, async (context: JobContext) => {
  await new Promise((_, reject) => context.signal.addEventListener("abort", () => reject(context.signal.reason)));
});

export const large = app.function(async (kib: number) => "x".repeat(kib * 1024));

export const draws = app.function(async () =>
  ImageFile.fromBytes(
    Buffer.from(
      "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==",
      "base64",
    ),
  ),
);
