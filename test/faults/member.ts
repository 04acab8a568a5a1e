import { randomBytes } from "node:crypto";
import { createWriteStream, mkdirSync, type WriteStream, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ServerProcess } from "../harness/server.ts";
import { SmallDisk } from "./disk.ts";
import type { Namespace } from "./namespace.ts";
import { type FoundProcess, processesWithMark } from "./processes.ts";

const DISK_MIB = 512;
/** Other machines may reach a server in a namespace, so it wants a token that it has been given. */
const TOKEN = randomBytes(24).toString("base64url");
const ORPHAN_LIMIT_MS = 5000;

/**
 * One server of the system, over all its lives on one data folder.
 *
 *   up --kill, stop--> down --start--> up      up --hold (SIGSTOP)--> held --let go (SIGCONT)--> up
 */
export class Member {
  readonly dir: string;
  readonly #log: WriteStream;
  readonly #args: string[];
  readonly #disk: SmallDisk | null;
  /** Its own network; null: it is on this machine's. */
  readonly namespace: Namespace | null;
  /** Null while it is down. */
  server: ServerProcess | null = null;
  readonly orphans: FoundProcess[] = [];
  readonly exits: (number | null)[] = [];
  constructor(p: { dir: string; args: string[]; namespace: Namespace | null }) {
    this.dir = p.dir;
    this.#args = p.args;
    this.namespace = p.namespace;
    this.#disk = SmallDisk.mount(this.dataDir, DISK_MIB);
    mkdirSync(this.dataDir, { recursive: true });
    this.#log = createWriteStream(this.logFile, { flags: "a" });
    this.skewClock(0);
  }

  get dataDir(): string {
    return join(this.dir, "data");
  }

  get logFile(): string {
    return `${this.dir}.log`;
  }

  get disk(): SmallDisk | null {
    return this.#disk;
  }

  async start(): Promise<void> {
    this.server = await ServerProcess.start({
      dataDir: this.dataDir,
      tempDir: this.dir,
      args: [...this.#args, ...(this.namespace === null ? [] : ["--host", this.namespace.address])],
      ...(this.namespace === null ? {} : { wrap: this.namespace.command }),
      nodeArgs: ["--import", join(import.meta.dirname, "skew.ts")],
      env: { ATHANOR_TEST_CLOCK: this.#clockFile, ATHANOR_TOKEN: TOKEN },
      onStderr: (line) => this.#log.write(`${line}\n`),
    });
  }

  /** Kills it, and waits until all that it started is gone, for as long as that may take. */
  async kill(): Promise<void> {
    const { server } = this;
    this.server = null;
    await server?.kill();
    this.orphans.push(...(await this.#survivors(ORPHAN_LIMIT_MS)));
  }

  /** Stops it in order. */
  async stop(): Promise<void> {
    const { server } = this;
    this.server = null;
    if (server === null) return;
    this.exits.push(await server.stop());
    this.orphans.push(...(await this.#survivors(ORPHAN_LIMIT_MS)));
  }

  signal(signal: "SIGSTOP" | "SIGCONT"): void {
    if (this.server?.running) process.kill(this.server.pid, signal);
  }

  skewClock(byMs: number): void {
    writeFileSync(this.#clockFile, `${byMs}`);
  }

  get #clockFile(): string {
    return `${this.dir}.clock`;
  }

  /** Processes of the server that are left after the time they have. */
  async #survivors(withinMs: number): Promise<FoundProcess[]> {
    const until = performance.now() + withinMs;
    for (;;) {
      const left = await processesWithMark(`${this.dir}/`);
      if (left.length === 0 || performance.now() > until) return left;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Whatever state it is in, nothing of it is left. */
  async remove(): Promise<void> {
    this.signal("SIGCONT");
    await this.server?.kill();
    this.server = null;
    for (const { pid } of await this.#survivors(1000)) process.kill(pid, "SIGKILL");
    await new Promise<void>((resolve) => this.#log.end(resolve));
    this.#disk?.[Symbol.dispose]();
    this.namespace?.[Symbol.dispose]();
  }
}
