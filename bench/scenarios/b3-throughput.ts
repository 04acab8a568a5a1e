import assert from "node:assert/strict";
import { athanorJobs } from "../peers/athanor-jobs.ts";
import { bullmq } from "../peers/bullmq.ts";
import { graphileWorker } from "../peers/graphile-worker.ts";
import { pgBoss } from "../peers/pg-boss.ts";
import { throughput, throughputTable } from "../throughput.ts";

export const title = "B3 jobs: spawn -> durable -> run -> result, no-op, 1 and 64 in flight";

const LOADS = [
  { inFlight: 1, warmUp: 50, operations: 300 },
  { inFlight: 64, warmUp: 1000, operations: 5000 },
];

export async function run({ rounds }: { rounds: number }): Promise<string> {
  const contestants = [
    athanorJobs("sqlite"),
    athanorJobs("postgres"),
    bullmq("always"),
    bullmq("everysec"),
    graphileWorker,
    pgBoss,
  ];
  const parts: string[] = [];
  for (const load of LOADS) {
    const check = (n: number, answer: unknown): void => assert.deepEqual(answer, { n: n + 1 });
    const { rows, missing } = await throughput({ contestants, rounds, ...load, check });
    parts.push(
      `### ${load.inFlight} in flight\n`,
      throughputTable(rows),
      ...missing.map((line) => `\nLeft out: ${line}`),
    );
  }
  return parts.join("\n");
}
