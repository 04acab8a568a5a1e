import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { ProcessEngine, type ProcessEngineOptions } from "../../src/engines/process.ts";
import type { EngineUnderTest } from "./conformance.ts";

interface ProcessEngineUnderTest extends EngineUnderTest {
  dir: string;
  engine: ProcessEngine;
}

/** A process engine in a folder of its own, whose replicas run fixtures/program.mjs. */
export async function makeProcessEngine(p: Partial<ProcessEngineOptions> = {}): Promise<ProcessEngineUnderTest> {
  const dir = await mkdtemp(join(tmpdir(), "athanor-"));
  const address = join(dir, "s");
  const line = new ProgramLine();
  const server = createServer((socket) => line.arrived(socket));
  await new Promise<void>((resolve) => server.listen(address, resolve));
  const engine = new ProcessEngine({
    dir: join(dir, "replicas"),
    runtimePath: join(import.meta.dirname, "fixtures/program.mjs"),
    address,
    blankReplicas: 1,
    ...p,
  });
  return {
    dir,
    engine,
    hello: async (token) => void (await line.socketOf(token)),
    run: (token, code) => line.run(token, code),
    async [Symbol.asyncDispose]() {
      await engine.stop();
      line.close();
      await new Promise((resolve) => server.close(resolve));
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** The suite's end of the lines that the programs of the replicas open. */
class ProgramLine {
  readonly #sockets = new Map<string, PromiseWithResolvers<Socket>>();
  readonly #open = new Set<Socket>();
  readonly #replies = new Map<number, (value: unknown) => void>();
  #lastId = 0;

  arrived(socket: Socket): void {
    this.#open.add(socket);
    socket.on("error", () => {});
    createInterface({ input: socket }).on("line", (text) => {
      const message = JSON.parse(text) as { token?: string; id?: number; value?: unknown };
      if (message.token !== undefined) this.#entry(message.token).resolve(socket);
      else if (message.id !== undefined) this.#replies.get(message.id)?.(message.value);
    });
  }

  socketOf(token: string): Promise<Socket> {
    return this.#entry(token).promise;
  }

  async run(token: string, code: string): Promise<unknown> {
    const socket = await this.socketOf(token);
    const id = ++this.#lastId;
    const { promise, resolve } = Promise.withResolvers<unknown>();
    this.#replies.set(id, resolve);
    socket.write(`${JSON.stringify({ id, code })}\n`);
    return promise;
  }

  close(): void {
    for (const socket of this.#open) socket.destroy();
  }

  #entry(token: string): PromiseWithResolvers<Socket> {
    const entry = this.#sockets.get(token) ?? Promise.withResolvers<Socket>();
    this.#sockets.set(token, entry);
    return entry;
  }
}
