import { faultOf, sqlState, toAthanorError, unreachable } from "./faults.ts";
import type { Link, Params } from "./link.ts";
import type { Pool } from "./pool.ts";

/** A lock that ends with its transaction; see `locks.ts`. */
export interface Lock {
  kind: number;
  id: number;
  shared: boolean;
}

export interface WriteOptions {
  /** The commit waits for the disk. */
  durable: boolean;
  /** Taken before the first statement, in this order. */
  locks?: Lock[];
  /** Longer than the patience for a verb that may have much to do. */
  timeoutMs?: number;
}

/** What runs in one transaction. */
export class Tx {
  readonly #link: Link;
  readonly #later: Promise<unknown>[] = [];
  #wrote = false;
  #failure: unknown = null;

  constructor(link: Link) {
    this.#link = link;
  }

  get wrote(): boolean {
    return this.#wrote;
  }

  /** A statement that reads or locks. */
  read<T>(name: string, params: Params = {}): Promise<T[]> {
    const rows = this.#link.run<T>(name, params);
    // It may be awaited only after another, which then fails for no reason but this one.
    rows.catch((error) => {
      this.#failure ??= error;
    });
    return rows;
  }

  async get<T>(name: string, params: Params = {}): Promise<T | undefined> {
    return (await this.read<T>(name, params))[0];
  }

  /** A statement that changes something. The commit is sent behind it, whether it was awaited or not; where it fails, nothing is committed. */
  write<T>(name: string, params: Params = {}): Promise<T[]> {
    this.#wrote = true;
    const rows = this.read<T>(name, params);
    this.#later.push(rows);
    return rows;
  }

  /** Of its statements the first that failed, and why all after it did. */
  get failure(): unknown {
    return this.#failure;
  }

  async settled(): Promise<void> {
    await Promise.all(this.#later);
  }
}

/**
 * Returns what makes the value, of what it knows before the commit is sent: the answers to its last statements may be lost together with that to
 * the commit.
 */
export type Step<T> = (tx: Tx) => Promise<() => T>;

const IN_FAILED_TRANSACTION = "25P02";

/** A transaction may lose against others so often before that is a fault. */
const MAX_CONFLICTS = 20;

/**
 * Runs transactions, through lost connections and restarts of the database:
 *
 *   begun      --connection lost--> begun      nothing was committed: once more
 *   committing --connection lost--> unsure
 *   unsure     --was committed-->   done       unsure --was not--> begun
 *   any        --patience is over-> failed     with store_unreachable
 *
 * What tells a commit whose answer was lost: the last statement of a transaction that writes moves its connection's row in `writers` on by
 * one. Reading that row waits for a transaction that may still be under way, and spoils the row, so that one whose COMMIT is still in
 * the network can never be committed later. Unlike the number of a transaction, a row is not given to another after a crash.
 */
export class Database {
  readonly pool: Pool;
  readonly #patienceMs: number;
  readonly #lockSpace: number;

  constructor(p: { pool: Pool; patienceMs: number; lockSpace: number }) {
    this.pool = p.pool;
    this.#patienceMs = p.patienceMs;
    this.#lockSpace = p.lockSpace;
  }

  /** One atomic step; `step` may run more than once, and its last run is the one that counts. */
  async write<T>(options: WriteOptions, step: Step<T>): Promise<T> {
    const startedAt = performance.now();
    const deadline = startedAt + this.#patienceMs;
    for (let conflicts = 0; ; ) {
      const link = await this.pool.acquire(deadline);
      try {
        return await this.#attempt(link, options, step, deadline);
      } catch (error) {
        const fault = faultOf(error);
        if (fault === "again" && ++conflicts <= MAX_CONFLICTS) continue;
        if (fault !== "lost") throw toAthanorError(error, this.pool.target.label);
        if (performance.now() > deadline)
          throw unreachable(this.pool.target.label, performance.now() - startedAt, error);
      }
    }
  }

  /** One statement that changes nothing, or nothing that doing twice would change more. */
  async read<T>(name: string, params: Params = {}): Promise<T[]> {
    const startedAt = performance.now();
    const deadline = startedAt + this.#patienceMs;
    for (let conflicts = 0; ; ) {
      const link = await this.pool.acquire(deadline);
      try {
        const rows = await link.run<T>(name, params);
        this.pool.release(link);
        return rows;
      } catch (error) {
        const fault = faultOf(error);
        if (fault === "lost" || link.closed) this.pool.discard(link);
        else this.pool.release(link);
        if (fault === "again" && ++conflicts <= MAX_CONFLICTS) continue;
        if (fault !== "lost") throw toAthanorError(error, this.pool.target.label);
        if (performance.now() > deadline)
          throw unreachable(this.pool.target.label, performance.now() - startedAt, error);
      }
    }
  }

  async get<T>(name: string, params: Params = {}): Promise<T | undefined> {
    return (await this.read<T>(name, params))[0];
  }

  async #attempt<T>(link: Link, options: WriteOptions, step: Step<T>, deadline: number): Promise<T> {
    let unsure = false;
    let finish: (() => T) | null = null;
    const tx = new Tx(link);
    const watchdog = setTimeout(() => link.cut(), options.timeoutMs ?? this.#patienceMs);
    try {
      const begun = this.#begin(link, options);
      begun.catch(() => {});
      finish = await step(tx);
      await this.#commit(link, tx, () => {
        unsure = tx.wrote;
      });
      this.pool.release(link);
    } catch (error) {
      if (faultOf(error) !== "lost" && !link.closed) {
        await this.#rollBack(link);
        throw sqlState(error) === IN_FAILED_TRANSACTION ? (tx.failure ?? error) : error;
      }
      this.pool.discard(link);
      if (!unsure || finish === null || !(await this.#wasCommitted(link, deadline))) throw error;
    } finally {
      clearTimeout(watchdog);
    }
    return finish();
  }

  /** Sent in one piece with what follows. */
  async #begin(link: Link, { durable, locks = [] }: WriteOptions): Promise<void> {
    const begun = [link.command("begin")];
    if (!durable) begun.push(link.command("commitSoon"));
    for (const { kind, id, shared } of locks) {
      const place = { kind: (this.#lockSpace + kind) | 0, id: id | 0 };
      begun.push(link.run(shared ? "lockShare" : "lockTake", place).then(() => ""));
    }
    await Promise.all(begun);
  }

  async #commit(link: Link, tx: Tx, sent: () => void): Promise<void> {
    if (tx.wrote) {
      link.sequence++;
      void tx.write("writerMark", { writer: link.writer, sequence: link.sequence });
    }
    const answer = link.command("commit");
    sent();
    const [, committed] = await Promise.all([tx.settled(), answer]);
    if (committed !== "COMMIT") throw new Error("the database rolled the transaction back");
  }

  async #rollBack(link: Link): Promise<void> {
    try {
      await link.command("rollback");
      const [row] = await link.run<{ sequence: number }>("writerRead", { writer: link.writer });
      link.sequence = row?.sequence ?? -1;
      this.pool.release(link);
    } catch {
      this.pool.discard(link);
    }
  }

  async #wasCommitted(lost: Link, deadline: number): Promise<boolean> {
    const link = await this.pool.acquire(deadline);
    try {
      const [row] = await link.run<{ sequence: number }>("writerSpoil", { writer: lost.writer });
      this.pool.release(link);
      return row?.sequence === lost.sequence;
    } catch (error) {
      this.pool.discard(link);
      if (faultOf(error) !== "lost") throw error;
      return await this.#wasCommitted(lost, deadline);
    }
  }
}
