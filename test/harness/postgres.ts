import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, existsSync, readdirSync, readlinkSync } from "node:fs";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";
import { Client } from "pg";

/**
 * A real PostgreSQL for tests, from the machine's own package.
 *
 *   stopped --start--> ready     ready --stop--> stopped     ready --kill (SIGKILL)--> stopped
 */

const ROLE = "athanor_test";

/** Why there is none here; for `skip`. False where there is one. */
export function postgresMissing(): string | false {
  return findBin() === null ? "PostgreSQL's server is not installed (Debian package postgresql)" : false;
}

export class TestPostgres implements AsyncDisposable {
  readonly port: number;
  readonly #bin: string;
  readonly #folder: string;
  readonly #durable: boolean;
  #server: ChildProcess | null = null;
  #guard: ChildProcess | null = null;

  private constructor(p: { bin: string; folder: string; port: number; durable: boolean }) {
    this.#bin = p.bin;
    this.#folder = p.folder;
    this.port = p.port;
    this.#durable = p.durable;
  }

  /** `durable: false` leaves fsync out, for tests that lose no power. */
  static async start(p: { durable?: boolean } = {}): Promise<TestPostgres> {
    const bin = findBin();
    if (bin === null) throw new Error(String(postgresMissing()));
    const folder = await mkdtemp(join(tmpdir(), "athanor-postgres-"));
    const postgres = new TestPostgres({ bin, folder, port: await freePort(), durable: p.durable ?? false });
    try {
      await postgres.#initialise();
      await postgres.start();
    } catch (error) {
      await postgres[Symbol.asyncDispose]();
      throw error;
    }
    return postgres;
  }

  /** Of the superuser, or of another role with its password. */
  url(p: { database?: string; role?: string; password?: string; query?: string } = {}): string {
    const { database = "postgres", role = ROLE, query = "" } = p;
    const password = p.password === undefined ? "" : `:${encodeURIComponent(p.password)}`;
    return `postgres://${role}${password}@127.0.0.1:${this.port}/${database}${query}`;
  }

  async start(): Promise<void> {
    const settings = [
      "listen_addresses=127.0.0.1",
      "max_connections=200",
      "shared_buffers=64MB",
      "log_min_messages=log",
    ];
    if (!this.#durable) settings.push("fsync=off", "full_page_writes=off");
    const args = settings.flatMap((setting) => ["-c", setting]);
    const server = spawn(
      join(this.#bin, "postgres"),
      ["-D", join(this.#folder, "data"), "-p", String(this.port), "-k", this.#folder, ...args],
      { ...unprivileged(), stdio: ["ignore", "ignore", "pipe"] },
    );
    this.#server = server;
    this.#guard = guard(server.pid, this.#folder);
    await ready(server);
  }

  /** As the operator stops it: connections are cut, data is safe. */
  async stop(): Promise<void> {
    await this.#end("SIGINT");
  }

  /** As power loss or the kernel would end it. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** Runs statements as the superuser on a connection of its own. */
  async run(sql: string, database = "postgres"): Promise<Record<string, unknown>[]> {
    const client = new Client({ connectionString: this.url({ database }) });
    await client.connect();
    try {
      const result = await client.query(sql);
      return (Array.isArray(result) ? result.at(-1) : result).rows;
    } finally {
      await client.end();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end("SIGINT");
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #initialise(): Promise<void> {
    const owner = unprivileged();
    if (owner !== undefined) chownSync(this.#folder, owner.uid, owner.gid);
    await chmod(this.#folder, 0o700);
    const args = ["-D", join(this.#folder, "data"), "-U", ROLE, "-A", "trust", "--encoding=UTF8", "--locale=C", "-N"];
    execFileSync(join(this.#bin, "initdb"), args, { ...owner, stdio: ["ignore", "ignore", "pipe"] });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const server = this.#server;
    this.#server = null;
    this.#guard?.kill();
    if (server === null || server.exitCode !== null || server.signalCode !== null) return;
    const exited = once(server, "exit");
    server.kill(signal);
    await exited;
    if (signal === "SIGKILL") await this.#orphansGone();
  }

  /** The backends of a killed postmaster end by themselves, and the next one refuses to start before. */
  async #orphansGone(): Promise<void> {
    if (process.platform !== "linux") return;
    const data = join(this.#folder, "data");
    while (readdirSync("/proc").some((pid) => /^\d+$/.test(pid) && workingFolder(pid) === data)) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** Ends the server and removes its folder where this process is killed: then the pipe closes that only it holds. */
function guard(server: number | undefined, folder: string): ChildProcess {
  const script = 'read -r line; kill -QUIT "$1"; sleep 1; rm -rf "$2"';
  const child = spawn("sh", ["-c", script, "sh", String(server), folder], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  child.unref();
  (child.stdin as Socket | null)?.unref();
  return child;
}

function workingFolder(pid: string): string | null {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return null;
  }
}

async function ready(server: ChildProcess): Promise<void> {
  const said: string[] = [];
  if (server.stderr === null) throw new Error("PostgreSQL's stderr is not piped");
  const lines = createInterface({ input: server.stderr });
  await new Promise<void>((resolve, reject) => {
    // Read on for ever, so that its pipe never fills.
    lines.on("line", (line) => {
      if (said.length < 100) said.push(line);
      if (line.includes("ready to accept connections")) resolve();
    });
    lines.on("close", () => reject(new Error(`PostgreSQL did not start:\n${said.join("\n")}`)));
    server.on("error", reject);
  });
}

function findBin(): string | null {
  const root = "/usr/lib/postgresql";
  const versions = existsSync(root) ? readdirSync(root).toSorted((a, b) => Number(b) - Number(a)) : [];
  const folders = [
    ...versions.map((version) => join(root, version, "bin")),
    ...(process.env.PATH ?? "").split(delimiter),
  ];
  return folders.find((bin) => existsSync(join(bin, "initdb")) && existsSync(join(bin, "postgres"))) ?? null;
}

/** PostgreSQL will not run as root; then it runs as the user that its package made, or as nobody. */
function unprivileged(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  for (const user of ["postgres", "nobody"]) {
    try {
      const id = (flag: string) => Number(execFileSync("id", [flag, user], { encoding: "utf8", stdio: "pipe" }).trim());
      return { uid: id("-u"), gid: id("-g") };
    } catch {
      // There is no such user here.
    }
  }
  throw new Error("PostgreSQL will not run as root, and there is no user postgres or nobody to run it as");
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("a TCP server has no port");
  return address.port;
}
