import { createHash } from "node:crypto";
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { AthanorError } from "../../protocol/errors.ts";
import type { AppSpec } from "../../protocol/spec.ts";

export type CompileAnswer = { text: string } | { refusal: string };

const WORKER = new URL(import.meta.url.endsWith(".ts") ? "compile-worker.ts" : "compile-worker.js", import.meta.url);
/** Most deploys change code and no schema. */
const MAX_KEPT = 8;

/** Compiles the validators of deployments, and keeps those of the newest, by what they are made of. */
export class ValidatorCompiler {
  readonly #kept = new Map<string, Promise<string>>();

  /** @throws AthanorError `deployment_invalid` where a schema does not compile. */
  compile(spec: AppSpec): Promise<string> {
    const key = keyOf(spec);
    const text = this.#kept.get(key) ?? compileInThread(spec);
    this.#kept.delete(key);
    this.#kept.set(key, text);
    text.catch(() => this.#kept.delete(key));
    if (this.#kept.size > MAX_KEPT) this.#kept.delete(this.#kept.keys().next().value as string);
    return text;
  }
}

/** Of all that compileValidators reads. */
function keyOf({ functions, $defs }: AppSpec): string {
  const parts = functions.map(({ name, input, output }) => [name, input, output.schema]);
  return createHash("sha256")
    .update(JSON.stringify([parts, $defs]))
    .digest("hex");
}

/**
 * In a thread of its own: it takes tens of milliseconds of pure computing that would hold up every request, and the memory of Ajv and esbuild goes
 * with the thread.
 */
async function compileInThread(spec: AppSpec): Promise<string> {
  const worker = new Worker(WORKER, { workerData: spec });
  try {
    const [answer] = (await once(worker, "message")) as [CompileAnswer];
    if ("text" in answer) return answer.text;
    throw new AthanorError("deployment_invalid", answer.refusal);
  } finally {
    await worker.terminate();
  }
}
