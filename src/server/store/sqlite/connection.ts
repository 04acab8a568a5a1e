import { closeSync, fsyncSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { readMigrations, readStatements, sqlDir } from "../statements.ts";
import { migrate } from "./migrate.ts";

type Params = Record<string, SQLInputValue>;

/** How long to wait for another process (a backup, `doctor`) that holds the write lock. */
const BUSY_TIMEOUT_MS = 5000;
const CACHE_KIB = 16 * 1024;
/** A WAL that grew beyond this in a burst is cut back at the next checkpoint. */
const WAL_LIMIT_BYTES = 64 * 1024 * 1024;

const PRAGMAS = `
  PRAGMA journal_mode = WAL;
  PRAGMA fullfsync = ON;
  PRAGMA temp_store = MEMORY;
  PRAGMA cache_size = -${CACHE_KIB};
  PRAGMA journal_size_limit = ${WAL_LIMIT_BYTES};
`;

/** One open database with every statement of the `.sql` files prepared. */
export class Connection {
  readonly path: string;
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  #durable: boolean | null = null;

  constructor(path: string, maxPages?: number) {
    this.path = path;
    this.#db = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS, enableForeignKeyConstraints: true });
    try {
      this.#db.exec(PRAGMAS);
      if (maxPages !== undefined) this.limitPages(maxPages);
      const dir = sqlDir("sqlite");
      this.setDurable(true);
      migrate(this.#db, readMigrations(dir), path);
      syncFolder(dirname(path));
      for (const [name, sql] of readStatements(dir)) this.#statements.set(name, this.#db.prepare(sql));
    } catch (error) {
      this.#db.close();
      throw error;
    }
  }

  get inTransaction(): boolean {
    return this.#db.isTransaction;
  }

  /** Whether commits from now on reach the disk before they return. Between transactions only. */
  setDurable(durable: boolean): void {
    if (this.#durable === durable) return;
    this.#db.exec(`PRAGMA synchronous = ${durable ? "FULL" : "NORMAL"}`);
    this.#durable = durable;
  }

  limitPages(maxPages: number): void {
    this.#db.exec(`PRAGMA max_page_count = ${Math.trunc(maxPages)}`);
  }

  pragma(text: string): Record<string, unknown>[] {
    return this.#db.prepare(`PRAGMA ${text}`).all();
  }

  /** Returns how many rows changed. */
  run(name: string, params: Params = {}): number {
    return Number(this.#statement(name).run(params).changes);
  }

  get<T>(name: string, params: Params = {}): T | undefined {
    return this.#statement(name).get(params) as T | undefined;
  }

  all<T>(name: string, params: Params = {}): T[] {
    return this.#statement(name).all(params) as T[];
  }

  close(): void {
    if (this.#db.isOpen) this.#db.close();
  }

  #statement(name: string): StatementSync {
    const statement = this.#statements.get(name);
    if (statement === undefined) throw new Error(`no SQL statement is called ${name}`);
    return statement;
  }
}

/** SQLite syncs the files, not the entry of a new database in its folder. */
function syncFolder(dir: string): void {
  const fd = openSync(dir, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
