/** What the compiler must accept and refuse in an app's code. Checked by tsc; nothing here runs. */
import { z } from "zod";
import { App, type JobContext, type JobProgress } from "../../src/index.ts";

const app = new App("types");

// @ts-expect-error an app has a name
new App();
// @ts-expect-error an unknown option of an app
new App("x", { memory: 1 });
// @ts-expect-error an option of endpoints, not of apps
new App("x", { methods: ["GET"] });

// @ts-expect-error an unknown option
app.endpoint("/a", { memoryMB: 512 }, () => 1);
// @ts-expect-error an option of endpoints, not of functions
app.function({ methods: ["GET"] }, () => 1);
// @ts-expect-error a plain function has no path
app.function("/a", () => 1);
// @ts-expect-error a queue's unknown option
app.endpoint("/a", { queue: { length: 1 } }, () => 1);
// @ts-expect-error a method that HTTP does not have here
app.endpoint("/a", { methods: ["FETCH"] }, () => 1);
// @ts-expect-error a retry policy without how often
app.function({ retries: { delayS: 1 } }, () => 1);
// @ts-expect-error access is public or token
app.endpoint("/a", { access: "private" }, () => 1);
// @ts-expect-error env holds text
app.function({ env: { N: 1 } }, () => 1);

// @ts-expect-error a batch without its size
app.function({ batch: { waitMs: 1 } }, (ns: number[]) => ns);
// @ts-expect-error a batch's handler returns an array
app.function({ batch: { maxSize: 2 } }, (ns: number[]) => ns.length);
// @ts-expect-error the result of each job is what `output` takes, or an Error
app.function({ batch: { maxSize: 2 }, input: z.string(), output: z.number() }, (inputs) => inputs);
// @ts-expect-error an app has no batch
new App("x", { batch: { maxSize: 2 } });
// @ts-expect-error a period has no time zone
app.function({ schedule: { everyS: 1, timeZone: "UTC" } }, () => 1);
// @ts-expect-error a missed tick runs once, or is skipped
app.function({ schedule: { cron: "* * * * *", missed: "all" } }, () => 1);
// @ts-expect-error retryOn says yes or no at once
app.function({ retries: { max: 1, retryOn: async () => true } }, () => 1);

new App("x", { queue: { maxWorkers: 4 }, concurrency: 8, retries: { max: 3, retryOn: (error) => error !== null } });
app.function({ timeoutS: undefined, retries: { max: 2, jitter: 0 } }, () => 1);
app.endpoint({ cors: { origins: ["https://example.com"], credentials: true } }, () => 1);

// With `input` the handler gets what the schema parses to, and a JobContext.
app.function({ input: z.object({ n: z.number() }) }, (input, context) => {
  const n: number = input.n;
  const given: JobContext = context;
  return [n, given];
});
// @ts-expect-error the schema's n is a number
app.function({ input: z.object({ n: z.number() }) }, (input: { n: string }) => input.n);
// @ts-expect-error the result is not what `output` takes
app.function({ input: z.string(), output: z.object({ n: z.number() }) }, () => ({ n: "1" }));
// @ts-expect-error input is a schema
app.function({ input: { type: "object" } }, (value: object) => value);

class Decorated {
  @app.endpoint("/one", { queue: {} })
  one(_progress: JobProgress) {}

  // @ts-expect-error a decorator stands on a method, not on a field
  @app.function()
  two = 2;

  // @ts-expect-error an unknown option in a decorator
  @app.endpoint("/three", { quue: {} })
  three() {}
}

export { Decorated };
