import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { getHeapStatistics } from "node:v8";
import { SERVER_DEFAULTS } from "../protocol/defaults.ts";
import type { Engine, EngineCapabilities, ReplicaProcess, StartRequest } from "./engine.ts";
import { newToken, ReplicaChild } from "./process-child.ts";
import { MemoryWatch } from "./process-memory.ts";
import { Reaper } from "./process-reaper.ts";
import { processesWithEnv, sendSignal } from "./process-table.ts";

export interface ProcessEngineOptions {
  /** Where working folders are made; private to one engine at a time. */
  dir: string;
  /** The program of a replica: `runtime/main`. */
  runtimePath: string;
  /** Where replicas dial: the path of a unix socket. */
  address: string;
  /** Blank processes kept ready. Default: SERVER_DEFAULTS.blankReplicas. */
  blankReplicas?: number;
  /** Default: SERVER_DEFAULTS.memoryPollMs. */
  memoryPollMs?: number;
  /** A replica that a signal has kept from running for so long is killed. Default: SERVER_DEFAULTS.frozenReplicaMs. */
  frozenMs?: number;
}

/** Beyond it V8 would run full before the process reaches its limit. */
const DEFAULT_HEAP_BYTES = getHeapStatistics().heap_size_limit;
const WORK_DIR_PREFIX = "w-";
/** A blank is replaced this long after it was taken, so that its start does not compete with its predecessor's. */
const REFILL_DELAY_MS = 100;
/** A blank that dies by itself is replaced no faster than this. */
const BLANK_RETRY_MS = 1000;
const BLANK_ID = "blank";
const LEFTOVER_ROUNDS = 10;

/**
 * Replicas as child processes of the server, each in its own process group, with a private working folder and a scrubbed environment.
 *
 *   stopped --start()--> running --stop()--> stopped
 *   running: keeps `blankReplicas` processes started that no replica has been assigned to. Measured with the bundled runtime (Node 24, 2
 *   cores): a small app is ready 11 ms after it was asked for and its first byte is there after 15; 51 MiB resident.
 */
export class ProcessEngine implements Engine {
  readonly name = "process";
  readonly capabilities: EngineCapabilities = { memoryLimit: true, cpuLimit: false, gpu: false };
  readonly #options: Required<ProcessEngineOptions>;
  readonly #reaper: Reaper;
  /** Of this engine alone: another may start on the folder while this one's reaper is at work. */
  readonly #workDirPrefix = `${WORK_DIR_PREFIX}${randomBytes(4).toString("hex")}-`;
  readonly #memory: MemoryWatch;
  readonly #children = new Set<ReplicaChild>();
  #blanks: ReplicaChild[] = [];
  #refill: NodeJS.Timeout | null = null;
  #running = false;

  constructor(options: ProcessEngineOptions) {
    this.#options = {
      blankReplicas: SERVER_DEFAULTS.blankReplicas,
      memoryPollMs: SERVER_DEFAULTS.memoryPollMs,
      frozenMs: SERVER_DEFAULTS.frozenReplicaMs,
      ...options,
      dir: resolve(options.dir),
    };
    this.#reaper = new Reaper({ mark: `HOME=${join(this.#options.dir, this.#workDirPrefix)}` });
    this.#memory = new MemoryWatch({
      pollMs: this.#options.memoryPollMs,
      replicas: () => [...this.#children],
      onLook: () => this.#tellReaper(),
    });
  }

  async start(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    mkdirSync(this.#options.dir, { recursive: true, mode: 0o700 });
    await this.#removeLeftovers();
    this.#reaper.start();
    this.#memory.start();
    this.#fillBlanks();
  }

  async startReplica(request: StartRequest): Promise<ReplicaProcess> {
    if (!this.#running) throw new Error("The process engine is not running");
    const heapMb = request.memoryMb * 2 ** 20 > DEFAULT_HEAP_BYTES ? request.memoryMb : null;
    const child = (heapMb === null ? this.#blanks.shift() : undefined) ?? this.#spawn(heapMb);
    child.replicaId = request.replicaId;
    child.memoryLimitBytes = request.memoryMb * 2 ** 20;
    child.env = { ...baseEnv(child.workDir), ...request.env };
    this.#refillIn(REFILL_DELAY_MS);
    return child;
  }

  list(): ReplicaProcess[] {
    return [...this.#children];
  }

  /** Kills all replicas and blanks at once; resolves when they are gone. Repeatable. */
  async stop(): Promise<void> {
    this.#running = false;
    if (this.#refill) clearTimeout(this.#refill);
    this.#refill = null;
    this.#memory.stop();
    await Promise.all([...this.#children].map((child) => child.stop({ graceMs: 0 })));
    await this.#reaper.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #fillBlanks(): void {
    while (this.#running && this.#blanks.length < this.#options.blankReplicas) {
      const blank = this.#spawn(null);
      this.#blanks.push(blank);
      if (blank.pid === null) break;
    }
  }

  #refillIn(delayMs: number): void {
    this.#refill ??= setTimeout(() => {
      this.#refill = null;
      this.#fillBlanks();
    }, delayMs).unref();
  }

  #spawn(heapMb: number | null): ReplicaChild {
    const { dir, runtimePath, address } = this.#options;
    const workDir = mkdtempSync(join(dir, this.#workDirPrefix));
    const token = newToken();
    const child = new ReplicaChild({
      replicaId: BLANK_ID,
      command: [process.execPath, ...(heapMb === null ? [] : [`--max-old-space-size=${heapMb}`]), runtimePath],
      workDir,
      env: { ...baseEnv(workDir), ATHANOR_REPLICA_TOKEN: token, ATHANOR_REPLICA_ADDRESS: address },
      token,
      frozenMs: this.#options.frozenMs,
    });
    this.#children.add(child);
    this.#tellReaper();
    void child.exited.then(() => this.#forget(child));
    return child;
  }

  #forget(child: ReplicaChild): void {
    this.#children.delete(child);
    this.#tellReaper();
    if (!this.#blanks.includes(child)) return;
    this.#blanks = this.#blanks.filter((blank) => blank !== child);
    if (this.#running) this.#refillIn(BLANK_RETRY_MS);
  }

  #tellReaper(): void {
    const groups = new Set<number>();
    for (const child of this.#children) {
      if (child.pid !== null) groups.add(child.pid);
      for (const group of child.strayGroups) groups.add(group);
    }
    this.#reaper.watch(groups);
  }

  /** What an earlier engine on this folder left: its processes bear a working folder of it in their environment. */
  async #removeLeftovers(): Promise<void> {
    const { dir } = this.#options;
    const entries = (await readdir(dir)).filter((name) => name.startsWith(WORK_DIR_PREFIX));
    if (entries.length === 0) return;
    const mark = `HOME=${join(dir, WORK_DIR_PREFIX)}`;
    for (let round = 0; round < LEFTOVER_ROUNDS; round++) {
      const pids = await processesWithEnv(mark);
      if (pids.length === 0) break;
      for (const pid of pids) {
        // A leader takes its group along: its children may have changed their environment.
        sendSignal(-pid, "SIGKILL");
        sendSignal(pid, "SIGKILL");
      }
      await new Promise((resolved) => setTimeout(resolved, 10));
    }
    await Promise.all(entries.map((name) => rm(join(dir, name), { recursive: true, force: true }).catch(() => {})));
  }
}

/** What any process needs, and nothing that says anything of the server. */
function baseEnv(workDir: string): Record<string, string> {
  const { PATH, LANG, TZ } = process.env;
  return {
    PATH: PATH ?? "/usr/local/bin:/usr/bin:/bin",
    HOME: workDir,
    TMPDIR: workDir,
    LANG: LANG ?? "C.UTF-8",
    ...(TZ === undefined ? {} : { TZ }),
  };
}
