import { after, before } from "node:test";
import { openPostgresStore, type PostgresParams } from "../../src/server/store/postgres.ts";
import type { Store } from "../../src/server/store/store.ts";
import { postgresMissing, TestPostgres } from "../harness/postgres.ts";
import type { Open } from "./conformance/given.ts";

/** One PostgreSQL for the tests of a file, started before them and gone after them. */
export class PostgresForFile {
  readonly #durable: boolean;
  #server: TestPostgres | null = null;
  #schemas = 0;

  constructor(p: { durable?: boolean } = {}) {
    this.#durable = p.durable ?? false;
    before(async () => {
      if (postgresMissing() === false) this.#server = await TestPostgres.start({ durable: this.#durable });
    });
    after(async () => await this.#server?.[Symbol.asyncDispose]());
  }

  get server(): TestPostgres {
    if (this.#server === null) throw new Error("PostgreSQL is used before it runs");
    return this.#server;
  }

  /** The name of a schema that nobody has used. */
  schema(): string {
    return `athanor_${++this.#schemas}`;
  }

  async open(p: Partial<PostgresParams> = {}): Promise<Store> {
    return await openPostgresStore({ url: this.server.url(), schema: this.schema(), maxConnections: 4, ...p });
  }

  /** An empty store in a schema of its own, which goes with it. */
  readonly openEmpty: Open = async () => {
    const schema = this.schema();
    const store = await this.open({ schema });
    const dispose = store[Symbol.asyncDispose].bind(store);
    return Object.assign(store, {
      another: () => this.open({ schema }),
      [Symbol.asyncDispose]: async () => {
        await dispose();
        await this.server.run(`SET client_min_messages TO warning; DROP SCHEMA "${schema}" CASCADE`);
      },
    });
  };
}
