import { spawnSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";

const BALLAST = "ballast";
const PIECE = Buffer.alloc(256 * 1024);

/** A disk of its own, so small that it can be filled. Needs the right to mount. */
export class SmallDisk implements Disposable {
  readonly dir: string;

  private constructor(dir: string) {
    this.dir = dir;
  }

  /** Null where this process may not mount. */
  static mount(dir: string, sizeMib: number): SmallDisk | null {
    mkdirSync(dir, { recursive: true });
    const { status } = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${sizeMib}m,mode=0755`, "athanor-faults", dir]);
    return status === 0 ? new SmallDisk(dir) : null;
  }

  /** Takes all the room that is left. */
  fill(): void {
    const file = openSync(join(this.dir, BALLAST), "a");
    try {
      for (let size = PIECE.length; size >= 1; ) {
        try {
          if (writeSync(file, PIECE, 0, size) < size) size >>= 1;
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
          size >>= 1;
        }
      }
    } finally {
      closeSync(file);
    }
  }

  free(): void {
    rmSync(join(this.dir, BALLAST), { force: true });
  }

  [Symbol.dispose](): void {
    const { status } = spawnSync("umount", [this.dir]);
    if (status !== 0) spawnSync("umount", ["-l", this.dir]);
  }
}
