import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { resolveConfig } from "../../src/server/config.ts";
import { startServer } from "../../src/server/main.ts";
import { Api } from "./api.ts";

const CLI = join(import.meta.dirname, "../../src/cli/main.ts");
const START_TIMEOUT_MS = 30_000;

/** A real server on a free port, in this process, on its own data folder, which goes with it. */
export class TestServer implements AsyncDisposable {
  readonly url: string;
  readonly token: string;
  readonly dataDir: string;
  readonly api: Api;
  readonly #dispose: () => Promise<void>;

  constructor(p: { url: string; token: string; dataDir: string; dispose(): Promise<void> }) {
    this.url = p.url;
    this.token = p.token;
    this.dataDir = p.dataDir;
    this.api = new Api(p.url, p.token);
    this.#dispose = p.dispose;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dispose();
  }
}

/** `flags` as `athanor up` takes them. */
export async function startTestServer(flags: Parameters<typeof resolveConfig>[0] = {}): Promise<TestServer> {
  const dataDir = flags.data ?? (await mkdtemp(join(tmpdir(), "athanor-test-")));
  const config = resolveConfig({ port: 0, logLevel: "silent", ...flags, data: dataDir }, {});
  const server = await startServer(config);
  const dispose = async (): Promise<void> => {
    await server.stop();
    if (flags.data === undefined) await rm(dataDir, { recursive: true, force: true });
  };
  return new TestServer({ url: server.url, token: server.token, dataDir, dispose });
}

export interface ServerProcessOptions {
  dataDir: string;
  tempDir?: string;
  args?: string[];
  /** What runs the command: it must become it, as `exec` does. */
  wrap?: string[];
  /** Node's own arguments, before the program. */
  nodeArgs?: string[];
  env?: Record<string, string>;
  onStderr?(line: string): void;
}

/**
 * A server in a process of its own, started as a user starts one, so that it can be killed.
 * `tempDir` (its TMPDIR; default: the data folder) is the test's own: its path marks the server and all that it starts, and a
 * killed one leaves files there.
 */
export class ServerProcess implements AsyncDisposable {
  readonly url: string;
  readonly token: string;
  readonly api: Api;
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #stderr: string[];

  private constructor(p: { url: string; token: string; child: ChildProcess; stderr: string[] }) {
    this.url = p.url;
    this.token = p.token;
    this.api = new Api(p.url, p.token);
    this.#child = p.child;
    this.#stderr = p.stderr;
    this.pid = p.child.pid as number;
  }

  static async start(p: ServerProcessOptions): Promise<ServerProcess> {
    const { PATH } = process.env;
    const temp = p.tempDir ?? p.dataDir;
    const up = [CLI, "up", "--port", "0", "--data", p.dataDir, "--json", "--log-level", "warn", ...(p.args ?? [])];
    const [file = "", ...args] = [...(p.wrap ?? []), process.execPath, ...(p.nodeArgs ?? []), ...up];
    const child = spawn(file, args, {
      env: { PATH, HOME: temp, TMPDIR: temp, ...p.env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const stderr: string[] = [];
    createInterface({ input: child.stderr }).on("line", (line) => {
      p.onStderr?.(line);
      stderr.push(line);
      if (stderr.length > 200) stderr.shift();
    });
    const url = await announcedUrl(child, stderr);
    const token = p.env?.ATHANOR_TOKEN ?? (await readFile(join(p.dataDir, "token"), "utf8")).trim();
    return new ServerProcess({ url, token, child, stderr });
  }

  /** It runs, as far as its parent has been told. */
  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get stderr(): string {
    return this.#stderr.join("\n");
  }

  /** `kill -9`, as power cuts and the kernel do. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** As an operator stops it; resolves with its exit code. */
  async stop(): Promise<number | null> {
    return this.#end("SIGTERM");
  }

  async #end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#child;
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
    const closed = once(child, "close");
    child.kill(signal);
    await closed;
    return child.exitCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}

/** The URL in the JSON document that `up --json` prints once it takes requests. */
async function announcedUrl(child: ChildProcess, stderr: string[]): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const failed = (why: string): void => reject(new Error(`the server ${why}\n${stderr.join("\n")}`));
  const timer = setTimeout(() => failed(`did not start within ${START_TIMEOUT_MS} ms`), START_TIMEOUT_MS);
  let text = "";
  child.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
    const url = /"url": ?"([^"]+)"/.exec(text)?.[1];
    if (url !== undefined) resolve(url);
  });
  child.once("error", (error) => failed(`could not be started: ${error.message}`));
  child.once("close", (code) => failed(`ended with code ${code} before it was ready`));
  try {
    return await promise;
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
