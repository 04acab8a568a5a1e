import { TestPostgres } from "../harness/postgres.ts";
import { Network } from "./network.ts";

/**
 * One PostgreSQL, which each server reaches over a network of its own.
 *
 *   up --kill--> down --start--> up
 */
export class Database implements AsyncDisposable {
  readonly #postgres: TestPostgres;
  readonly networks: Network[];

  private constructor(postgres: TestPostgres, networks: Network[]) {
    this.#postgres = postgres;
    this.networks = networks;
  }

  /** `addresses`: for each server, the one of this machine at which it finds its network. */
  static async start(addresses: string[]): Promise<Database> {
    const postgres = await TestPostgres.start();
    const to = { host: "127.0.0.1", port: postgres.port };
    const networks = await Promise.all(addresses.map((address) => Network.start(address, to)));
    return new Database(postgres, networks);
  }

  /** As the server of that number reaches it. */
  url(server: number): string {
    const url = new URL(this.#postgres.url());
    const network = this.networks[server];
    if (network === undefined) throw new Error(`there is no server ${server}`);
    url.hostname = network.host;
    url.port = String(network.port);
    return url.href;
  }

  /** Past all networks. */
  get directUrl(): string {
    return this.#postgres.url();
  }

  async kill(): Promise<void> {
    await this.#postgres.kill();
  }

  async start(): Promise<void> {
    await this.#postgres.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.networks.map((network) => network[Symbol.asyncDispose]()));
    await this.#postgres[Symbol.asyncDispose]();
  }
}
