import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import type { Readable, Writable } from "node:stream";
import type { ChildAnswer, ChildRequest } from "./manifest-messages.ts";

const CHILD = path.join(
  import.meta.dirname,
  import.meta.url.endsWith(".ts") ? "manifest-child.ts" : "manifest-child.js",
);
export const IMPORT_TIMEOUT_MS = 30_000;
const MAX_OUTPUT_CHARS = 64 * 1024;
const MAX_ANSWER_CHARS = 32 * 1024 * 1024;

/** What any process needs; whatever else the build's own environment holds, secrets above all, the imported code does not see. */
const PASSED = ["PATH", "HOME", "TMPDIR", "TMP", "TEMP", "LANG", "LC_ALL", "TZ", "SystemRoot"];

export interface Ended {
  /** Null: it ended without one. */
  answer: ChildAnswer | null;
  output: string;
  code: number | null;
  signal: string | null;
  timedOut: boolean;
}

/**
 * A process that imports one bundle.
 *
 *   waiting --import(): a request goes down its pipe--> importing --it has answered, ended, or taken too long--> ended
 *   waiting --dispose(), or the end of this process: the pipe closes--> ended
 */
export class ImportProcess {
  readonly #child: ChildProcess;
  readonly #ended: Promise<{ code: number | null; signal: string | null }>;
  #answer = "";
  #output = "";

  constructor(root: string) {
    const env = Object.fromEntries(
      PASSED.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
    );
    // A group of its own, so that what the code starts ends with it.
    const child = spawn(process.execPath, ["--enable-source-maps", "--no-warnings", CHILD], {
      cwd: root,
      env,
      detached: true,
      stdio: ["ignore", "pipe", "pipe", "pipe", "pipe"],
    });
    this.#child = child;
    this.#ended = this.#watchEnd();
    this.#ended.catch(() => {});
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.#output = (this.#output + text).slice(-MAX_OUTPUT_CHARS);
      });
    }
    (child.stdio[3] as Readable).setEncoding("utf8").on("data", (text: string) => {
      if (this.#answer.length < MAX_ANSWER_CHARS) this.#answer += text;
    });
    // It may end before it has read; how it ended says more.
    (child.stdio[4] as Writable).on("error", () => {});
  }

  /** It can still take a request. */
  get isWaiting(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  async import(request: ChildRequest): Promise<Ended> {
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      this.#killGroup();
    }, IMPORT_TIMEOUT_MS);
    try {
      (this.#child.stdio[4] as Writable).end(JSON.stringify(request));
      const { code, signal } = await this.#ended;
      return { answer: parse(this.#answer), output: this.#output, code, signal, timedOut };
    } finally {
      clearTimeout(timer);
    }
  }

  async dispose(): Promise<void> {
    this.#killGroup();
    await this.#ended.catch(() => {});
  }

  async #watchEnd(): Promise<{ code: number | null; signal: string | null }> {
    const closed = once(this.#child, "close");
    closed.catch(() => {});
    const [code, signal] = (await once(this.#child, "exit")) as [number | null, string | null];
    this.#killGroup();
    await closed;
    return { code, signal };
  }

  #killGroup(): void {
    if (this.#child.pid === undefined) return;
    try {
      process.kill(-this.#child.pid, "SIGKILL");
    } catch {
      // It has gone by itself.
    }
  }
}

function parse(text: string): ChildAnswer | null {
  try {
    return JSON.parse(text) as ChildAnswer;
  } catch {
    return null;
  }
}
