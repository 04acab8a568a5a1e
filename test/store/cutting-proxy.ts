import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

/** What to do about the next COMMIT that a client sends. */
type Cut =
  /** The database gets it; its answer does not come back, and both connections break. */
  | "answer"
  /** It stays in the network; the client's connection breaks. `deliver` brings it to the database later. */
  | "commit";

/** The name of the client's statement, and the tag of the database's answer to it. */
const COMMIT = Buffer.from("commit\0");
const COMMITTED = Buffer.from("COMMIT\0");

/** The database is done with what it was sent. It tells of an error before it lets go of the locks of the transaction. */
const READY = Buffer.from("Z\0\0\0\x05");

/** A network between a store and its database that loses what a test says. */
export class CuttingProxy implements AsyncDisposable {
  readonly #server: Server;
  readonly #target: number;
  readonly #sockets = new Set<Socket>();
  #next: Cut | null = null;
  #delayed: (() => Promise<void>)[] = [];
  #cuts = 0;

  private constructor(server: Server, target: number) {
    this.#server = server;
    this.#target = target;
    server.on("connection", (client) => this.#join(client));
  }

  static async start(target: number): Promise<CuttingProxy> {
    const server = createServer({ pauseOnConnect: true }).listen(0, "127.0.0.1");
    await once(server, "listening");
    return new CuttingProxy(server, target);
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("the proxy is closed");
    return address.port;
  }

  /** How often it has cut. */
  get cuts(): number {
    return this.#cuts;
  }

  cutNext(cut: Cut): void {
    this.#next = cut;
  }

  /** Brings the database what was kept back. Resolves when it is done with it or has hung up. */
  async deliver(): Promise<void> {
    for (const send of this.#delayed.splice(0)) await send();
  }

  /** As if the network between the two had gone: both sides see their connections break. */
  breakAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    this.breakAll();
    await once(this.#server, "close");
  }

  #join(client: Socket): void {
    const database = connect(this.#target, "127.0.0.1");
    let cut: Cut | null = null;
    for (const socket of [client, database]) {
      this.#sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => this.#sockets.delete(socket));
    }
    client.on("data", (data) => {
      if (cut === null && this.#next !== null && data.includes(COMMIT)) {
        cut = this.#next;
        this.#next = null;
        this.#cuts++;
        if (cut === "commit") {
          this.#keepBack(database, data);
          client.destroy();
          return;
        }
      }
      database.write(data);
    });
    database.on("data", (data) => {
      if (cut === null) client.write(data);
      else if (cut === "answer" && data.includes(COMMITTED)) {
        client.destroy();
        database.destroy();
      }
    });
    client.on("close", () => {
      if (cut !== "commit") database.destroy();
    });
    database.on("close", () => client.destroy());
    client.resume();
  }

  #keepBack(database: Socket, data: Buffer): void {
    this.#delayed.push(async () => {
      if (database.destroyed) return;
      const answered = new Promise<void>((resolve) => {
        let answer = Buffer.alloc(0);
        database
          .on("close", () => resolve())
          .on("data", (more) => {
            answer = Buffer.concat([answer, more]);
            if (answer.includes(READY)) resolve();
          });
      });
      database.write(data);
      await answered;
      database.destroy();
    });
  }
}
