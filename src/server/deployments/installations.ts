/**
 * Folders with what deployments need beside their own files: made once for each content hash, at `<root>/<hash>`, and linked to by all that need it.
 *
 *   absent --make()--> being made (shared by all who ask) --well--> there (renamed into place)
 *                                                         --fails--> absent (nothing is left)
 */
import { existsSync, readdirSync, renameSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { diskError, removeTemporaries, temporaryIn } from "./files.ts";

export class Installations {
  readonly #root: string;
  readonly #making = new Map<string, Promise<void>>();
  #stopped = new AbortController();

  constructor(root: string) {
    this.#root = root;
  }

  async start(): Promise<void> {
    this.#stopped = new AbortController();
    await removeTemporaries(this.#root);
  }

  /** Ends what is being made. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await Promise.allSettled(this.#making.values());
  }

  /** The folder of this hash; `fill` makes its content where it is absent, in a folder of another name. Throws what that throws, storage_full. */
  async make(hash: string, fill: (dir: string, signal: AbortSignal) => Promise<void>): Promise<string> {
    const dir = join(this.#root, hash);
    if (existsSync(dir)) return dir;
    let making = this.#making.get(hash);
    if (!making) {
      making = this.#make(dir, fill).finally(() => this.#making.delete(hash));
      this.#making.set(hash, making);
    }
    await making;
    return dir;
  }

  /** Moves aside all but these hashes, and returns where to; the caller deletes it. Call while nothing is being deployed. */
  takeUnused(used: ReadonlySet<string | null>): string[] {
    const unused = readdirSync(this.#root).filter((hash) => /^[0-9a-f]{64}$/.test(hash) && !used.has(hash));
    return unused.map((hash) => this.takeAside(hash));
  }

  takeAside(name: string): string {
    const temporary = temporaryIn(this.#root);
    renameSync(join(this.#root, name), temporary);
    return temporary;
  }

  async #make(dir: string, fill: (dir: string, signal: AbortSignal) => Promise<void>): Promise<void> {
    const temporary = temporaryIn(this.#root);
    try {
      await mkdir(temporary, { recursive: true, mode: 0o700 });
      await fill(temporary, this.#stopped.signal);
      await rename(temporary, dir);
    } catch (error) {
      await rm(temporary, { recursive: true, force: true });
      throw diskError(error, "what the deployment needs could not be installed");
    }
  }
}
