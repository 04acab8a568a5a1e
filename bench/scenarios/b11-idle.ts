import { readFileSync } from "node:fs";
import { startAthanor } from "../peers/athanor.ts";
import { median } from "../stats.ts";

export const title = "B11 idle: resident memory of the server and of one warm replica, MiB";

export async function run({ rounds }: { rounds: number }): Promise<string> {
  const servers: number[] = [];
  const replicas: number[] = [];
  for (let round = 0; round < rounds; round++) {
    await using server = await startAthanor();
    const answer = await fetch(`${server.url}/bench/warm`);
    if (answer.status !== 200) throw new Error(`GET /bench/warm answered ${answer.status}: ${await answer.text()}`);
    await answer.text();
    // Both have had time to settle; no figure here is a duration.
    await new Promise((resolve) => setTimeout(resolve, 15_000));
    const listed = await fetch(`${server.url}/v1/replicas`, {
      headers: { authorization: `Bearer ${server.token}` },
    });
    const { items } = (await listed.json()) as {
      items: { pid: number | null; status: string }[];
    };
    const pid = items.find((replica) => replica.status === "ready")?.pid;
    if (!pid) throw new Error(`no warm replica in ${JSON.stringify(items)}`);
    servers.push(residentMiB(server.pid));
    replicas.push(residentMiB(pid));
  }
  const row = (name: string, values: number[], aim: number) =>
    `| ${name} | ${median(values).toFixed(1)} | ${Math.min(...values).toFixed(1)} to ${Math.max(...values).toFixed(1)} | <= ${aim} |`;
  return [
    "| | median RSS | spread | aim |",
    "|---|---|---|---|",
    row("server", servers, 100),
    row("warm replica", replicas, 60),
  ].join("\n");
}

function residentMiB(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  if (!match) throw new Error(`no VmRSS for process ${pid}`);
  return Number(match[1]) / 1024;
}
