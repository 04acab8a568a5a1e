import { performance } from "node:perf_hooks";
import { athanorProgram } from "../peers/athanor.ts";
import { end, startUntil, temporaryFolder } from "../peers/temporary.ts";
import { median } from "../stats.ts";

export const title = "Start: `athanor up` on an existing data folder -> it takes requests, ms";

const STARTS_PER_ROUND = 5;

export async function run({ rounds }: { rounds: number }): Promise<string> {
  await using folder = await temporaryFolder();
  const samples: number[] = [];
  // The first start makes the folder and fills the compile cache.
  for (let n = 0; n < 1 + rounds * STARTS_PER_ROUND; n++) {
    const start = performance.now();
    const { child, match } = await startUntil(
      process.execPath,
      [athanorProgram, "up", "--port", "0", "--data", folder.path],
      {
        pattern: /http:\/\/127\.0\.0\.1:\d+/,
      },
    );
    const ms = performance.now() - start;
    const answer = await fetch(`${match[0]}/readyz`);
    if (answer.status !== 200) throw new Error(`/readyz answered ${answer.status}: ${await answer.text()}`);
    if (n > 0) samples.push(ms);
    await end(child);
  }
  const spread = `${Math.min(...samples).toFixed(0)} to ${Math.max(...samples).toFixed(0)}`;
  return `| | median | spread | aim |\n|---|---|---|---|\n| start to ready | ${median(samples).toFixed(0)} | ${spread} | < 300 |`;
}
