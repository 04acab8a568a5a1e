import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { rm } from "node:fs/promises";
import type { Readable } from "node:stream";
import { StringDecoder } from "node:string_decoder";
import { SERVER_DEFAULTS } from "../protocol/defaults.ts";
import { droppedLinesMark, LineSplitter, NewestBuffer, newestLines } from "../protocol/lines.ts";
import type { ReplicaExit, ReplicaProcess } from "./engine.ts";
import { family, type ProcessEntry, processesWithEnv, processTable, sendSignal } from "./process-table.ts";

/** Lines of one read of a pipe that are passed on; a flood's older ones are dropped. */
const MAX_LINES_PER_READ = 1000;
const LAST_STDERR_LINES = 20;
/** Pipes that something still holds open after the group's end are given up after this. */
const PIPE_CLOSE_MS = 1000;
const GONE_POLL_MS = 10;
const GONE_MAX_MS = 5000;

export interface ChildOptions {
  replicaId: string;
  /** node, and the arguments that come before the program's own. */
  command: string[];
  workDir: string;
  env: Record<string, string>;
  token: string;
}

type OnLine = (stream: "stdout" | "stderr", line: string) => void;

/**
 * One process of the runtime and all that it starts.
 *
 *   running --stop()-->        stopping   SIGTERM, and SIGKILL to the group after the grace
 *   running --over memoryMb--> stopping   SIGKILL to the group
 *   running, stopping --exit of the process--> ending   SIGKILL to what is left of the group; pipes read to their end
 *   ending  --all gone-->      ended      workDir is deleted, `exited` resolves
 */
export class ReplicaChild implements ReplicaProcess {
  readonly token: string;
  readonly workDir: string;
  readonly pid: number | null;
  readonly exited: Promise<ReplicaExit>;
  replicaId: string;
  env: Record<string, string>;
  /** Null: not limited yet. */
  memoryLimitBytes: number | null = null;
  memoryPeakBytes = 0;
  readonly #child: ChildProcess;
  readonly #listeners: OnLine[] = [];
  readonly #lastStderr = new NewestBuffer<string>(LAST_STDERR_LINES, Number.POSITIVE_INFINITY);
  readonly #strays = new Map<number, ProcessEntry>();
  #stopRequested = false;
  #overMemory = false;
  #killTimer: NodeJS.Timeout | null = null;
  #processGone = false;

  constructor(options: ChildOptions) {
    this.replicaId = options.replicaId;
    this.token = options.token;
    this.workDir = options.workDir;
    this.env = options.env;
    const [file, ...args] = options.command as [string, ...string[]];
    this.#child = spawn(file, args, {
      detached: true,
      cwd: options.workDir,
      env: options.env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.pid = this.#child.pid ?? null;
    this.#capture("stdout", this.#child.stdout);
    this.#capture("stderr", this.#child.stderr);
    this.exited = this.#watchEnd();
  }

  onLine(listener: OnLine): void {
    this.#listeners.push(listener);
  }

  stop(p: { graceMs: number }): Promise<ReplicaExit> {
    this.#stopRequested = true;
    if (this.#processGone || this.pid === null) return this.exited;
    if (p.graceMs <= 0) this.#killAll();
    else {
      sendSignal(this.pid, "SIGTERM");
      if (this.#killTimer) clearTimeout(this.#killTimer);
      this.#killTimer = setTimeout(() => this.#killAll(), p.graceMs);
    }
    return this.exited;
  }

  killOverMemory(): void {
    this.#overMemory = true;
    this.#killAll();
  }

  /** Groups of their own that its descendants made. */
  get strayGroups(): Set<number> {
    return new Set([...this.#strays.values()].map((stray) => stray.group));
  }

  /** What the memory watch saw: those of its family who left its group are remembered, so that they end with it. */
  sawFamily(members: ProcessEntry[], table: readonly ProcessEntry[]): void {
    const alive = new Map(table.map((entry) => [entry.pid, entry.startedAt]));
    for (const stray of this.#strays.values())
      if (alive.get(stray.pid) !== stray.startedAt) this.#strays.delete(stray.pid);
    for (const member of members) if (member.group !== this.pid) this.#strays.set(member.pid, member);
  }

  #capture(stream: "stdout" | "stderr", pipe: Readable | null): void {
    const emit = (line: string) => {
      if (stream === "stderr") this.#lastStderr.push(line, 0);
      for (const listener of this.#listeners) listener(stream, line);
    };
    const splitter = new LineSplitter(emit, SERVER_DEFAULTS.maxLogLineBytes);
    let decoder = new StringDecoder("utf8");
    pipe?.on("data", (piece: Buffer) => {
      const { bytes, dropped } = newestLines(piece, MAX_LINES_PER_READ);
      if (dropped > 0) {
        // The bytes before the first kept line are gone, and with them what the decoder and the splitter held of them.
        decoder = new StringDecoder("utf8");
        splitter.push("\n");
        emit(droppedLinesMark(dropped));
      }
      splitter.push(decoder.write(bytes as Buffer));
    });
    pipe?.on("end", () => {
      splitter.push(decoder.end());
      splitter.end();
    });
    pipe?.on("error", () => {});
  }

  async #watchEnd(): Promise<ReplicaExit> {
    const closed = once(this.#child, "close").catch(() => {});
    const { code, signal } = await this.#processEnd();
    this.#processGone = true;
    if (this.#killTimer) clearTimeout(this.#killTimer);
    this.#killAll();
    await this.#allGone();
    await Promise.race([closed, this.#givePipesUp()]);
    await rm(this.workDir, { recursive: true, force: true, maxRetries: 3 }).catch(() => {});
    const lastStderr = this.#lastStderr.take().items;
    return {
      code,
      signal,
      reason: this.#reason(signal, lastStderr),
      memoryMb: this.memoryPeakBytes === 0 ? null : Math.ceil(this.memoryPeakBytes / 2 ** 20),
      lastStderr,
    };
  }

  #processEnd(): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
    return new Promise((resolve) => {
      this.#child.once("exit", (code, signal) => resolve({ code, signal }));
      this.#child.once("error", (error) => {
        // Failed to start; an error later (a signal that could not be sent) is followed by an exit.
        if (this.pid === null) {
          this.#lastStderr.push(`The process could not be started: ${error.message}`, 0);
          resolve({ code: null, signal: null });
        }
      });
    });
  }

  #reason(signal: string | null, lastStderr: string[]): ReplicaExit["reason"] {
    // V8 aborts when its own heap limit is reached, which is below memoryMb only where that is very large.
    const heapFull = signal === "SIGABRT" && lastStderr.some((line) => line.includes("heap out of memory"));
    if (this.#overMemory || heapFull) return "memory";
    return this.#stopRequested ? "stopped" : "self";
  }

  #killAll(): void {
    if (this.pid === null) return;
    sendSignal(-this.pid, "SIGKILL");
    for (const stray of this.#strays.keys()) sendSignal(stray, "SIGKILL");
  }

  /** Waits until nothing of it is alive; a process in the kernel's hands may take a moment. */
  async #allGone(): Promise<void> {
    if (this.pid === null) return;
    for (let waitedMs = 0; waitedMs < GONE_MAX_MS; waitedMs += GONE_POLL_MS) {
      const left = await this.#left(this.pid);
      if (left.length === 0) return;
      for (const pid of left) sendSignal(pid, "SIGKILL");
      await new Promise((resolve) => setTimeout(resolve, GONE_POLL_MS));
    }
  }

  /** Who is alive of the group, of those seen to leave it, and of those who inherited its environment. */
  async #left(pid: number): Promise<number[]> {
    const table = await processTable();
    const left = new Set(family(table, pid).map((member) => member.pid));
    for (const stray of this.#strays.values()) {
      // A pid that was given to another process meanwhile is none of ours.
      const same = table.some((entry) => entry.pid === stray.pid && entry.startedAt === stray.startedAt);
      if (same) for (const member of family(table, stray.pid)) left.add(member.pid);
      else this.#strays.delete(stray.pid);
    }
    for (const heir of await processesWithEnv(`HOME=${this.workDir}`)) left.add(heir);
    return [...left];
  }

  async #givePipesUp(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, PIPE_CLOSE_MS).unref());
    this.#child.stdout?.destroy();
    this.#child.stderr?.destroy();
  }
}

/** 256 bits, in text that an environment can hold. */
export function newToken(): string {
  return randomBytes(32).toString("base64url");
}
