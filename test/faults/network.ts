import { createConnection, createServer, type Server, type Socket } from "node:net";

/**
 * The network between a server and its database, which can be cut: then nothing passes, either way, and nobody is told; connections that are
 * opened meanwhile wait. Healed, it goes on where it stopped, as after lost packets.
 *
 *   open --cut()--> cut --heal()--> open       any --close()--> closed
 */
export class Network implements AsyncDisposable {
  readonly host: string;
  readonly port: number;
  readonly #server: Server;
  readonly #pairs: Set<[Socket, Socket]>;
  readonly #waiting: Set<() => void>;
  readonly #state: { cut: boolean };

  private constructor(server: Server, host: string, parts: ProxyParts) {
    this.#server = server;
    this.host = host;
    this.port = (server.address() as { port: number }).port;
    this.#pairs = parts.pairs;
    this.#waiting = parts.waiting;
    this.#state = parts.state;
  }

  /** Where servers find it, and where it leads. */
  static async start(at: string, to: { host: string; port: number }): Promise<Network> {
    const parts: ProxyParts = { pairs: new Set(), waiting: new Set(), state: { cut: false } };
    const server = createServer((near) => {
      near.on("error", () => near.destroy());
      near.pause();
      const join = (): void => void (near.destroyed || pair(near, createConnection(to), parts));
      if (parts.state.cut) parts.waiting.add(join);
      else join();
    });
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(0, at, resolve);
    });
    return new Network(server, at, parts);
  }

  cut(): void {
    this.#state.cut = true;
    for (const [near, far] of this.#pairs) {
      near.pause();
      far.pause();
    }
  }

  heal(): void {
    this.#state.cut = false;
    for (const [near, far] of this.#pairs) {
      near.resume();
      far.resume();
    }
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const join of waiting) join();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

interface ProxyParts {
  pairs: Set<[Socket, Socket]>;
  waiting: Set<() => void>;
  state: { cut: boolean };
}

/** Bytes pass both ways until one side ends; while the network is cut not even that is told. */
function pair(near: Socket, far: Socket, { pairs, state }: ProxyParts): void {
  const both: [Socket, Socket] = [near, far];
  pairs.add(both);
  const join = (from: Socket, to: Socket): void => {
    from.on("data", (bytes) => to.write(bytes));
    from.on("end", () => to.end());
    from.on("error", () => to.destroy());
    from.on("close", () => {
      pairs.delete(both);
      to.destroy();
    });
  };
  join(near, far);
  join(far, near);
  if (state.cut) for (const socket of both) socket.pause();
  else near.resume();
}
