import { createHash, randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { createGunzip } from "node:zlib";
import { AthanorError } from "../../protocol/errors.ts";
import { neededBlobs } from "../blobs/needed.ts";
import { lockDataDir } from "../lock.ts";
import { openSqliteStore } from "../store/sqlite.ts";
import { blobName, checkName, DATABASE, MANIFEST, type Manifest, readManifest } from "./archive.ts";
import { type TarEntry, unpack } from "./tar.ts";

const MAX_MANIFEST_BYTES = 64 * 1024;
/** What a server that holds the folder puts there itself. */
const OWN = new Set(["lock.db", "lock.db-journal", "server.json"]);

export interface RestoreReport {
  dataDir: string;
  /** When the backup was made; ISO 8601. */
  createdAt: string;
  blobs: number;
  /** Where what was in the folder before is now; null: it was empty. */
  replaced: string | null;
  /** What is wrong with the restored data; empty where all is well. */
  problems: string[];
}

/**
 * Fills a data folder from a backup. The folder is changed only once the backup has been read to its end and its database opened;
 * what was there before is moved aside, not deleted. Throws data_dir_locked where a server runs on it, data_dir_not_empty,
 * backup_invalid, schema_newer.
 */
export async function restore(p: { file: string; dataDir: string; force: boolean }): Promise<RestoreReport> {
  const { dataDir } = p;
  await using undo = new AsyncDisposableStack();
  undo.use(lockDataDir(dataDir));
  const before = (await readdir(dataDir)).filter((name) => !OWN.has(name));
  if (before.length > 0 && !p.force)
    throw new AthanorError("data_dir_not_empty", `${dataDir} holds ${before.slice(0, 5).join(", ")}`);
  const staging = join(dataDir, `.restore-${randomUUID()}`);
  await mkdir(staging, { mode: 0o700 });
  undo.defer(() => rm(staging, { recursive: true, force: true }));
  const { manifest, blobs } = await extract(p.file, staging);
  const problems = await inspect(staging);
  const replaced = before.length === 0 ? null : join(dataDir, `replaced-${randomUUID()}`);
  if (replaced !== null) await moveAll(before, dataDir, replaced);
  await moveAll(await readdir(staging), staging, dataDir);
  await syncFolder(dataDir);
  return { dataDir, createdAt: manifest.created_at, blobs, replaced, problems };
}

async function extract(file: string, staging: string): Promise<{ manifest: Manifest; blobs: number }> {
  const input = createReadStream(file);
  const bytes = createGunzip();
  input.once("error", (error) => bytes.destroy(error));
  input.pipe(bytes);
  let manifest: Manifest | null = null;
  const seen = new Set<string>();
  try {
    for await (const entry of unpack(bytes)) {
      checkName(entry.name);
      if (seen.has(entry.name)) throw new AthanorError("backup_invalid", `The archive holds ${entry.name} twice.`);
      seen.add(entry.name);
      if (manifest === null) manifest = await manifestOf(entry);
      else await write(entry, join(staging, entry.name));
    }
  } catch (error) {
    throw readError(error, file);
  } finally {
    input.destroy();
    bytes.destroy();
  }
  if (manifest === null || !seen.has(DATABASE)) throw new AthanorError("backup_invalid", `${file} holds no database.`);
  return { manifest, blobs: [...seen].filter((name) => name.startsWith("blobs/")).length };
}

async function manifestOf(entry: TarEntry): Promise<Manifest> {
  if (entry.name !== MANIFEST || entry.size > MAX_MANIFEST_BYTES)
    throw new AthanorError("backup_invalid", `The archive does not begin with ${MANIFEST}.`);
  const parts: Uint8Array[] = [];
  for await (const part of entry.body) parts.push(part);
  return readManifest(Buffer.concat(parts).toString());
}

async function write(entry: TarEntry, path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const hash = createHash("sha256");
  await using file = await open(path, "wx", 0o600);
  for await (const part of entry.body) {
    hash.update(part);
    await file.writeFile(part);
  }
  await file.sync();
  const sha256 = hash.digest("hex");
  if (entry.name.startsWith("blobs/") && entry.name !== blobName(sha256))
    throw new AthanorError(
      "backup_invalid",
      `The archive's ${entry.name} is damaged: its content has the hash ${sha256}.`,
    );
}

/** Opens the database, which also brings it to this version's schema. */
async function inspect(staging: string): Promise<string[]> {
  await using store = await openSqliteStore({ path: join(staging, DATABASE) });
  const there = new Set((await readdir(staging, { recursive: true })).map((path) => path.replaceAll("\\", "/")));
  const needed = await Array.fromAsync(neededBlobs(store));
  const missing = needed.filter((sha256) => !there.has(blobName(sha256)));
  return [...(await store.check()), ...missing.map((sha256) => `the file ${sha256} is not in the backup`)];
}

async function moveAll(names: string[], from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true, mode: 0o700 });
  for (const name of names) await rename(join(from, name), join(to, name));
}

function readError(error: unknown, file: string): unknown {
  const { code, message } = error as NodeJS.ErrnoException;
  if (error instanceof AthanorError || code === "ENOSPC" || code === "EDQUOT") {
    return error instanceof AthanorError
      ? error
      : new AthanorError("storage_full", `${file} cannot be unpacked: ${message}`);
  }
  if (code === "ENOENT" || code === "EACCES" || code === "EISDIR")
    return new AthanorError("config_invalid", `${file} cannot be read: ${message}`);
  return new AthanorError("backup_invalid", `${file} cannot be read: ${message}`, { cause: error });
}

async function syncFolder(dir: string): Promise<void> {
  await using folder = await open(dir, "r");
  await folder.sync();
}
