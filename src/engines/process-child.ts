import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { rm } from "node:fs/promises";
import type { Socket } from "node:net";
import { NewestBuffer } from "../protocol/lines.ts";
import type { SocketMessage } from "../protocol/replica.ts";
import type { ReplicaExit, ReplicaProcess } from "./engine.ts";
import { SocketChannel } from "./process-channel.ts";
import { Freeze } from "./process-freeze.ts";
import { readLines } from "./process-output.ts";
import { Strays } from "./process-strays.ts";
import { family, type ProcessEntry, processesWithEnv, processTable, sendSignal } from "./process-table.ts";

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
  frozenMs: number;
}

type OnLine = (stream: "stdout" | "stderr", line: string, dropped: number) => void;

/**
 * One process of the runtime and all that it starts.
 *
 *   running --stop()-->        stopping   SIGTERM, and SIGKILL to the group after the grace
 *   running --over memoryMb--> stopping   SIGKILL to the group
 *   running --stopped by a signal for frozenMs--> stopping   SIGKILL to the group
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
  readonly #channel: SocketChannel;
  readonly #listeners: OnLine[] = [];
  readonly #lastStderr = new NewestBuffer<string>(LAST_STDERR_LINES, Number.POSITIVE_INFINITY);
  readonly #strays = new Strays();
  #stopRequested = false;
  #overMemory = false;
  readonly #freeze: Freeze;
  #killTimer: NodeJS.Timeout | null = null;
  #processGone = false;

  constructor(options: ChildOptions) {
    this.replicaId = options.replicaId;
    this.token = options.token;
    this.workDir = options.workDir;
    this.env = options.env;
    this.#freeze = new Freeze(options.frozenMs);
    const [file, ...args] = options.command as [string, ...string[]];
    this.#child = spawn(file, args, {
      detached: true,
      cwd: options.workDir,
      env: options.env,
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    this.#channel = new SocketChannel(this.#child);
    this.pid = this.#child.pid ?? null;
    for (const stream of ["stdout", "stderr"] as const) {
      const pipe = this.#child[stream];
      if (pipe !== null) readLines(pipe, (line, dropped) => this.#said(stream, line, dropped));
    }
    this.exited = this.#watchEnd();
  }

  onLine(listener: OnLine): void {
    this.#listeners.push(listener);
  }

  giveSocket(message: SocketMessage, socket: Socket, failed: () => void): void {
    this.#channel.give(message, socket, failed);
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
    return this.#strays.groups;
  }

  /** What the watch saw of its family. */
  sawFamily(members: ProcessEntry[], table: readonly ProcessEntry[]): void {
    this.#strays.saw(members, this.pid, table);
    const own = members.find(({ pid }) => pid === this.pid);
    if (own !== undefined && this.#freeze.saw(own.stopped, performance.now())) this.#killAll();
  }

  #said(stream: "stdout" | "stderr", line: string, dropped: number): void {
    if (stream === "stderr") this.#lastStderr.push(line, 0);
    for (const listener of this.#listeners) listener(stream, line, dropped);
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
    if (this.#stopRequested) return "stopped";
    return this.#freeze.isTooLong ? "frozen" : "self";
  }

  #killAll(): void {
    if (this.pid === null) return;
    sendSignal(-this.pid, "SIGKILL");
    this.#strays.kill();
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
    const left = new Set([...family(table, pid), ...this.#strays.alive(table)].map((member) => member.pid));
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
