import { createHash, randomUUID } from "node:crypto";
import { renameSync, statSync, unlinkSync } from "node:fs";
import { type FileHandle, mkdir, open, readdir, rename, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { AthanorError } from "../../protocol/errors.ts";
import { areBlobsHeld } from "./holds.ts";

export interface BlobParams {
  /** `<data>/blobs`; made where it is absent. */
  dir: string;
  /** Other servers use the folder at the same time. */
  shared?: boolean;
}

export interface BlobStream {
  sizeBytes: number;
  /** The bytes asked for. */
  body: Readable;
}

const SHA256 = /^[0-9a-f]{64}$/;
const TEMP_DIR = "tmp";
/** How many hashes the store is asked about at once. */
const SWEEP_BATCH = 500;
/** A write of another server's that began so long ago was interrupted. */
const ABANDONED_MS = 24 * 60 * 60_000;
const FULL = new Set(["ENOSPC", "EDQUOT", "EFBIG"]);

/**
 * Content-addressed files: `<dir>/ab/ab12…`, named by the SHA-256 (hex) of what they hold. A file appears under its name only when it
 * is whole and on disk.
 */
export class Blobs {
  readonly #dir: string;
  readonly #tempDir: string;
  readonly #shared: boolean;
  /** Puts under way by hash, so that equal bytes are written once. */
  readonly #puts = new Map<string, Promise<void>>();

  constructor(p: BlobParams) {
    this.#dir = p.dir;
    this.#tempDir = join(p.dir, TEMP_DIR);
    this.#shared = p.shared ?? false;
  }

  /** Makes the folder and removes what interrupted writes left behind. */
  async start(): Promise<void> {
    if (!this.#shared) await rm(this.#tempDir, { recursive: true, force: true });
    await mkdir(this.#tempDir, { recursive: true, mode: 0o700 });
    for (const name of await readdir(this.#tempDir)) {
      const path = join(this.#tempDir, name);
      const found = await stat(path).catch(absent);
      if (found !== null && found.mtimeMs < Date.now() - ABANDONED_MS) await rm(path, { force: true });
    }
  }

  /** Resolves with the SHA-256 once the bytes are on disk. Throws `storage_full`. */
  async put(bytes: Uint8Array): Promise<string> {
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    const underWay = this.#puts.get(sha256);
    if (underWay !== undefined) {
      await underWay;
      return sha256;
    }
    const put = this.#store(sha256, bytes);
    this.#puts.set(sha256, put);
    try {
      await put;
    } catch (error) {
      throw fault(error, bytes.length, this.#dir);
    } finally {
      this.#puts.delete(sha256);
    }
    return sha256;
  }

  async get(sha256: string): Promise<Uint8Array | null> {
    await using file = await this.#openFile(sha256);
    return file === null ? null : await file.readFile();
  }

  /** Keeps it from being swept for a while, as if it had just been put; false where it is gone. */
  async touch(sha256: string): Promise<boolean> {
    if (!SHA256.test(sha256)) return false;
    const now = new Date();
    return (await utimes(this.#path(sha256), now, now).catch(absent)) !== null;
  }

  async size(sha256: string): Promise<number | null> {
    if (!SHA256.test(sha256)) return null;
    return (await stat(this.#path(sha256)).catch(absent))?.size ?? null;
  }

  /** `start` and `end` are byte positions, both inclusive, as in HTTP ranges. Null where there is no such blob. */
  async open(sha256: string, range?: { start: number; end: number }): Promise<BlobStream | null> {
    const file = await this.#openFile(sha256);
    if (file === null) return null;
    const { size: sizeBytes } = await file.stat();
    return { sizeBytes, body: file.createReadStream(range) };
  }

  /** Of the hashes, those that have no file. */
  async missing(hashes: string[]): Promise<string[]> {
    const sizes = await Promise.all(hashes.map((sha256) => this.size(sha256)));
    return hashes.filter((_, index) => sizes[index] === null);
  }

  async remove(hashes: string[]): Promise<void> {
    for (const sha256 of hashes) this.#unlink(sha256);
  }

  /**
   * Removes blobs that no job needs and that have not been put for `minAgeMs` (a job that names them may be about to be stored).
   * `unreferenced` is the store's blobUnreferenced. Does nothing while a copy of the folder is being made. Returns how many.
   */
  async sweep(p: {
    unreferenced(p: { hashes: string[] }): Promise<string[]>;
    minAgeMs: number;
    now: number;
  }): Promise<number> {
    let removed = 0;
    for (const prefix of (await readdir(this.#dir)).filter((name) => /^[0-9a-f]{2}$/.test(name))) {
      const hashes = (await readdir(join(this.#dir, prefix))).filter((name) => SHA256.test(name));
      for (let at = 0; at < hashes.length; at += SWEEP_BATCH) {
        // What is found unneeded from here on was so before a copy that begins now, as the copy of the store is made after the hold.
        if (await areBlobsHeld(this.#dir, p.now)) return removed;
        const unneeded = await p.unreferenced({ hashes: hashes.slice(at, at + SWEEP_BATCH) });
        for (const sha256 of unneeded) if (this.#removeOld(sha256, p.now - p.minAgeMs)) removed++;
      }
    }
    return removed;
  }

  /** Synchronous, so that no put of this server can begin between the look and the removal. */
  #removeOld(sha256: string, before: number): boolean {
    const path = this.#path(sha256);
    const found = statSync(path, { throwIfNoEntry: false });
    if (found === undefined || found.mtimeMs > before || this.#puts.has(sha256)) return false;
    if (!this.#shared) return this.#unlink(sha256);
    // Another server may put it in between: moved aside it can't be, and whether it was shows in its time.
    const aside = join(this.#tempDir, randomUUID());
    try {
      renameSync(path, aside);
      if (statSync(aside).mtimeMs > before) {
        renameSync(aside, path);
        return false;
      }
      unlinkSync(aside);
      return true;
    } catch (error) {
      return absent(error) !== null;
    }
  }

  async #store(sha256: string, bytes: Uint8Array): Promise<void> {
    const path = this.#path(sha256);
    const found = await stat(path).catch(absent);
    if (found?.size === bytes.length && (await this.touch(sha256))) return;
    const temp = join(this.#tempDir, randomUUID());
    try {
      await writeDurably(temp, bytes);
      await this.#makeFolder(sha256);
      await rename(temp, path);
      await syncFolder(join(path, ".."));
    } catch (error) {
      await rm(temp, { force: true });
      throw error;
    }
  }

  async #makeFolder(sha256: string): Promise<void> {
    const made = await mkdir(join(this.#path(sha256), ".."), { recursive: true, mode: 0o700 });
    if (made !== undefined) await syncFolder(this.#dir);
  }

  async #openFile(sha256: string): Promise<FileHandle | null> {
    return SHA256.test(sha256) ? open(this.#path(sha256), "r").catch(absent) : null;
  }

  #unlink(sha256: string): boolean {
    if (!SHA256.test(sha256)) return false;
    try {
      unlinkSync(this.#path(sha256));
      return true;
    } catch (error) {
      return absent(error) !== null;
    }
  }

  #path(sha256: string): string {
    return join(this.#dir, sha256.slice(0, 2), sha256);
  }
}

async function writeDurably(path: string, bytes: Uint8Array): Promise<void> {
  await using file = await open(path, "wx", 0o600);
  await file.writeFile(bytes);
  await file.sync();
}

/** Puts a folder's new entries on disk. */
async function syncFolder(dir: string): Promise<void> {
  await using folder = await open(dir, "r");
  await folder.sync();
}

function absent(error: unknown): null {
  if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
  throw error;
}

function fault(error: unknown, sizeBytes: number, dir: string): unknown {
  const code = (error as NodeJS.ErrnoException).code ?? "";
  if (!FULL.has(code)) return error;
  return new AthanorError("storage_full", `There is no room for a file of ${sizeBytes} bytes in ${dir} (${code}).`, {
    cause: error,
  });
}
