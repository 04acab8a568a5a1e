/** Functions with `batch`, in a real replica: several jobs in one call of the handler, each with an answer of its own. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { FunctionSpec } from "../../src/protocol/spec.ts";
import type { JobAnswer, JobCall, StartingReplica } from "../../src/server/replicas/session.ts";
import { listen, openJob, params, ReplicaHarness } from "./harness.ts";

const TEXT = { type: "string" } as const;
const NUMBER = { type: "number" } as const;
const DATE = { type: "string", "x-athanor-type": "date" } as const;
const IMAGE = { "x-athanor-type": "image" } as const;
/** 1 by 1 pixels. */
const PNG = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
  "base64",
);
/** Long enough that a batch of these tests starts because it is full, or because nothing else is open to come. */
const FOREVER_MS = 60_000;

let harness: ReplicaHarness;
before(async () => {
  harness = await ReplicaHarness.start();
});
after(() => harness[Symbol.asyncDispose]());

function replica(code: string, spec: Partial<FunctionSpec>): Promise<StartingReplica> {
  return harness.replica({ code, functions: [{ name: "f", concurrency: 10, ...spec }] });
}

function open(session: StartingReplica, input: object, n = 1, on = listen()): JobCall {
  return session.openJob(openJob("f", input as never, { jobId: `jobs:${n}` }), [], on);
}

function values(answers: JobAnswer[]): unknown[] {
  return answers.map((answer) =>
    answer.type === "result" ? answer.value : answer.type === "error" ? answer.error : answer,
  );
}

function codes(answers: JobAnswer[]): (string | null)[] {
  return answers.map((answer) => (answer.type === "error" ? answer.error.code : null));
}

test("a full batch is one call: each parameter an array, each job its own result", async () => {
  const session = await replica(
    `fn("f", (texts, context, ns) => texts.map((text, i) => text.repeat(ns[i]) + texts.length));`,
    {
      batch: { maxSize: 3, waitMs: FOREVER_MS },
      input: params({ texts: TEXT, context: "context", ns: NUMBER }),
      output: { schema: TEXT, stream: false, standard: false },
    },
  );
  const jobs = ["a", "b", "c"].map((texts, i) => open(session, { texts, ns: i + 1 }).answer);
  assert.deepEqual(values(await Promise.all(jobs)), ["a3", "bb3", "ccc3"]);
  await session.kill();
});

test("a batch that is not full starts after its time, and without one at the end of the turn", async () => {
  const spec = { input: params({ texts: TEXT }) };
  const code = `fn("f", (texts) => texts.map((text) => text + texts.length));`;
  for (const waitMs of [1, 0]) {
    const session = await replica(code, { ...spec, batch: { maxSize: 10, waitMs } });
    const jobs = ["a", "b"].map((texts) => open(session, { texts }).answer);
    assert.deepEqual(values(await Promise.all(jobs)), ["a2", "b2"]);
    await session.kill();
  }
});

test("dates and images are made of each job's input, and of each job's result", async () => {
  const session = await replica(
    `fn("f", async (whens, pictures) => pictures.map((picture, i) => [whens[i].getTime(), picture.size, picture.fileName]));`,
    { batch: { maxSize: 2, waitMs: FOREVER_MS }, input: params({ whens: DATE, pictures: IMAGE }) },
  );
  const jobs = [1, 2].map((n) => {
    const picture = { $media: 0, file_name: `${n}.png`, content_type: "image/png" };
    const message = openJob(
      "f",
      { whens: new Date(n).toISOString(), pictures: picture },
      { media: [{ size: PNG.length }] },
    );
    return session.openJob(message, [PNG], listen()).answer;
  });
  assert.deepEqual(values(await Promise.all(jobs)), [
    [1, PNG.length, "1.png"],
    [2, PNG.length, "2.png"],
  ]);
  await session.kill();
});

test("an Error among the results fails its own job; a result of the wrong type too", async () => {
  const session = await replica(
    `fn("f", (ns) => ns.map((n) => n === 1 ? new RangeError("one") : n === 2 ? "two" : n === 3 ? Object.assign(new Error("never"), { retryable: false }) : n));`,
    {
      batch: { maxSize: 4, waitMs: FOREVER_MS },
      input: params({ ns: NUMBER }),
      output: { schema: NUMBER, stream: false, standard: false },
    },
  );
  const answers = await Promise.all([1, 2, 3, 4].map((ns) => open(session, { ns }).answer));
  assert.deepEqual(codes(answers), ["handler_error", "output_invalid", "handler_error", null]);
  assert.deepEqual(
    answers.map((answer) => answer.type === "error" && answer.retryable),
    [true, true, false, false],
  );
  assert.match(JSON.stringify(values(answers)[0]), /RangeError: one/);
  await session.kill();
});

test("what the handler throws is the answer of every job, and so is a result that is no array of their number", async () => {
  const session = await replica(
    `fn("f", (ns) => { if (ns[0] === 1) throw new Error("all"); if (ns[0] === 2) return [1]; return "text"; });`,
    { batch: { maxSize: 2, waitMs: FOREVER_MS }, input: params({ ns: NUMBER }) },
  );
  for (const [ns, code, message] of [
    [1, "handler_error", /^all$/],
    [2, "output_invalid", /returned 1 results for a batch of 2 jobs/],
    [3, "output_invalid", /returned no array/],
  ] as const) {
    const answers = await Promise.all([open(session, { ns }).answer, open(session, { ns }).answer]);
    assert.deepEqual(codes(answers), [code, code]);
    for (const answer of answers) assert.match(answer.type === "error" ? answer.error.message : "", message);
  }
  await session.kill();
});

test("a job that is stopped while it is gathered is left out", async () => {
  const session = await replica(`fn("f", (texts) => texts.map((text) => text + texts.length));`, {
    batch: { maxSize: 2, waitMs: FOREVER_MS },
    input: params({ texts: TEXT }),
  });
  const first = open(session, { texts: "a" });
  first.cancel("cancelled");
  assert.deepEqual(codes([await first.answer]), ["cancelled"]);
  const others = [open(session, { texts: "b" }).answer, open(session, { texts: "c" }).answer];
  assert.deepEqual(values(await Promise.all(others)), ["b2", "c2"]);
  await session.kill();
});

test("a job that is stopped in a running batch is answered at once, and the others get their results", async () => {
  const session = await replica(
    `fn("f", async (context, texts) => {
       console.log("running " + context.jobId + " " + context.batch.map((job) => job.jobId + "/" + job.attempt));
       await new Promise((resolve) => context.batch[0].signal.addEventListener("abort", resolve));
       console.log(context.signal.aborted ? "all stopped" : "one stopped");
       await new Promise(setImmediate);
       return texts;
     });`,
    { batch: { maxSize: 2, waitMs: FOREVER_MS }, input: params({ context: "context", texts: TEXT }) },
  );
  const running = Promise.withResolvers<void>();
  const heard = [listen(), listen()] as const;
  const first = open(session, { texts: "a" }, 1, { ...heard[0], log: () => running.resolve() });
  const second = open(session, { texts: "b" }, 2, heard[1]);
  await running.promise;
  first.cancel("cancelled");
  assert.deepEqual(codes([await first.answer]), ["cancelled"]);
  assert.deepEqual(values([await second.answer]), ["b"]);
  assert.deepEqual(heard[1].text(), ["running null jobs:1/1,jobs:2/1", "one stopped"]);
  await session.kill();
});

test("the handler's signal aborts once all its jobs are stopped, and the last is answered at its end", async () => {
  const session = await replica(
    `fn("f", (context, texts) => new Promise((_, reject) => {
       console.log("running");
       context.signal.addEventListener("abort", () => { console.log("aborted"); reject(context.signal.reason); });
     }));`,
    { batch: { maxSize: 2, waitMs: FOREVER_MS }, input: params({ context: "context", texts: TEXT }) },
  );
  const running = Promise.withResolvers<void>();
  const heard = listen();
  const first = open(session, { texts: "a" }, 1, { ...listen(), log: () => running.resolve() });
  const second = open(session, { texts: "b" }, 2, heard);
  await running.promise;
  first.cancel("cancelled");
  second.cancel("timeout");
  assert.deepEqual(codes(await Promise.all([first.answer, second.answer])), ["cancelled", "timeout"]);
  assert.deepEqual(heard.text(), ["running", "aborted"]);
  await session.kill();
});

test("progress and log lines are those of every job of the batch", async () => {
  const session = await replica(
    `fn("f", async (progress, ns) => { progress.setStatus(0.5, "half"); console.log("line"); await null; return ns; });`,
    { batch: { maxSize: 2, waitMs: FOREVER_MS }, input: params({ progress: "progress", ns: NUMBER }) },
  );
  const heard = [listen(), listen()];
  await Promise.all(heard.map((on, ns) => open(session, { ns }, ns, on).answer));
  for (const on of heard) assert.deepEqual([on.progressed, on.text()], [[[0.5, "half"]], ["line"]]);
  await session.kill();
});

test("an error that nothing caught fails all jobs of the batch, and the replica leaves", async () => {
  const session = await replica(
    `fn("f", () => { setTimeout(() => { throw new Error("out of band") }, 1); return new Promise(() => {}) });`,
    { batch: { maxSize: 2, waitMs: FOREVER_MS }, input: params({ ns: NUMBER }) },
  );
  const answers = await Promise.all([1, 2].map((ns) => open(session, { ns }).answer));
  assert.deepEqual(codes(answers), ["handler_error", "handler_error"]);
  await session.ended;
});

test("a Standard Schema parses each job's input and result by itself", async () => {
  const session = await replica(
    `const upper = { "~standard": { version: 1, vendor: "test", validate: (value) => typeof value === "string" ? { value: value.toUpperCase() } : { issues: [{ message: "text" }] } } };
     fn("f", (inputs, context) => inputs.map((input) => input.startsWith("X") ? 1 : "<" + input + context.batch.length + ">"), { input: upper, output: upper });`,
    {
      batch: { maxSize: 3, waitMs: FOREVER_MS },
      input: { mode: "standard", schema: null },
      output: { schema: null, stream: false, standard: true },
    },
  );
  const wrong = await session.openJob(openJob("f", 5), [], listen()).answer;
  assert.deepEqual(codes([wrong]), ["input_invalid"]);
  const answers = await Promise.all(
    ["a", "b", "x"].map((text) => session.openJob(openJob("f", text), [], listen()).answer),
  );
  assert.deepEqual(codes(answers), [null, null, "output_invalid"]);
  assert.deepEqual(values(answers.slice(0, 2)), ["<A3>", "<B3>"]);
  await session.kill();
});
