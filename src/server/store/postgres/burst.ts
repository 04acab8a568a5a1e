import { type Connection, DatabaseError, type FieldDef, Query } from "pg";
import type { Statement } from "./statements.ts";

/** How a column's text becomes a value. */
export type ParserOf = (oid: number) => (text: string) => unknown;

/** What a connection knows of a statement that the database has prepared on it. */
export interface Prepared {
  columns: { name: string; parse(text: string): unknown }[];
}

export interface Answer {
  rows: unknown[];
  /** `COMMIT`, `UPDATE 3` */
  command: string;
}

interface Call {
  statement: Statement;
  values: (string | null)[];
  /** It has to be prepared first. */
  isNew: boolean;
  prepared: Prepared;
  rows: unknown[];
  resolve(answer: Answer): void;
  reject(error: unknown): void;
}

const IN_FAILED_TRANSACTION = "25P02";

/**
 * Statements that leave in one write and are answered in one: the database sends nothing before the Sync at their end. Each is prepared once
 * on a connection, and its columns are asked for then.
 *
 * Where one fails, those behind it are not run, and are rejected as they would be in a transaction that has failed.
 *
 * It is a `Query` since the driver pipelines nothing else: of that it keeps only the name, and hears of each message itself.
 */
export class Burst extends Query {
  readonly #calls: Call[] = [];
  readonly #known: Map<string, Prepared>;
  readonly #parserOf: ParserOf;
  #answered = 0;

  /** `known`: what its connection has prepared. */
  constructor(known: Map<string, Prepared>, parserOf: ParserOf) {
    super({ text: "" });
    this.#known = known;
    this.#parserOf = parserOf;
  }

  add(statement: Statement, values: (string | null)[]): Promise<Answer> {
    const known = this.#known.get(statement.name);
    const prepared = known ?? { columns: [] };
    if (known === undefined) this.#known.set(statement.name, prepared);
    return new Promise((resolve, reject) => {
      this.#calls.push({ statement, values, isNew: known === undefined, prepared, rows: [], resolve, reject });
    });
  }

  override submit = (connection: Connection): void => {
    connection.stream.cork();
    for (const { statement, values, isNew } of this.#calls) {
      const { name, text } = statement;
      if (isNew) {
        connection.parse({ name, text, types: [] }, true);
        connection.describe({ type: "S", name }, true);
      }
      connection.bind({ statement: name, values }, true);
      connection.execute({}, true);
    }
    connection.sync();
    connection.stream.uncork();
  };

  handleRowDescription({ fields }: { fields: FieldDef[] }): void {
    const call = this.#calls[this.#answered];
    if (call === undefined) return;
    call.prepared.columns = fields.map(({ name, dataTypeID }) => ({ name, parse: this.#parserOf(dataTypeID) }));
  }

  handleDataRow({ fields }: { fields: (string | null)[] }): void {
    const call = this.#calls[this.#answered];
    if (call === undefined) return;
    const row: Record<string, unknown> = {};
    for (const [index, { name, parse }] of call.prepared.columns.entries()) {
      const text = fields[index] ?? null;
      row[name] = text === null ? null : parse(text);
    }
    call.rows.push(row);
  }

  handleCommandComplete({ text }: { text: string }): void {
    const call = this.#calls[this.#answered++];
    call?.resolve({ rows: call.rows, command: text });
  }

  /** Of one statement, or, where it is not the database that speaks or it ends the connection, of all. */
  handleError(error: Error): void {
    const [failed, ...behind] = this.#calls.slice(this.#answered);
    this.#answered = this.#calls.length;
    for (const { isNew, statement } of [failed, ...behind].flatMap((call) => call ?? []))
      if (isNew) this.#known.delete(statement.name);
    failed?.reject(error);
    const skipped = error instanceof DatabaseError && error.severity === "ERROR" ? notRun(error) : error;
    for (const { reject } of behind) reject(skipped);
  }

  handleReadyForQuery(): void {}
}

function notRun(cause: Error): Error {
  return Object.assign(new Error("a statement before this one failed", { cause }), { code: IN_FAILED_TRANSACTION });
}

/** A parameter as the database reads it. */
export function toText(value: unknown): string | null {
  if (value === null || typeof value === "string") return value as string | null;
  if (Array.isArray(value)) return `{${value.map(toElement).join(",")}}`;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  throw new Error(`a parameter of a statement cannot be a ${typeof value}`);
}

function toElement(value: unknown): string {
  const text = toText(value);
  return text === null ? "NULL" : `"${text.replaceAll(/["\\]/g, "\\$&")}"`;
}
