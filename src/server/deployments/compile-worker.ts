/** A thread that compiles the validators of one deployment; see validators.ts. */
import { parentPort, workerData } from "node:worker_threads";
import { AthanorError } from "../../protocol/errors.ts";
import { compileValidators } from "../../schema/compile.ts";
import type { CompileAnswer } from "./validators.ts";

const answer: CompileAnswer = await compileValidators(workerData).then(
  (text) => ({ text }),
  (error: unknown) => ({
    refusal: error instanceof AthanorError ? error.detail : `the schemas do not compile: ${(error as Error).message}`,
  }),
);
parentPort?.postMessage(answer);
// esbuild's helper process would keep the thread.
process.exit();
