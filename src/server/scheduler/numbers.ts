import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { AthanorError } from "../../protocol/errors.ts";
import type { Store } from "../store/store.ts";

/** Numbers for replicas, never the same again on any server of the store. */
export interface ReplicaNumbers {
  /** Throws store_unreachable where the store has not given any for long. */
  next(): number;
  /** Call when no more replicas will start. */
  close(): void;
}

const BLOCK = 100;

/**
 * Numbers for replicas, ascending over restarts. A file holds a number that no replica has reached yet, moved on in blocks, so that
 * a start of a replica seldom writes and a crash skips at most one block.
 */
export class FileNumbers implements ReplicaNumbers {
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

  /** Gives the rest of the block back. */
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

/** The next block is asked for when so many are left: starts of replicas do not wait for the store, nor stop soon when it is away. */
const LOW = BLOCK / 2;
const NAME = "replica";

/** Numbers that the servers of a store share: each takes them in blocks. What is left of a block at the end is lost. */
export class StoreNumbers implements ReplicaNumbers {
  readonly #store: Pick<Store, "numberTake">;
  #free: number[] = [];
  #taking: Promise<void> | null = null;

  private constructor(store: Pick<Store, "numberTake">) {
    this.#store = store;
  }

  static async open(store: Pick<Store, "numberTake">): Promise<StoreNumbers> {
    const numbers = new StoreNumbers(store);
    await numbers.#take();
    return numbers;
  }

  next(): number {
    if (this.#free.length <= LOW) {
      // Where the store is away, the next start of a replica asks again.
      this.#taking ??= this.#take()
        .catch(() => {})
        .finally(() => {
          this.#taking = null;
        });
    }
    const number = this.#free.shift();
    if (number === undefined)
      throw new AthanorError("store_unreachable", "The database has not given any numbers for replicas for long.");
    return number;
  }

  close(): void {
    this.#free = [];
  }

  async #take(): Promise<void> {
    const first = await this.#store.numberTake({ name: NAME, count: BLOCK });
    for (let number = first; number < first + BLOCK; number++) this.#free.push(number);
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
