import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { AthanorError } from "../../protocol/errors.ts";
import type { AppSpec } from "../../protocol/spec.ts";

export type CompileAnswer = { text: string } | { refusal: string };

const WORKER = new URL(import.meta.url.endsWith(".ts") ? "compile-worker.ts" : "compile-worker.js", import.meta.url);

/**
 * Compiles the validators of a deployment in a thread of its own: it takes tens of milliseconds of pure computing that would hold up every
 * request, and the memory of Ajv and esbuild goes with the thread.
 * @throws AthanorError `deployment_invalid` where a schema does not compile.
 */
export async function compileInThread(spec: AppSpec): Promise<string> {
  const worker = new Worker(WORKER, { workerData: spec });
  try {
    const [answer] = (await once(worker, "message")) as [CompileAnswer];
    if ("text" in answer) return answer.text;
    throw new AthanorError("deployment_invalid", answer.refusal);
  } finally {
    await worker.terminate();
  }
}
