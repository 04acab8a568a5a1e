import { execFileSync } from "node:child_process";
import { Unavailable } from "../contestant.ts";
import { end, freePort, startUntil, temporaryFolder } from "./temporary.ts";

/** A real Redis in a temporary folder, with its append-only file on. `always`: one fsync for every write, as Athanor's SQLite has. */
export async function startRedis(appendFsync: "always" | "everysec"): Promise<AsyncDisposable & { port: number }> {
  try {
    execFileSync("redis-server", ["--version"]);
  } catch {
    throw new Unavailable("redis-server is not installed (Debian package redis-server)");
  }
  const folder = await temporaryFolder();
  const port = await freePort();
  const args = ["--port", String(port), "--bind", "127.0.0.1", "--dir", folder.path, "--appendonly", "yes"];
  args.push("--appendfsync", appendFsync, "--save", "", "--maxmemory-policy", "noeviction");
  const { child } = await startUntil("redis-server", args, {
    pattern: /Ready to accept connections/,
  });
  return {
    port,
    async [Symbol.asyncDispose]() {
      await end(child);
      await folder[Symbol.asyncDispose]();
    },
  };
}
