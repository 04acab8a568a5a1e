import type { Json } from "../protocol/json.ts";
import { withInlineMedia } from "../runtime/inline-media.ts";
import { argumentsOf, chunksOf, encode, type Injected, invoke, invokeBatch } from "../runtime/invoke.ts";
import type { LoadedFunction } from "../runtime/load.ts";
import { bodyFromCall } from "../schema/call-body.ts";
import { checkInput } from "../schema/check.ts";
import { extractMedia } from "../schema/extract.ts";
import { wireArguments } from "../sdk/client/arguments.ts";
import { revive } from "../sdk/client/revive.ts";
import type { OpenApp } from "../serve/open-app.ts";

/** A function's result, or the chunks of a generator. */
export type Invoked<R, C> = [C] extends [never] ? R : C[];

/** What the server, the runtime and the client do of a job, one after the other. */
export async function invokeFunction(app: OpenApp, fn: LoadedFunction, given: readonly unknown[]): Promise<unknown> {
  const { loaded } = app;
  const { spec } = fn;
  const call = await wireArguments([...given], async () => spec);
  const { body, attachments } = extractMedia(spec, loaded.$defs, bodyFromCall(spec, call));
  // A schema of the user's own judges by itself.
  if (spec.input.mode !== "standard") checkInput({ fn: spec.name, validators: loaded.validators, body });
  const injected = nothingInjected();
  if (spec.batch !== null) {
    const args = await argumentsOf({ app: loaded, fn, body, attachments });
    const [result] = (await invokeBatch({ fn, jobs: [args], injected })) as unknown[];
    if (result instanceof Error) throw result;
    return received(app, fn, result);
  }
  const value = await invoke({ app: loaded, fn, body, attachments, injected });
  const chunks = chunksOf(fn, value);
  if (chunks === null) return received(app, fn, value);
  const made: unknown[] = [];
  for await (const chunk of chunks) made.push(await received(app, fn, chunk));
  return made;
}

/** As the caller of a job gets it. */
async function received({ loaded }: OpenApp, fn: LoadedFunction, value: unknown): Promise<unknown> {
  const wire = JSON.parse(JSON.stringify(withInlineMedia(await encode(loaded, fn, value)))) as Json;
  const { schema } = fn.spec.output;
  return revive(wire, { schema, $defs: loaded.$defs, fetchBytes });
}

function fetchBytes(): Promise<never> {
  throw new Error("media of a call in this process come with their bytes");
}

function nothingInjected(): Injected {
  return {
    jobId: null,
    attempt: 1,
    batch: null,
    traceparent: () => null,
    signal: () => new AbortController().signal,
    progress: () => {},
    request: () => undefined,
  };
}
