import { pathToFileURL } from "node:url";
import { AthanorError } from "../protocol/errors.ts";
import type { Bundle } from "./bundle.ts";
import { type Ended, IMPORT_TIMEOUT_MS, ImportProcess } from "./import-process.ts";
import { LaidOut } from "./laid-out.ts";
import type { ChildAnswer } from "./manifest-messages.ts";

const SHOWN_LINES = 15;

interface ImportRequest {
  bundle: Bundle;
  root: string;
  project: object;
}

/**
 * Imports bundles, each in a process of its own. `prepare` starts the next one ahead of its use: much of an import's time is the start
 * of Node.
 */
export class Importer implements AsyncDisposable {
  readonly #laidOut = new LaidOut();
  #next: { root: string; process: ImportProcess } | null = null;

  prepare(root: string): void {
    if (this.#next === null) this.#next = { root, process: new ImportProcess(root) };
  }

  /**
   * Returns what the bundle registered. Throws `import_failed` with the place in the user's own file where the import throws, ends the
   * process, or does not end.
   */
  async import(request: ImportRequest): Promise<ChildAnswer> {
    const [process, { dir, ...files }] = await Promise.all([
      this.#take(request.root),
      this.#laidOut.layOut(request.bundle),
    ]);
    try {
      const bundleUrl = pathToFileURL(files.bundlePath).href;
      const { root: projectDir, project } = request;
      return finish(await process.import({ ...files, bundleUrl, projectDir, project }), dir);
    } finally {
      await this.#laidOut.remove(dir);
    }
  }

  async dispose(): Promise<void> {
    const next = this.#next;
    this.#next = null;
    await Promise.all([next?.process.dispose(), this.#laidOut.dispose()]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  async #take(root: string): Promise<ImportProcess> {
    const next = this.#next;
    if (next?.root === root && next.process.isWaiting) {
      this.#next = null;
      return next.process;
    }
    this.#next = null;
    await next?.process.dispose();
    return new ImportProcess(root);
  }
}

function finish(ended: Ended, dir: string): ChildAnswer {
  const { answer } = ended;
  if (answer === null) throw failure(whyItEnded(ended), null, ended.output);
  if (answer.type === "threw") {
    const place = placeIn(answer.stack, dir);
    throw failure(
      place === null ? answer.message : `${place}: ${answer.message}`,
      stackOf(answer.stack, dir),
      ended.output,
    );
  }
  if (answer.type === "refused") {
    const place = placeIn(answer.stack ?? "", dir);
    const detail = place === null ? answer.detail : `${place}: ${answer.detail}`;
    throw new AthanorError(answer.code, detail, { hint: answer.hint });
  }
  return answer;
}

function whyItEnded({ timedOut, code, signal }: Ended): string {
  if (timedOut)
    return `the import did not end in ${IMPORT_TIMEOUT_MS / 1000} s; start nothing at the top of a file that it must wait for`;
  if (code === 13) return "an await at the top of a file never settles";
  return `the process ended during the import, with ${signal === null ? `status ${code}` : signal}`;
}

/** Lines of the stack that are in the project's own files, as `at f (src/app.ts:3:9)`. */
function stackOf(stack: string, dir: string): string | null {
  const own = stack.split("\n").filter((line) => line.includes(dir) && !/node_modules|athanor:/.test(line));
  const lines = own.map((line) => line.replaceAll(`file://${dir}/`, "").replaceAll(`${dir}/`, ""));
  return lines.length > 0 ? lines.slice(0, SHOWN_LINES).join("\n") : null;
}

/** `src/app.ts:3:9` of the topmost line in the project's own files. */
function placeIn(stack: string, dir: string): string | null {
  const line = stackOf(stack, dir)?.split("\n")[0];
  return /([^\s(]+:\d+:\d+)\)?$/.exec(line ?? "")?.[1] ?? null;
}

function failure(what: string, stack: string | null, output: string): AthanorError {
  const printed = output.trim().split("\n").slice(-SHOWN_LINES).join("\n");
  const parts = [what, stack, printed === "" ? null : `It printed:\n${printed}`];
  return new AthanorError("import_failed", parts.filter((part) => part !== null).join("\n"));
}
