import { AthanorError } from "../../../protocol/errors.ts";
import type { Connection } from "./connection.ts";
import { toAthanorError } from "./faults.ts";

interface Step {
  durable: boolean;
  run(): unknown;
  resolve(value: never): void;
  reject(error: unknown): void;
}

/** Steps beyond this wait for the next transaction, so that one turn of the event loop stays short. */
const MAX_STEPS = 1024;

/**
 * Runs the steps of one turn of the event loop in one transaction: many operations share one write to the disk.
 *
 *   idle      --write-->                        scheduled
 *   scheduled --the turn's end (setImmediate)-> committing, synchronously: BEGIN, each step, COMMIT
 *   committing --queue empty--> idle            committing --more waits--> scheduled
 *   any --close--> closed                       what is queued is committed first
 *
 * A step that throws is undone alone. Most have written nothing by then, and there is nothing to undo; where one has, the transaction is
 * rolled back and all its steps run again, each in a savepoint (two statements that no step costs as long as none fails).
 * Where the transaction as a whole fails, every step of it rejects and none has happened.
 * Nothing reads in between, since the whole of committing is one synchronous stretch on one thread.
 */
export class GroupCommit {
  readonly #db: Connection;
  #queue: Step[] = [];
  #scheduled = false;
  #closed = false;

  constructor(db: Connection) {
    this.#db = db;
  }

  /** Resolves with what `run` returned, once it is committed; on disk where `durable`. `run` may be called twice. */
  write<T>(durable: boolean, run: () => T): Promise<T> {
    if (this.#closed) return Promise.reject(new AthanorError("shutting_down", "The store has been closed."));
    return new Promise<T>((resolve, reject) => {
      this.#queue.push({ durable, run, resolve, reject });
      this.#schedule();
    });
  }

  /** Commits what is queued; later writes are refused. */
  close(): void {
    this.#closed = true;
    while (this.#queue.length > 0) this.#flush();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      if (this.#queue.length > 0) this.#flush();
      if (this.#queue.length > 0) this.#schedule();
    });
  }

  #flush(): void {
    const steps = this.#queue.splice(0, MAX_STEPS);
    try {
      this.#db.setDurable(steps.some((step) => step.durable));
      const settle = this.#transact(() => this.#runPlainly(steps)) ?? this.#transact(() => this.#runApart(steps));
      for (const done of settle ?? []) done();
    } catch (error) {
      const fault = toAthanorError(error, this.#db.path);
      for (const step of steps) step.reject(fault);
    }
  }

  /** Null where `run` gave it up. */
  #transact<T>(run: () => T | null): T | null {
    this.#db.begin();
    try {
      const value = run();
      if (value === null) this.#db.rollback();
      else this.#db.commit();
      return value;
    } catch (error) {
      this.#rollback();
      throw error;
    }
  }

  /** Returns what to do after the commit; null where a step has failed and left something to undo. */
  #runPlainly(steps: Step[]): (() => void)[] | null {
    const settle: (() => void)[] = [];
    for (const step of steps) {
      const before = this.#db.writes;
      try {
        const value = step.run();
        settle.push(() => step.resolve(value as never));
      } catch (error) {
        if (this.#db.writes > before || !this.#db.inTransaction) return null;
        settle.push(() => step.reject(toAthanorError(error, this.#db.path)));
      }
    }
    return settle;
  }

  #runApart(steps: Step[]): (() => void)[] {
    return steps.map((step) => {
      this.#db.run("stepBegin");
      try {
        const value = step.run();
        this.#db.run("stepKeep");
        return () => step.resolve(value as never);
      } catch (error) {
        // A full disk can make SQLite roll back everything by itself.
        if (!this.#db.inTransaction) throw error;
        this.#db.run("stepUndo");
        this.#db.run("stepKeep");
        this.#db.forgetQueueNames();
        return () => step.reject(toAthanorError(error, this.#db.path));
      }
    });
  }

  #rollback(): void {
    try {
      this.#db.rollback();
    } catch {
      // A transaction that SQLite has already given up: the next BEGIN says so if the database is unusable.
    }
  }
}
