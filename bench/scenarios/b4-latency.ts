import assert from "node:assert/strict";
import { alternate } from "../alternate.ts";
import { athanorJobs } from "../peers/athanor-jobs.ts";
import { bullmq } from "../peers/bullmq.ts";
import { graphileWorker } from "../peers/graphile-worker.ts";
import { pgBoss } from "../peers/pg-boss.ts";
import { table } from "../report.ts";

export const title = "B4 latency: spawn -> durable -> run -> result, warm, one at a time";

export async function run({ rounds }: { rounds: number }): Promise<string> {
  const { rows, missing } = await alternate({
    contestants: [
      athanorJobs("sqlite"),
      athanorJobs("postgres"),
      bullmq("always"),
      bullmq("everysec"),
      graphileWorker,
      pgBoss,
    ],
    rounds,
    warmUp: 50,
    samples: 300,
    check: (n, answer) => assert.deepEqual(answer, { n: n + 1 }),
  });
  return [table(rows, "ms"), ...missing.map((line) => `\nLeft out: ${line}`)].join("\n");
}
