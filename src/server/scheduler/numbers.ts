import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

const BLOCK = 100;

/**
 * Numbers for replicas, ascending over restarts. A file holds a number that no replica has reached yet, moved on in blocks, so that
 * a start of a replica seldom writes and a crash skips at most one block.
 */
export class ReplicaNumbers {
  readonly #path: string;
  #next: number;
  #reserved: number;

  constructor(path: string) {
    this.#path = path;
    this.#next = read(path);
    this.#reserved = this.#next;
  }

  next(): number {
    if (this.#next === this.#reserved) this.#write(this.#reserved + BLOCK);
    return this.#next++;
  }

  /** Gives the rest of the block back. Call when no more replicas will start. */
  close(): void {
    if (this.#next !== this.#reserved) this.#write(this.#next);
  }

  #write(reserved: number): void {
    mkdirSync(dirname(this.#path), { recursive: true });
    writeFileSync(`${this.#path}.new`, `${reserved}\n`);
    renameSync(`${this.#path}.new`, this.#path);
    this.#reserved = reserved;
  }
}

function read(path: string): number {
  try {
    const number = Number(readFileSync(path, "utf8"));
    return Number.isSafeInteger(number) && number > 0 ? number : 1;
  } catch {
    return 1;
  }
}
