import { createHash, randomUUID } from "node:crypto";
import { statSync, unlinkSync } from "node:fs";
import { type FileHandle, mkdir, open, readdir, rename, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { AthanorError } from "../protocol/errors.ts";

export interface BlobParams {
  /** `<data>/blobs`; made where it is absent. */
  dir: string;
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
const FULL = new Set(["ENOSPC", "EDQUOT", "EFBIG"]);

/**
 * Content-addressed files: `<dir>/ab/ab12…`, named by the SHA-256 (hex) of what they hold. A file appears under its name only when it
 * is whole and on disk.
 */
export class Blobs {
  readonly #dir: string;
  readonly #tempDir: string;
  /** Puts under way by hash, so that equal bytes are written once. */
  readonly #puts = new Map<string, Promise<void>>();

  constructor(p: BlobParams) {
    this.#dir = p.dir;
    this.#tempDir = join(p.dir, TEMP_DIR);
  }

  /** Makes the folder and removes what interrupted writes left behind. */
  async start(): Promise<void> {
    await rm(this.#tempDir, { recursive: true, force: true });
    await mkdir(this.#tempDir, { recursive: true, mode: 0o700 });
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

  async remove(hashes: string[]): Promise<void> {
    for (const sha256 of hashes) this.#unlink(sha256);
  }

  /**
   * Removes blobs that no job needs and that have not been put for `minAgeMs` (a job that names them may be about to be stored).
   * `unreferenced` is the store's blobUnreferenced. Returns how many.
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
        const unneeded = await p.unreferenced({ hashes: hashes.slice(at, at + SWEEP_BATCH) });
        for (const sha256 of unneeded) if (this.#removeOld(sha256, p.now - p.minAgeMs)) removed++;
      }
    }
    return removed;
  }

  /** Synchronous, so that no put can begin between the look and the removal. */
  #removeOld(sha256: string, before: number): boolean {
    const found = statSync(this.#path(sha256), { throwIfNoEntry: false });
    if (found === undefined || found.mtimeMs > before || this.#puts.has(sha256)) return false;
    return this.#unlink(sha256);
  }

  async #store(sha256: string, bytes: Uint8Array): Promise<void> {
    const path = this.#path(sha256);
    const found = await stat(path).catch(absent);
    if (found?.size === bytes.length) {
      const now = new Date();
      await utimes(path, now, now);
      return;
    }
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
