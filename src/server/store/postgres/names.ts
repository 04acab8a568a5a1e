import { AthanorError } from "../../../protocol/errors.ts";
import { formatId } from "../../../protocol/names.ts";
import type { QueueName } from "../rows.ts";
import type { Database, Tx } from "./database.ts";

interface NamedQueue extends QueueName {
  queue: number;
}

/** Beyond so many the names are learnt anew. */
const MAX_KNOWN = 10_000;

/**
 * The numbers of queues. A number always means the same function, and a deployment's function the same number, as long as the deployment is
 * there; so what is known stays true.
 */
export class QueueNames {
  readonly #db: Database;
  readonly #names = new Map<number, QueueName>();
  readonly #numbers = new Map<string, number>();

  constructor(db: Database) {
    this.#db = db;
  }

  /** Of functions of a deployment; those that were never used are left out. */
  async known(deployment: number, functions: string[]): Promise<number[]> {
    const missing = functions.filter((name) => !this.#numbers.has(`${deployment}/${name}`));
    if (missing.length > 0) {
      const rows = await this.#db.read<NamedQueue>("queuesOf", { deployment, functions: missing });
      for (const row of rows) this.#learn(deployment, row);
    }
    return functions.flatMap((name) => this.#numbers.get(`${deployment}/${name}`) ?? []);
  }

  /** Of a function that is to get a job. Rejects with `deployment_not_found`. */
  async make(deployment: number, name: string): Promise<number> {
    const [known] = await this.known(deployment, [name]);
    if (known !== undefined) return known;
    await this.#db.write({ durable: true }, async (tx) => {
      await tx.write("queueMake", { deployment, functions: [name] });
      return () => {};
    });
    const [made] = await this.known(deployment, [name]);
    if (made !== undefined) return made;
    throw new AthanorError("deployment_not_found", `${formatId("deployments", deployment)} does not exist any more.`);
  }

  /** Reads the names that `name` is to give. */
  async load(queues: number[], tx?: Tx): Promise<void> {
    const missing = [...new Set(queues)].filter((queue) => !this.#names.has(queue));
    if (missing.length === 0) return;
    const p = { queues: missing };
    const rows = await (tx === undefined
      ? this.#db.read<NamedQueue>("queueNames", p)
      : tx.read<NamedQueue>("queueNames", p));
    for (const row of rows) this.#names.set(row.queue, { app: row.app, function: row.function });
  }

  name(queue: number): QueueName {
    return this.#names.get(queue) ?? { app: "", function: "" };
  }

  #learn(deployment: number, { queue, app, function: name }: NamedQueue): void {
    if (this.#numbers.size >= MAX_KNOWN) this.#numbers.clear();
    this.#numbers.set(`${deployment}/${name}`, queue);
    this.#names.set(queue, { app, function: name });
  }
}
