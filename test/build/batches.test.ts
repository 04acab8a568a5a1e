/** Functions with `batch`: their schemas are those of one job's elements. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { FunctionSpec } from "../../src/protocol/spec.ts";
import { buildError, makeProject } from "./project.ts";

const HEAD = `import { App, ImageFile, type JobContext, type JobProgress, NonRetryableError } from "athanor";
import { z } from "zod";
const app = new App("demo");
`;

async function built(code: string): Promise<FunctionSpec> {
  await using project = await makeProject({ "app.ts": `${HEAD}${code}\n` }, ["zod"]);
  const [fn] = (await project.build()).spec.functions;
  assert.ok(fn);
  return fn;
}

test("each parameter is an array of what one job has, and so is the result", async () => {
  const fn = await built(
    "export const f = app.function({ batch: { maxSize: 8 } }, async (progress: JobProgress, texts: string[], whens: readonly Date[], ns: Array<number | undefined>) => texts.map((text) => ({ text })));",
  );
  assert.deepEqual(fn.batch, { maxSize: 8, waitMs: 10 });
  assert.equal(fn.concurrency, 8);
  assert.deepEqual(fn.input, {
    mode: "params",
    params: [
      { name: "progress", inject: "progress", optional: false, rest: false },
      { name: "texts", inject: null, optional: false, rest: false },
      { name: "whens", inject: null, optional: false, rest: false },
      { name: "ns", inject: null, optional: true, rest: false },
    ],
    schema: {
      type: "object",
      properties: {
        texts: { type: "string" },
        whens: { type: "string", format: "date-time", "x-athanor-type": "date" },
        ns: { type: "number" },
      },
      required: ["texts", "whens"],
      additionalProperties: false,
    },
  });
  assert.deepEqual(fn.output, {
    schema: { type: "object", properties: { text: { type: "string" } }, required: ["text"] },
    stream: false,
    standard: false,
  });
});

test("one array of objects: a job's body is its object", async () => {
  const fn = await built(
    "export const f = app.function({ batch: { maxSize: 2 } }, (questions: { text: string; most?: number }[]) => questions.map(({ text }) => text));",
  );
  assert.equal(fn.input.mode, "object");
  assert.deepEqual(fn.input.mode === "object" && fn.input.params.map(({ name }) => name), ["questions"]);
});

test("errors among the results are no part of the schema, whatever their class", async () => {
  const fn = await built(
    "class Own extends NonRetryableError {}\nexport const f = app.function({ batch: { maxSize: 2 } }, async (ns: number[]): Promise<(number | RangeError | Own)[]> => ns.map((n) => n > 1 ? new RangeError() : n > 0 ? new Own() : n));",
  );
  assert.deepEqual(fn.output.schema, { type: "number" });
});

test("of a queued endpoint, of a method, and with an own schema, which is that of one job", async () => {
  const endpoint = await built(
    'export const f = app.endpoint("/f", { queue: {}, batch: { maxSize: 2 } }, (pages: ImageFile[]) => pages.map(({ size }) => size));',
  );
  assert.equal(endpoint.queue?.maxWorkers, 2);
  const method = await built(
    "export class M { @app.function({ batch: { maxSize: 2 } }) async f(ns: number[]) { return ns; } }",
  );
  assert.deepEqual(method.output.schema, { type: "number" });
  const own = await built(
    "export const f = app.function({ batch: { maxSize: 2 }, input: z.object({ n: z.number() }), output: z.string() }, (inputs, _context) => inputs.map(({ n }) => String(n)));",
  );
  assert.deepEqual(own.input.mode === "standard" && (own.input.schema as { properties: object }).properties, {
    n: { type: "number" },
  });
  assert.deepEqual((own.output.schema as { type: string }).type, "string");
});

test("what does not fit is named with its parameter", async () => {
  const cases: [string, string, RegExp][] = [
    [
      "(text: string) => [text]",
      "build_failed",
      /app\.ts:4: f: parameter text: a function with `batch` takes an array.*`text: T\[\]`/,
    ],
    ["(ns: number[], more: string[] = []) => ns", "build_failed", /parameter more: .* without a default/],
    ["(...ns: number[]) => ns", "build_failed", /parameter ns: /],
    ["(ns: number[], more?: string[]) => ns", "build_failed", /parameter more: /],
    ["(_context: JobContext) => [1]", "build_failed", /f: a function with `batch` takes at least one array/],
    ["(ns: number[]): Map<string, number>[] => [new Map()]", "type_not_serialisable", /Map/],
    ["(ns: (() => void)[]) => [1]", "type_not_serialisable", /parameter ns/],
  ];
  for (const [handler, code, message] of cases) {
    const error = await buildError(
      {
        "app.ts": `${HEAD}export const f = app.function({ batch: { maxSize: 2 } }, ${handler});\n`,
      },
      ["zod"],
    );
    assert.equal(error.code, code, error.detail);
    assert.match(error.detail, message);
  }
  // TypeScript itself refuses a result that is no array; where it is silenced, the build does.
  const call = "app.function({ batch: { maxSize: 2 } }, ";
  await assert.rejects(built(`export const f = ${call}(ns: number[]) => ns.length);`), {
    code: "build_failed",
    message: /with `batch` the handler takes an array for each parameter, and returns an array/,
  });
  for (const [type, message] of [
    ["number", /f: result: a function with `batch` returns an array, .* but this returns `number`/],
    ["AsyncGenerator<number>", /returns `number` one by one/],
  ] as const) {
    const code = `declare const go: (ns: number[]) => ${type};\n// @ts-ignore\nexport const f = ${call}go);`;
    await assert.rejects(built(code), { code: "build_failed", message });
  }
});

test("batch must show in the types, on which the schemas hang", async () => {
  const error = await buildError(
    {
      "app.ts": `${HEAD}const options = { batch: { maxSize: 2 } } as object;\nexport const f = app.function(options, (ns: number[]) => ns);\n`,
    },
    ["zod"],
  );
  assert.equal(error.code, "option_invalid");
  assert.match(error.detail, /app\.ts:5: f: batch does not show in the options' type/);
});
