/** A second app, for deploy.test.ts: other code may run under its name, and its code may ask for what is not its own. */
import { App, type JobContext } from "athanor";

const app = new App("other");

/** Where its replica finds the server, and the token that it was given. */
export const access = app.function(() => {
  const runtime = (globalThis as Record<symbol, unknown>)[Symbol.for("athanor.runtime")] as {
    serverUrl: string;
    serverToken: string;
  };
  return { url: runtime.serverUrl, token: runtime.serverToken };
});

export const version = app.endpoint("/version", { methods: ["GET"] }, () => "version one");

export const keep = app.function({ maxReplicas: 1 }, async (text: string, context: JobContext) => {
  console.log(`kept ${text} in ${context.jobId}`);
  return text.length;
});

export const wait = app.function(
  (context: JobContext) =>
    new Promise<string>((resolve) => {
      if (context.signal.aborted) resolve("aborted");
      context.signal.addEventListener("abort", () => resolve("aborted"), { once: true });
    }),
);
