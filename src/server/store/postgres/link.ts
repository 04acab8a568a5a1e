import { randomUUID } from "node:crypto";
import { once } from "node:events";
import type { Duplex } from "node:stream";
import { Client, type QueryResult, types } from "pg";
import { POSTGRES_DEFAULTS } from "../../../protocol/defaults.ts";
import { type Answer, Burst, type Prepared, toText } from "./burst.ts";
import type { Statement } from "./statements.ts";
import type { Target } from "./target.ts";

export type Params = Record<string, unknown>;

const INT8 = 20;
/** Numbers of ours stay below 2^53. */
const NUMBERS = {
  getTypeParser: ((oid: number, format?: "text") =>
    oid === INT8 ? Number : types.getTypeParser(oid, format)) as typeof types.getTypeParser,
};

/**
 * One connection, which sends what it is given without waiting for the answers before it; in one piece what it is given in a row.
 *
 *   open --error, end, close(), cut()--> closed
 */
export class Link implements AsyncDisposable {
  /** Its row in `writers`, once it has one; see database.ts. */
  readonly writer = randomUUID();
  readonly openedAt = performance.now();
  /** Of its last transaction that wrote. */
  sequence = 0;
  readonly #client: Client;
  readonly #statements: Map<string, Statement>;
  readonly #prepared = new Map<string, Prepared>();
  /** Gathers until what runs now has come to its end. */
  #burst: Burst | null = null;
  #closed = false;

  private constructor(client: Client, statements: Map<string, Statement>) {
    this.#client = client;
    this.#statements = statements;
    client.on("error", () => {
      this.#closed = true;
    });
    client.on("end", () => {
      this.#closed = true;
    });
  }

  static async open(target: Target, statements: Map<string, Statement>): Promise<Link> {
    const client = new Client({
      connectionString: target.connectionString,
      application_name: "athanor",
      connectionTimeoutMillis: POSTGRES_DEFAULTS.connectTimeoutMs,
      keepAlive: true,
      keepAliveInitialDelayMillis: 5000,
      pipeline: true,
      types: NUMBERS,
    });
    const link = new Link(client, statements);
    try {
      await client.connect();
      await client.query(setUp(target.schema));
    } catch (error) {
      link.close();
      throw error;
    }
    return link;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** A statement of the `.sql` files. */
  async run<T>(name: string, params: Params = {}): Promise<T[]> {
    return (await this.#add(name, params)).rows as T[];
  }

  /** The same, for what it says it has done: `COMMIT`, or `ROLLBACK`. */
  async command(name: string): Promise<string> {
    return (await this.#add(name, {})).command;
  }

  /** Statements without parameters, one after the other; one result for each. */
  async text(sql: string): Promise<QueryResult[]> {
    this.#send();
    const result: QueryResult | QueryResult[] = await this.#client.query(sql);
    return Array.isArray(result) ? result : [result];
  }

  #add(name: string, params: Params): Promise<Answer> {
    const statement = this.#statements.get(name);
    if (statement === undefined) throw new Error(`no SQL statement is called ${name}`);
    const values = statement.params.map((param) => {
      if (params[param] === undefined) throw new Error(`the statement ${name} needs ${param}`);
      return toText(params[param]);
    });
    if (this.#burst === null) {
      this.#burst = new Burst(this.#prepared, NUMBERS.getTypeParser);
      process.nextTick(() => this.#send());
    }
    return this.#burst.add(statement, values);
  }

  #send(): void {
    const burst = this.#burst;
    this.#burst = null;
    if (burst !== null) this.#client.query(burst);
  }

  /** For LISTEN. */
  onNotification(listener: (payload: string) => void): void {
    this.#client.on("notification", ({ payload }) => listener(payload ?? ""));
  }

  async untilClosed(): Promise<void> {
    if (!this.#closed) await once(this.#client, "end");
  }

  /** Without a word to the other side, which may not answer any more. What waits for an answer is rejected. */
  cut(): void {
    this.#closed = true;
    (this.#client as unknown as { connection: { stream: Duplex } }).connection.stream.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  close(): void {
    this.#closed = true;
    // A connection that is broken already rejects.
    this.#client.end().catch(() => {});
  }
}

/**
 * The plans are for indexes whatever the statistics say, since these tables fill and empty faster than those follow. A server whose default
 * is not to wait for the disk would break what durable verbs promise.
 */
function setUp(schema: string): string {
  return `
    SET search_path TO "${schema}";
    SET client_min_messages TO warning;
    SET idle_in_transaction_session_timeout TO ${POSTGRES_DEFAULTS.idleInTransactionMs};
    SET enable_seqscan TO off;
    SET enable_hashjoin TO off;
    SET enable_mergejoin TO off;
    SET jit TO off;
    SET plan_cache_mode TO force_generic_plan;
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'`;
}
