/** The types of handles, in the app's own code and through the client. Checked by tsc; nothing here runs. */
import type { ImageFile, JobHandle } from "../../src/index.ts";
import { Client } from "../../src/sdk/client/index.ts";
import * as demo from "./demo-app.ts";
import { expectSame } from "./equal.ts";

// Injected parameters are not arguments; defaults and `?` stay optional.
expectSame<Parameters<typeof demo.generate.remote>, [prompt: string, steps?: number | undefined]>();
expectSame<Parameters<typeof demo.withOptions.remote>, [string]>();
expectSame<Parameters<typeof demo.nothing.remote>, []>();
expectSame<Parameters<typeof demo.hook.remote>, []>();
expectSame<Parameters<typeof demo.rest.remote>, [first: number, ...others: string[]]>();
// biome-ignore lint/suspicious/noExplicitAny: any stays any, and is no injected parameter
expectSame<Parameters<typeof demo.untyped.remote>, [value: any]>();

// Results are the function's own types: what JSON cannot hold is decoded.
expectSame<Awaited<ReturnType<typeof demo.infer.remote>>, string>();
expectSame<Awaited<ReturnType<typeof demo.plain.remote>>, { when: Date; amount: bigint; raw: Uint8Array }>();
expectSame<Awaited<ReturnType<typeof demo.read.remote>>, { page: ImageFile; language: string | undefined }>();
expectSame<Awaited<ReturnType<typeof demo.nothing.remote>>, null>();
expectSame<Awaited<ReturnType<typeof demo.maybe.remote>>, string | null>();
expectSame<Awaited<ReturnType<typeof demo.infer.spawn>>, JobHandle<string, never>>();

// A generator's chunks are typed, and its result is null.
expectSame<Awaited<ReturnType<typeof demo.count.spawn>>, JobHandle<null, { i: number }>>();

expectSame<Awaited<ReturnType<typeof demo.countSync.spawn>>, JobHandle<null, number>>();
expectSame<Awaited<ReturnType<typeof demo.list.spawn>>, JobHandle<string[], never>>();

// An own schema: arguments are what goes into it, results what JSON makes of what comes out.
expectSame<Parameters<typeof demo.parsed.remote>, [input: { n: string }]>();
expectSame<Awaited<ReturnType<typeof demo.parsed.remote>>, { at: string }>();
expectSame<Parameters<typeof demo.parsedInputOnly.remote>, [input: { name: string }]>();
expectSame<Awaited<ReturnType<typeof demo.parsedInputOnly.remote>>, number>();

// A batch: the handler takes arrays, callers pass and get elements; an Error among the results is no result.
expectSame<Parameters<typeof demo.embed.remote>, [texts: string, dims: number]>();
expectSame<Awaited<ReturnType<typeof demo.embed.remote>>, number[]>();
expectSame<Parameters<typeof demo.tag.remote>, [ImageFile]>();
expectSame<Awaited<ReturnType<typeof demo.tag.remote>>, string>();
expectSame<Parameters<typeof demo.parsedBatch.remote>, [input: { n: string }]>();
expectSame<Awaited<ReturnType<typeof demo.parsedBatch.remote>>, { at: string }>();
expectSame<Parameters<typeof demo.parsedBatchInputOnly.remote>, [input: string]>();
expectSame<Awaited<ReturnType<typeof demo.parsedBatchInputOnly.remote>>, number>();

expectSame<typeof demo.hello.serviceUrl, string | null>();

// map and its kin: over single arguments, or lists of them.
expectSame<ReturnType<typeof demo.infer.with>, typeof demo.infer>();

export async function many(): Promise<void> {
  for await (const out of demo.infer.map(["a"], { concurrency: 8, ordered: false })) expectSame<typeof out, string>();
  for await (const out of demo.infer.map(new Set(["a"]), { errors: "collect" }))
    expectSame<typeof out, string | Error>();
  for await (const out of demo.rest.starmap([[1, "a", "b"], [2]])) expectSame<typeof out, number>();
  for await (const out of demo.generate.map(["defaults are left out"])) expectSame<typeof out.steps, number>();
  for await (const out of demo.count.remoteStream(3)) expectSame<typeof out, { i: number }>();
  for await (const out of demo.parsedBatchInputOnly.map(["a"])) expectSame<typeof out, number>();
  const handles = await demo.generate.spawnMany([["a"], ["b", 20]]);
  expectSame<typeof handles, JobHandle<{ prompt: string; steps: number }, never>[]>();
  const counts: { succeeded: number; failed: number } = await demo.infer.forEach(handles.map(({ id }) => id));
  const again: JobHandle<null, never> = await (await demo.nightly.spawn()).replay();
  await demo.infer.with({ priority: 1, runAt: new Date(), webhook: { url: "https://x", secret: "s" } }).spawn("a");
  // @ts-expect-error an unknown option of a call
  demo.infer.with({ delay: 5 });
  // @ts-expect-error inputs of another type
  demo.infer.map([1]);
  // @ts-expect-error two arguments are needed
  demo.embed.spawnMany([["a"]]);
  // @ts-expect-error a function of two arguments is called with lists
  demo.plain.map([new Date()]);
  // @ts-expect-error counts are counted, not ordered
  await demo.infer.forEach(["a"], { ordered: true });
  demo.infer.remoteEvents(["a"], { events: ["job.progress", "job.result"] });
  // @ts-expect-error there is no such event
  demo.infer.remoteEvents(["a"], { events: ["job.done"] });
  return void [counts, again];
}

export async function inCode(): Promise<void> {
  // @ts-expect-error a missing argument
  await demo.infer.remote();
  // @ts-expect-error an argument of another type
  await demo.infer.remote(1);
  // @ts-expect-error one argument too many
  await demo.infer.remote("a", "b");
  // @ts-expect-error progress is injected, not passed
  await demo.generate.remote({}, "a");
  for await (const event of demo.count.remoteEvents([3], { snapshot: true })) {
    if (event.event === "job.chunk") expectSame<typeof event.data.value, { i: number }>();
    if (event.event === "job.progress") expectSame<typeof event.data.progress, number>();
  }
  expectSame<typeof demo.app.functions.anything, import("../../src/index.ts").UntypedHandle | undefined>();
  const id: string = await demo.app.deploy();
  expectSame<typeof id, string>();
}

export async function fromAnotherProgram(): Promise<void> {
  const client = new Client({ url: "http://127.0.0.1:7700", token: "t" });
  const app = client.app<typeof import("./demo-app.ts")>("demo");
  expectSame<Awaited<ReturnType<typeof app.infer.remote>>, string>();
  expectSame<Parameters<typeof app.generate.remote>, [prompt: string, steps?: number | undefined]>();
  // Methods of exported classes.
  expectSame<Parameters<typeof app.Whisper.transcribe.remote>, [audio: Uint8Array]>();
  expectSame<Awaited<ReturnType<typeof app.Whisper.summarise.remote>>, { text: string; words: number }>();
  // @ts-expect-error an export that is no function
  app.notAFunction;
  // @ts-expect-error an export that there is not
  app.missing;
  // @ts-expect-error the handle is typed by the function
  await app.infer.remote(42);
  await app.functions.infer?.remote("by name");
  const job = client.job<string>("jobs:1");
  expectSame<Awaited<ReturnType<typeof job.result>>, string>();
  // @ts-expect-error without types there is only `functions`
  client.app("demo").infer;
}
