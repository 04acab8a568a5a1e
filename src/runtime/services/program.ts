/**
 * A program that is a service, in the replica's own process group, so that nothing of it outlives the replica.
 *
 *   running --it exits--> ended
 *   running --stop()--> stopping (SIGTERM, and SIGKILL after the grace) --it exits--> ended
 */
import { type ChildProcess, spawn } from "node:child_process";
import type { Readable } from "node:stream";
import { NewestBuffer } from "../../protocol/lines.ts";

const LAST_LINES = 20;
/** After its end its output is waited for so long: something that it started may hold the pipes. */
const LAST_WORDS_MS = 500;

export interface ProgramExit {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** `status 3`, `SIGKILL`, or why it could not be started. */
  how: string;
}

export interface ProgramOptions {
  command: readonly string[];
  cwd: string;
  env: NodeJS.ProcessEnv;
  write(fd: "stdout" | "stderr", bytes: Uint8Array): void;
  /** Each line that it writes to file descriptor 3, which it has where this is given. */
  onReport?(line: string): void;
}

export class Program {
  readonly exited: Promise<ProgramExit>;
  readonly #child: ChildProcess;
  readonly #lastStderr = new NewestBuffer<string>(LAST_LINES, 64 * 1024);
  #unfinished = "";

  constructor(options: ProgramOptions) {
    const [file = "", ...args] = options.command;
    const report = options.onReport === undefined ? [] : (["pipe"] as const);
    this.#child = spawn(file, args, {
      cwd: options.cwd,
      env: options.env,
      stdio: ["ignore", "pipe", "pipe", ...report],
    });
    this.#child.stdout?.on("data", (bytes: Buffer) => options.write("stdout", bytes));
    this.#child.stderr?.on("data", (bytes: Buffer) => {
      options.write("stderr", bytes);
      this.#keep(bytes);
    });
    if (options.onReport !== undefined) onLines(this.#child.stdio[3] as Readable, options.onReport);
    this.exited = this.#end();
  }

  /** The newest lines that it wrote to stderr, oldest first. */
  takeLastStderr(): string[] {
    const { items } = this.#lastStderr.take();
    return this.#unfinished === "" ? items : [...items, this.#unfinished];
  }

  /** Repeatable; resolves when it has gone. */
  async stop(graceMs: number): Promise<ProgramExit> {
    this.#child.kill("SIGTERM");
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), graceMs);
    try {
      return await this.exited;
    } finally {
      clearTimeout(timer);
    }
  }

  #keep(bytes: Buffer): void {
    const lines = (this.#unfinished + bytes.toString()).split("\n");
    this.#unfinished = (lines.pop() ?? "").slice(-4096);
    for (const line of lines) this.#lastStderr.push(line, line.length);
  }

  async #end(): Promise<ProgramExit> {
    const { promise, resolve: over } = Promise.withResolvers<void>();
    this.#child.once("close", () => over());
    const exit = await new Promise<ProgramExit>((resolve) => {
      this.#child.once("exit", (code, signal) => resolve({ code, signal, how: signal ?? `status ${code}` }));
      this.#child.once("error", (error) => {
        if (this.#child.pid === undefined) resolve({ code: null, signal: null, how: error.message });
      });
    });
    const timer = setTimeout(over, LAST_WORDS_MS);
    await promise;
    clearTimeout(timer);
    return exit;
  }
}

function onLines(pipe: Readable, listener: (line: string) => void): void {
  let text = "";
  pipe.setEncoding("utf8").on("data", (piece: string) => {
    const lines = (text + piece).split("\n");
    text = lines.pop() ?? "";
    for (const line of lines) listener(line);
  });
  pipe.on("error", () => {});
}
