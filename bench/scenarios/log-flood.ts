import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { processCpuMs } from "../cpu.ts";
import { athanorProgram, startAthanor } from "../peers/athanor.ts";
import { median, type Summary, summarise } from "../stats.ts";

export const title = "Logs: a job that prints as fast as it can, and what another function's callers notice, ms";

const FLOOD_MS = 5000;
const CALLS = 500;

export async function run({ rounds }: { rounds: number }): Promise<string> {
  const alone: Summary[] = [];
  const flooded: Summary[] = [];
  const lines: number[] = [];
  const cpu: number[] = [];
  for (let round = 0; round < rounds; round++) {
    await using server = await startAthanor();
    const env = { ...process.env, ATHANOR_URL: server.url, ATHANOR_TOKEN: server.token };
    const entry = join(import.meta.dirname, "../fixtures/event-app.ts");
    execFileSync(process.execPath, [athanorProgram, "deploy", entry], { env, stdio: "ignore" });
    const { Client } = await import("../../src/sdk/client/index.ts");
    const app = new Client({ url: server.url, token: server.token }).app<typeof import("../fixtures/event-app.ts")>(
      "watched",
    );
    const calls = async (goesOn: (n: number) => boolean): Promise<number[]> => {
      const samples: number[] = [];
      for (let n = 0; goesOn(n); n++) {
        const startedAt = performance.now();
        const answer = await app.add.remote(n);
        samples.push(performance.now() - startedAt);
        if (answer.n !== n + 1) throw new Error(`${n} was answered with ${JSON.stringify(answer)}`);
      }
      return samples;
    };
    await calls((n) => n < CALLS);
    alone.push(summarise(await calls((n) => n < CALLS)));
    const job = await app.flood.spawn(FLOOD_MS);
    while ((await job.status()).status !== "running");
    let over = false;
    const printed = job.result().finally(() => {
      over = true;
    });
    const cpuMs = processCpuMs(server.pid);
    const startedAt = performance.now();
    flooded.push(summarise(await calls(() => !over)));
    cpu.push((processCpuMs(server.pid) - cpuMs) / (performance.now() - startedAt));
    const count = await printed;
    lines.push((count / FLOOD_MS) * 1000);
    let last = "";
    for await (const event of job.watch({ events: ["job.log"] })) if (event.event === "job.log") last = event.data.line;
    if (!last.startsWith(`line ${count - 1} `)) throw new Error(`of ${count} lines the last that is kept is ${last}`);
  }
  const row = (name: string, of: Summary[]): string =>
    `| ${name} | ${median(of.map((s) => s.p50)).toFixed(2)} | ${median(of.map((s) => s.p99)).toFixed(1)} |`;
  return [
    "| calls of another function, one at a time | p50 ms | p99 ms |",
    "|---|---|---|",
    row("alone", alone),
    row("while a job floods its log", flooded),
    "",
    `It printed ${Math.round(median(lines))} lines a second; the server used ${median(cpu).toFixed(2)} of a processor for all of it.`,
  ].join("\n");
}
