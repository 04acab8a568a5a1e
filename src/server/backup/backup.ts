import { once } from "node:events";
import { createReadStream, createWriteStream, existsSync } from "node:fs";
import { mkdtemp, open, readFile, rename, rm } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { AthanorError } from "../../protocol/errors.ts";
import { readMark } from "../blobs/folder.ts";
import { holdBlobs } from "../blobs/holds.ts";
import { neededBlobs } from "../blobs/needed.ts";
import { copyDatabase } from "../store/sqlite/backup.ts";
import { openSqliteStore } from "../store/sqlite.ts";
import { VERSION } from "../version.ts";
import { blobName, DATABASE, FORMAT, MANIFEST, type Manifest, SMALL_FILES } from "./archive.ts";
import { pack, type TarEntry } from "./tar.ts";

/** Blobs are files of media and payloads, mostly compressed already: time matters more. */
const GZIP_LEVEL = 1;

export interface BackupReport {
  file: string;
  bytes: number;
  blobs: number;
  /** What is wrong with the data that was copied; empty where all is well. */
  problems: string[];
}

/**
 * Writes the data folder of a server, running or not, to one file. The database is copied first, as of one moment; the blobs that this
 * copy needs follow, while none is cleared away (blobs/holds.ts). So the copy is whole: what it names is in it. The file
 * appears under its name once it is whole and on disk.
 */
export async function backUp(p: {
  dataDir: string;
  blobsDir: string;
  file: string;
  /** Replaces a file that is there. */
  force: boolean;
}): Promise<BackupReport> {
  const file = resolve(p.file);
  if (!p.force && existsSync(file))
    throw new AthanorError("config_invalid", `${file} exists already`, { hint: "Name a new file, or use --force." });
  const database = join(p.dataDir, DATABASE);
  if (!existsSync(database)) throw await noDatabase(p.dataDir, p.blobsDir);
  await using undo = new AsyncDisposableStack();
  undo.use(await holdBlobs(p.blobsDir));
  // Beside the file, so that it can be renamed; its folder is the user's alone.
  const scratch = await mkdtemp(join(dirname(file), `.${basename(file)}-`)).catch((error: unknown) => {
    throw new AthanorError("config_invalid", `cannot write to ${dirname(file)}: ${(error as Error).message}`);
  });
  undo.defer(() => rm(scratch, { recursive: true, force: true }));
  const copy = join(scratch, DATABASE);
  await copyDatabase(database, copy);
  const { needed, problems } = await inspect(copy);
  const entries = entriesOf({ ...p, copy, needed, problems });
  const archive = join(scratch, "archive");
  const output = createWriteStream(archive, { flags: "wx", mode: 0o600, flush: true });
  await pipeline(Readable.from(pack(entries)), createGzip({ level: GZIP_LEVEL }), output);
  if (!output.closed) await once(output, "close");
  await rename(archive, file);
  await syncFolder(dirname(file));
  return { file, bytes: output.bytesWritten, blobs: needed.length, problems };
}

/** What the copy needs, and what is wrong with it. */
async function inspect(path: string): Promise<{ needed: string[]; problems: string[] }> {
  await using store = await openSqliteStore({ path });
  return { needed: await Array.fromAsync(neededBlobs(store)), problems: await store.check() };
}

async function* entriesOf(p: {
  dataDir: string;
  blobsDir: string;
  copy: string;
  needed: string[];
  problems: string[];
}): AsyncGenerator<TarEntry> {
  const manifest: Manifest = { format: FORMAT, version: VERSION, created_at: new Date().toISOString() };
  yield textEntry(MANIFEST, Buffer.from(`${JSON.stringify(manifest)}\n`));
  const database = await fileEntry(DATABASE, p.copy);
  if (database !== null) yield database;
  for (const name of SMALL_FILES) {
    const path = join(p.dataDir, name);
    if (existsSync(path)) yield textEntry(name, await readFile(path));
  }
  for (const sha256 of p.needed) {
    const blob = await fileEntry(blobName(sha256), join(p.blobsDir, sha256.slice(0, 2), sha256));
    if (blob === null) p.problems.push(`the file ${sha256} is missing from ${p.blobsDir}`);
    else yield blob;
  }
}

function textEntry(name: string, text: Buffer): TarEntry {
  return { name, size: text.length, body: Readable.from([text]) };
}

async function fileEntry(name: string, path: string): Promise<TarEntry | null> {
  try {
    await using file = await open(path, "r");
    const { size } = await file.stat();
    return { name, size, body: size === 0 ? Readable.from([]) : createReadStream(path, { end: size - 1 }) };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}

async function noDatabase(dataDir: string, blobsDir: string): Promise<AthanorError> {
  if ((await readMark(blobsDir)) !== null)
    return new AthanorError("backup_unsupported", `The jobs of ${dataDir} are in a PostgreSQL database.`);
  return new AthanorError("config_invalid", `there is no ${DATABASE} in ${dataDir}`, {
    hint: "Name the server's data folder with --data.",
  });
}

async function syncFolder(dir: string): Promise<void> {
  await using folder = await open(dir, "r");
  await folder.sync();
}
