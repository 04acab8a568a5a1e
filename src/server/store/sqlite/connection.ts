import { closeSync, fsyncSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { backup, DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import type { QueueName } from "../rows.ts";
import { readMigrations, readStatements, sqlDir } from "../statements.ts";
import { JOB_COLUMNS, jobRow } from "./job-row.ts";
import { migrate } from "./migrate.ts";

type Params = Record<string, SQLInputValue>;

/** How long to wait for another process (a backup, `doctor`) that holds the write lock. */
export const BUSY_TIMEOUT_MS = 5000;
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

interface Prepared {
  statement: StatementSync;
  writes: boolean;
  /** Of each place for a value, the parameter that stands there. */
  params: string[];
  /** It answers with whole rows of `jobs`. */
  jobs: boolean;
}

/** One open database with every statement of the `.sql` files prepared. */
export class Connection {
  readonly path: string;
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, Prepared>();
  readonly #queueNames = new Map<number, QueueName>();
  #durable: boolean | null = null;
  #writes = 0;

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
      for (const [name, sql] of readStatements(dir)) this.#prepare(name, sql);
    } catch (error) {
      this.#db.close();
      throw error;
    }
  }

  get inTransaction(): boolean {
    return this.#db.isTransaction;
  }

  /** How many statements that may write have been run; where it has not grown, there is nothing to undo. */
  get writes(): number {
    return this.#writes;
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
    const prepared = this.#use(name);
    return Number(prepared.statement.run(...values(prepared, params)).changes);
  }

  get<T>(name: string, params: Params = {}): T | undefined {
    const prepared = this.#use(name);
    const row = prepared.statement.get(...values(prepared, params));
    return (prepared.jobs && row !== undefined ? jobRow(row as unknown as unknown[]) : row) as T | undefined;
  }

  all<T>(name: string, params: Params = {}): T[] {
    const prepared = this.#use(name);
    const rows = prepared.statement.all(...values(prepared, params));
    return (prepared.jobs ? rows.map((row) => jobRow(row as unknown as unknown[])) : rows) as T[];
  }

  begin(): void {
    this.run("begin");
  }

  commit(): void {
    this.run("commit");
  }

  /** What was read within the transaction may never have been. */
  rollback(): void {
    this.#queueNames.clear();
    if (this.#db.isTransaction) this.run("rollback");
  }

  /** A queue's number is never given twice, so that its name may be remembered. */
  queueName(queue: number): QueueName {
    const known = this.#queueNames.get(queue);
    if (known !== undefined) return known;
    const name = this.get<QueueName>("queueName", { queue });
    if (name === undefined) throw new Error(`there is no queue ${queue}`);
    this.#queueNames.set(queue, name);
    return name;
  }

  forgetQueueNames(): void {
    this.#queueNames.clear();
  }

  /** Copies the database to a file while it is in use. */
  async copyTo(path: string): Promise<void> {
    await backup(this.#db, path, { rate: BACKUP_STEP_PAGES });
  }

  close(): void {
    if (this.#db.isOpen) this.#db.close();
  }

  #prepare(name: string, sql: string): void {
    const { code, params } = positional(sql);
    const statement = this.#db.prepare(code);
    const columns = statement.columns().map((column) => column.name);
    const jobs = columns.length === JOB_COLUMNS.length && columns.every((column, i) => column === JOB_COLUMNS[i]);
    statement.setReturnArrays(jobs);
    this.#statements.set(name, { statement, writes: !code.startsWith("SELECT"), params, jobs });
  }

  #use(name: string): Prepared {
    const prepared = this.#statements.get(name);
    if (prepared === undefined) throw new Error(`no SQL statement is called ${name}`);
    if (prepared.writes) this.#writes++;
    return prepared;
  }
}

/** With `?` in place of each `:param`: SQLite looks up each name at each call, which takes about as long as a small statement itself. */
function positional(sql: string): { code: string; params: string[] } {
  const params: string[] = [];
  const code = sql.replaceAll(/'(?:[^']|'')*'|--.*$|:([a-z]\w*)/gim, (text, param: string | undefined) => {
    if (text.startsWith("--")) return "";
    if (param === undefined) return text;
    params.push(param);
    return "?";
  });
  return { code: code.trim(), params };
}

function values({ params }: Prepared, given: Params): SQLInputValue[] {
  return params.map((param) => given[param] as SQLInputValue);
}

/** Pages of 4 KiB that a backup copies before it lets others write. */
const BACKUP_STEP_PAGES = 1000;

/** SQLite syncs the files, not the entry of a new database in its folder. */
export function syncFolder(dir: string): void {
  const fd = openSync(dir, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
