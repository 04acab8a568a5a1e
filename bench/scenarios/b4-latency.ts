import assert from "node:assert/strict";
import { alternate } from "../alternate.ts";
import type { Contestant } from "../contestant.ts";
import { startAthanor } from "../peers/athanor.ts";
import { bullmq } from "../peers/bullmq.ts";
import { graphileWorker } from "../peers/graphile-worker.ts";
import { pgBoss } from "../peers/pg-boss.ts";
import { table } from "../report.ts";

export const title = "B4 latency: spawn -> durable -> run -> result, warm, one at a time";

const athanor: Contestant = {
  name: "Athanor",
  note: "every commit on disk; its worker is another process, reached over HTTP",
  async start() {
    const server = await startAthanor();
    const { Client } = await import("../../src/sdk/client/index.ts");
    const client = new Client({ url: server.url, token: server.token });
    const app = client.app<typeof import("../fixtures/athanor-app.ts")>("bench");
    return {
      once: async (n) => ({ answer: await app.add.remote(n) }),
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  },
};

export async function run({ rounds }: { rounds: number }): Promise<string> {
  const { rows, missing } = await alternate({
    contestants: [athanor, bullmq("always"), bullmq("everysec"), graphileWorker, pgBoss],
    rounds,
    warmUp: 50,
    samples: 300,
    check: (n, answer) => assert.deepEqual(answer, { n: n + 1 }),
  });
  return [table(rows, "ms"), ...missing.map((line) => `\nLeft out: ${line}`)].join("\n");
}
