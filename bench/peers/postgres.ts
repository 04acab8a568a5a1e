import { execFileSync } from "node:child_process";
import { chownSync, existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { Unavailable } from "../contestant.ts";
import { end, freePort, startUntil, temporaryFolder } from "./temporary.ts";

/** A real PostgreSQL with its default durability (fsync and synchronous_commit on) in a temporary folder. */
export async function startPostgres(): Promise<AsyncDisposable & { url: string }> {
  const bin = findBin();
  const folder = await temporaryFolder();
  const owner = unprivileged();
  if (owner) chownSync(folder.path, owner.uid, owner.gid);
  const data = join(folder.path, "data");
  execFileSync(join(bin, "initdb"), ["-D", data, "-U", "bench", "-A", "trust", "--encoding=UTF8"], {
    ...owner,
    stdio: "ignore",
  });
  const port = await freePort();
  const args = ["-D", data, "-p", String(port), "-c", "listen_addresses=127.0.0.1", "-k", folder.path];
  const { child } = await startUntil(join(bin, "postgres"), args, {
    ...owner,
    pattern: /ready to accept connections/,
  });
  return {
    url: `postgres://bench@127.0.0.1:${port}/postgres`,
    async [Symbol.asyncDispose]() {
      await end(child, "SIGINT");
      await folder[Symbol.asyncDispose]();
    },
  };
}

function findBin(): string {
  const root = "/usr/lib/postgresql";
  const versions = existsSync(root) ? readdirSync(root).sort((a, b) => Number(b) - Number(a)) : [];
  const found = versions.map((v) => join(root, v, "bin")).find((bin) => existsSync(join(bin, "initdb")));
  if (!found) throw new Unavailable("PostgreSQL's server is not installed (Debian package postgresql)");
  return found;
}

/** PostgreSQL will not run as root: then it runs as the user `postgres` or `nobody`. */
function unprivileged(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const id = (flag: string) => Number(execFileSync("id", [flag, "postgres"], { encoding: "utf8" }).trim());
  return { uid: id("-u"), gid: id("-g") };
}
