/** What somebody has who knows only npm: an empty folder, the packed tarball, and `npx athanor`; or a built checkout. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

export const ROOT = path.resolve(import.meta.dirname, "../..");

const COMMAND_TIMEOUT_MS = 180_000;

export interface Finished {
  status: number | null;
  stdout: string;
  stderr: string;
}

/** A temporary folder with a project in it. Disposing stops its server and removes it. */
export class Stranger {
  readonly folder: string;
  readonly project: string;
  readonly data: string;
  /** What the commands run with: nothing of this repository's own tools, nothing of the user's Athanor. */
  readonly env: NodeJS.ProcessEnv;
  /** The command line that `athanor` stands for. */
  readonly #athanor: string[];
  #server: Server | null = null;

  private constructor(folder: string, athanor: string[]) {
    this.folder = folder;
    this.#athanor = athanor;
    this.project = path.join(folder, "project");
    this.data = path.join(folder, "data");
    this.env = strangerEnvironment(folder, this.data);
  }

  /** With an empty project. */
  static async create(): Promise<Stranger> {
    return await Stranger.#make(["npx", "athanor"]);
  }

  /** Uses the checkout's own `dist`, built if need be. */
  static async inCheckout(): Promise<Stranger> {
    await build();
    return await Stranger.#make([process.execPath, path.join(ROOT, "bin", "athanor.mjs")]);
  }

  static async #make(athanor: string[]): Promise<Stranger> {
    const stranger = new Stranger(await mkdtemp(path.join(os.tmpdir(), "athanor-pack-")), athanor);
    await mkdir(stranger.project);
    await writeFile(
      path.join(stranger.project, "package.json"),
      JSON.stringify({ name: "stranger", version: "1.0.0", private: true, type: "module" }),
    );
    return stranger;
  }

  /** Packs the repository, and installs the tarball in the project. */
  async install(): Promise<Packed> {
    const packed = await this.#pack();
    await this.succeed("npm", ["install", packed.tarball]);
    return packed;
  }

  /** Builds and packs the repository as `npm publish` would. */
  async #pack(): Promise<Packed> {
    await build();
    const args = ["pack", "--json", "--ignore-scripts", "--pack-destination", this.folder];
    const { stdout } = await promisify(execFile)("npm", args, { cwd: ROOT, env: this.env, maxBuffer: 1 << 26 });
    const described = JSON.parse(stdout) as NpmPacked[] | Record<string, NpmPacked>;
    const [packed] = Object.values(described);
    if (!packed) throw new Error(`npm pack described nothing: ${stdout}`);
    const files = packed.files.map((file) => file.path);
    return { tarball: path.join(this.folder, packed.filename), files };
  }

  async run(command: string, args: string[], cwd = this.project): Promise<Finished> {
    return finish(spawn(command, args, { cwd, env: this.env, stdio: ["ignore", "pipe", "pipe"] }));
  }

  /** Takes over a project in which `install` was done: quicker than another install. */
  async copyProject(from: Stranger): Promise<void> {
    await cp(from.project, this.project, { recursive: true, verbatimSymlinks: true });
  }

  /** Runs a command that is expected to work; its failure shows what it printed. */
  async succeed(command: string, args: string[], cwd = this.project): Promise<string> {
    const { status, stdout, stderr } = await this.run(command, args, cwd);
    if (status !== 0) throw new Error(`${command} ${args.join(" ")} ended with ${status}\n${stdout}\n${stderr}`);
    return stdout;
  }

  /** Runs an `athanor` command that is expected to work, and returns what it printed. */
  async athanor(...args: string[]): Promise<string> {
    const [command = "", ...first] = this.#athanor;
    return await this.succeed(command, [...first, ...args]);
  }

  /** `athanor up` on a free port; resolves once the server says its URL. */
  async up(): Promise<string> {
    const command = [...this.#athanor, "up", "--port", "0", "--data", this.data];
    this.#server = new Server(command, this.project, this.data, this.env);
    return await this.#server.url;
  }

  async down(): Promise<void> {
    await this.#server?.stop();
    this.#server = null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down();
    await rm(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

interface Packed {
  tarball: string;
  /** Paths in it. */
  files: string[];
}

interface NpmPacked {
  filename: string;
  files: { path: string }[];
}

async function build(): Promise<void> {
  await promisify(execFile)(process.execPath, ["scripts/build.ts", "--if-changed"], { cwd: ROOT });
}

class Server {
  readonly url: Promise<string>;
  readonly #child: ChildProcess;
  readonly #data: string;
  readonly #ended: Promise<Finished>;

  constructor([command = "", ...args]: string[], cwd: string, data: string, env: NodeJS.ProcessEnv) {
    this.#data = data;
    this.#child = spawn(command, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
    this.#ended = finish(this.#child);
    this.url = new Promise((resolve, reject) => {
      for (const stream of [this.#child.stdout, this.#child.stderr]) {
        if (!stream) continue;
        createInterface({ input: stream }).on("line", (line) => {
          const url = /http:\/\/127\.0\.0\.1:\d+/.exec(line)?.[0];
          if (url) resolve(url);
        });
      }
      this.#ended.then(({ status, stdout, stderr }) =>
        reject(new Error(`athanor up ended with ${status} before it was ready:\n${stdout}\n${stderr}`)),
      );
    });
  }

  /** Tells the server itself, as npm does not pass every signal on. */
  async stop(): Promise<void> {
    try {
      const { pid } = JSON.parse(await readFile(path.join(this.#data, "server.json"), "utf8")) as { pid: number };
      process.kill(pid, "SIGTERM");
    } catch {
      this.#child.kill("SIGTERM");
    }
    await this.#ended;
  }
}

/** Another Node than ours on the path, older than the one needed; null where there is none. */
export async function findOldNode(): Promise<{ node: string; version: string } | null> {
  for (const folder of (process.env.PATH ?? "").split(path.delimiter)) {
    if (folder.includes("node_modules")) continue;
    const node = path.join(folder, "node");
    try {
      const { stdout } = await promisify(execFile)(node, ["--version"]);
      if (Number(stdout.slice(1).split(".")[0]) < 24) return { node, version: stdout.trim().slice(1) };
    } catch {
      // No Node in this folder.
    }
  }
  return null;
}

function strangerEnvironment(folder: string, data: string): NodeJS.ProcessEnv {
  const folders = (process.env.PATH ?? "").split(path.delimiter).filter((name) => !name.startsWith(ROOT));
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(athanor_|npm_(lifecycle|package)_|node_options|init_cwd)/i.test(name),
  );
  return {
    ...Object.fromEntries(kept),
    // The Node that runs this test is 24; the machine's own may be older.
    PATH: [path.dirname(process.execPath), ...folders].join(path.delimiter),
    ATHANOR_DATA: data,
    XDG_DATA_HOME: path.join(folder, "xdg-data"),
    XDG_CACHE_HOME: path.join(folder, "xdg-cache"),
    npm_config_audit: "false",
    npm_config_fund: "false",
    npm_config_prefer_offline: "true",
    npm_config_update_notifier: "false",
    npm_config_loglevel: "error",
  };
}

function finish(child: ChildProcess): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const finished: Finished = { status: null, stdout: "", stderr: "" };
    const timer = setTimeout(() => child.kill("SIGKILL"), COMMAND_TIMEOUT_MS);
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      finished.stdout += text;
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      finished.stderr += text;
    });
    child.on("error", reject);
    child.on("close", (status) => {
      clearTimeout(timer);
      resolve({ ...finished, status });
    });
  });
}
