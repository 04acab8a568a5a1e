import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const CLI = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

const OUTPUT_TIMEOUT_MS = 60_000;

export interface CliResult {
  /** Null: ended by a signal. */
  status: number | null;
  stdout: string;
  stderr: string;
}

export interface CliOptions {
  env: Record<string, string>;
  cwd?: string;
  input?: string;
  /** Its stdin stays open, for `type`. */
  keepStdin?: boolean;
  /** On a terminal of its own. */
  terminal?: boolean;
}

/** A run of `athanor`, as a process of its own. */
export class CliRun {
  stdout = "";
  stderr = "";
  readonly ended: Promise<CliResult>;
  readonly #child: ChildProcess;
  #onOutput = Promise.withResolvers<void>();

  constructor(args: string[], options: CliOptions) {
    const { PATH = "", HOME = "" } = process.env;
    const own = [process.execPath, CLI, ...args];
    const quoted = own.map((arg) => `'${arg.replaceAll("'", "'\\''")}'`).join(" ");
    const [file = "", ...rest] = options.terminal ? ["script", "-qefc", `exec ${quoted}`, "/dev/null"] : own;
    this.#child = spawn(file, rest, {
      env: { PATH, HOME, ...options.env },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      stdio: "pipe",
    });
    this.#child.stdin?.on("error", () => {});
    if (!options.keepStdin) this.#child.stdin?.end(options.input ?? "");
    this.#collect("stdout");
    this.#collect("stderr");
    this.ended = new Promise((resolve, reject) => {
      this.#child.once("error", reject);
      this.#child.once("close", (status) => {
        resolve({ status, stdout: this.stdout, stderr: this.stderr });
        this.#onOutput.resolve();
      });
    });
  }

  #collect(name: "stdout" | "stderr"): void {
    this.#child[name]?.setEncoding("utf8").on("data", (text: string) => {
      this[name] += text;
      this.#onOutput.resolve();
      this.#onOutput = Promise.withResolvers();
    });
  }

  /** Resolves when the output matches; rejects where the process ends first, or nothing of the kind comes for long. */
  async until(name: "stdout" | "stderr", pattern: RegExp): Promise<RegExpExecArray> {
    const late = AbortSignal.timeout(OUTPUT_TIMEOUT_MS);
    for (;;) {
      if (late.aborted) throw new Error(`${name} never had ${pattern}:\n${this.stdout}\n${this.stderr}`);
      const match = pattern.exec(this[name]);
      if (match) return match;
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) {
        const { status } = await this.ended;
        const last = pattern.exec(this[name]);
        if (last) return last;
        throw new Error(`athanor ended with ${status} before ${name} had ${pattern}:\n${this.stdout}\n${this.stderr}`);
      }
      await Promise.race([this.#onOutput.promise, once(late, "abort")]);
    }
  }

  /** As on a keyboard. */
  type(keys: string): void {
    this.#child.stdin?.write(keys);
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill("SIGKILL");
    await this.ended;
  }
}

export async function temporaryFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), "athanor-cli-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
