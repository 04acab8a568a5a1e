import type { Contestant } from "../contestant.ts";
import { startAthanor } from "./athanor.ts";
import { startPostgres } from "./postgres.ts";

/** Athanor's jobs through its typed client: spawn, durable, run in another process, result back over HTTP. */
export function athanorJobs(store: "sqlite" | "postgres"): Contestant {
  return {
    name: store === "sqlite" ? "Athanor" : "Athanor, PostgreSQL",
    note: "every commit on disk; its worker is another process, reached over HTTP",
    async start({ inFlight }) {
      await using undo = new AsyncDisposableStack();
      const storeUrl = store === "postgres" ? undo.use(await startPostgres()).url : undefined;
      const server = undo.use(await startAthanor(storeUrl === undefined ? {} : { storeUrl }));
      const { Client } = await import("../../src/sdk/client/index.ts");
      const client = new Client({ url: server.url, token: server.token });
      const app = client.app<typeof import("../fixtures/athanor-app.ts")>("bench");
      const add = inFlight === 1 ? app.add : app.addMany;
      const owned = undo.move();
      return {
        once: async (n) => ({ answer: await add.remote(n) }),
        [Symbol.asyncDispose]: () => owned.disposeAsync(),
      };
    },
  };
}
