/**
 * Holds on a blob folder: while somebody copies it, no blob is cleared away, so that a copy of the store and the copy of the blobs that
 * follows it fit together.
 *
 *   free --holdBlobs()--> held, renewed --disposed--> free;   held --its process ends--> free once the hold is stale
 */
import { randomUUID } from "node:crypto";
import { mkdir, readdir, rm, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";

const HOLDS_DIR = "holds";
const RENEW_MS = 60_000;
/** Long against RENEW_MS, as a hold's owner may be held up itself, and clocks of machines differ. */
const STALE_MS = 60 * 60_000;

export async function holdBlobs(dir: string): Promise<AsyncDisposable> {
  const path = join(dir, HOLDS_DIR, randomUUID());
  await mkdir(join(dir, HOLDS_DIR), { recursive: true, mode: 0o700 });
  await writeFile(path, `${process.pid}\n`, { mode: 0o600 });
  const timer = setInterval(() => {
    const now = new Date();
    // Where the folder is away for a moment, the next renewal is early enough.
    utimes(path, now, now).catch(() => {});
  }, RENEW_MS);
  timer.unref();
  return {
    [Symbol.asyncDispose]: async () => {
      clearInterval(timer);
      await rm(path, { force: true });
    },
  };
}

/** Stale holds are removed. */
export async function areBlobsHeld(dir: string, now: number): Promise<boolean> {
  const names = await readdir(join(dir, HOLDS_DIR)).catch(absent);
  let held = false;
  for (const name of names ?? []) {
    const path = join(dir, HOLDS_DIR, name);
    const found = await stat(path).catch(absent);
    if (found === null) continue;
    if (found.mtimeMs > now - STALE_MS) held = true;
    else await rm(path, { force: true });
  }
  return held;
}

function absent(error: unknown): null {
  if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
  throw error;
}
