/** Functions whose input and output are schemas of the user's own library, for standard-schema.test.ts. */
import { type } from "arktype";
import { App, type JobContext } from "athanor";
import * as v from "valibot";
import { z } from "zod";

const app = new App("schemas");

const Order = z.object({
  item: z.string().min(1),
  count: z.number().int().min(1).default(1),
  on: z.string().transform((text) => new Date(text)),
});
const Total = z.object({ total: z.number().max(100) });
const work = (order: z.output<typeof Order>, context: JobContext) => {
  if (!(order.on instanceof Date)) throw new TypeError("the transform has not run");
  context.log(`attempt ${context.attempt}`);
  return { total: order.count * 10 };
};
export const zod = app.endpoint("/zod", { input: Order, output: Total }, work);
export const zodQueued = app.endpoint("/zod-queued", { input: Order, output: Total, queue: {} }, work);

const Name = v.pipe(
  v.object({ name: v.pipe(v.string(), v.trim(), v.minLength(2, "two characters or more")) }),
  v.transform(({ name }) => name.toUpperCase()),
);
export const valibot = app.endpoint("/valibot", { input: Name }, (name) => name);
export const valibotJob = app.function({ input: Name }, (name) => name);

const Range = type({ from: "number", to: "number" }).narrow(
  (range, ctx) => range.from < range.to || ctx.mustBe("ascending"),
);
export const arktype = app.endpoint("/arktype", { input: Range }, ({ from, to }) => to - from);
