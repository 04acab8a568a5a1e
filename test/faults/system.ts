import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { SERVER_DEFAULTS } from "../../src/protocol/defaults.ts";
import type { ReplicaJson } from "../../src/protocol/wire.ts";
import { openPostgresStore } from "../../src/server/store/postgres.ts";
import { openSqliteStore } from "../../src/server/store/sqlite.ts";
import { request } from "./ask.ts";
import { Database } from "./database.ts";
import type { HandlerRecord } from "./history.ts";
import { Member } from "./member.ts";
import { Namespace } from "./namespace.ts";
import type { FaultType } from "./plan.ts";

export interface SystemOptions {
  servers: number;
  store: "sqlite" | "postgres";
  /** For everything; it marks all processes. */
  dir: string;
}

/** Where a server takes requests now. */
export interface Endpoint {
  url: string;
  token: string;
}

/** The servers under test, what they share, and what can be done to them. */
export class System implements AsyncDisposable {
  readonly members: Member[];
  readonly dir: string;
  /** Null where each server has a store of its own, and there is but one. */
  readonly database: Database | null;

  private constructor(options: SystemOptions, members: Member[], database: Database | null) {
    this.dir = options.dir;
    this.members = members;
    this.database = database;
  }

  static async start(options: SystemOptions): Promise<System> {
    mkdirSync(join(options.dir, "records"), { recursive: true });
    const shares = options.store === "postgres";
    const namespaces = Array.from({ length: options.servers }, (_, index) => (shares ? Namespace.create(index) : null));
    const addresses = namespaces.map((namespace) => namespace?.outside ?? "127.0.0.1");
    const database = shares ? await Database.start(addresses) : null;
    const shared = (index: number): string[] =>
      database === null ? [] : ["--store", database.url(index), "--blobs", join(options.dir, "blobs")];
    const members = namespaces.map(
      (namespace, index) => new Member({ dir: join(options.dir, `server-${index}`), args: shared(index), namespace }),
    );
    const system = new System(options, members, database);
    try {
      await Promise.all(members.map((member) => member.start()));
    } catch (error) {
      await system[Symbol.asyncDispose]();
      throw error;
    }
    return system;
  }

  get recordsDir(): string {
    return join(this.dir, "records");
  }

  /** After which other servers take the jobs of a silent one; null where there are no others. */
  get leaseMs(): number | null {
    return this.members.length > 1 ? SERVER_DEFAULTS.leaseMs : null;
  }

  /** What can be done to it on this machine. */
  faults(): FaultType[] {
    const types: FaultType[] = [
      "kill server",
      "drain server",
      "hold server",
      "skew clock",
      "kill replica",
      "hold replica",
      "deploy",
      "pause queue",
    ];
    if (this.members.every(({ disk }) => disk !== null)) types.push("fill disk");
    if (this.members.every(({ namespace }) => namespace !== null)) types.push("cut off server");
    if (this.database !== null) types.push("kill database", "cut network", "kill all");
    return types;
  }

  /** Any server that is up, by `at` (0 up to 1); waits for one where none is. */
  async endpoint(at: number): Promise<Endpoint> {
    for (;;) {
      const up = this.members.filter(({ server }) => server?.running);
      const server = up[Math.floor(at * up.length)]?.server;
      if (server) return { url: server.url, token: server.token };
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Replicas of all servers that answer. */
  async replicas(): Promise<ReplicaJson[]> {
    const pages = await Promise.allSettled(
      this.members.flatMap(({ server }) =>
        server?.running ? [request(server, "GET", "/v1/replicas", { timeoutMs: 1000 })] : [],
      ),
    );
    const all = pages.flatMap((page) =>
      page.status === "fulfilled" && page.value.status === 200
        ? (page.value.body as { items: ReplicaJson[] }).items
        : [],
    );
    return [...new Map(all.map((replica) => [replica.pid, replica])).values()].filter(({ pid }) => pid !== null);
  }

  /** What the handlers have written down. A line that was cut by the end of its process says nothing. */
  records(): HandlerRecord[] {
    return readdirSync(this.recordsDir)
      .flatMap((name) => readFileSync(join(this.recordsDir, name), "utf8").split("\n"))
      .flatMap((line) => (line.endsWith("}") ? [JSON.parse(line) as HandlerRecord] : []))
      .toSorted((a, b) => a.at - b.at);
  }

  /** What the store finds wrong with itself, once no server is there. */
  async storeFaults(): Promise<string[]> {
    const [member] = this.members;
    await using store =
      this.database === null
        ? await openSqliteStore({ path: join(member?.dataDir ?? "", "athanor.db") })
        : await openPostgresStore({ url: this.database.directUrl });
    return await store.check();
  }

  /** What the servers wrote, one after the other. */
  logs(): string {
    return this.members.map(({ logFile }) => `== ${logFile}\n${readFileSync(logFile, "utf8")}`).join("\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.members.map((member) => member.remove()));
    await this.database?.[Symbol.asyncDispose]();
    await rm(this.dir, { recursive: true, force: true });
  }
}
