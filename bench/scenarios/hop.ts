import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { rotate } from "../alternate.ts";
import { processCpuMs } from "../cpu.ts";
import { temporaryFolder } from "../peers/temporary.ts";
import { median } from "../stats.ts";

export const title = "The hop from the gateway to a service: ways to do it, 64 connections";

const SECONDS = 4;
const WAYS = { own: "the gateway's own connections and reader", agent: "node:http's client", undici: "undici" };
type Way = keyof typeof WAYS;

interface Sample {
  frontUs: number;
  serviceUs: number;
}

/** Needs wrk. undici takes part where `npm install --no-save undici` was run in bench. */
export async function run({ rounds }: { rounds: number }): Promise<string> {
  await using folder = await temporaryFolder();
  const script = join(folder.path, "post.lua");
  writeFileSync(
    script,
    'wrk.method="POST"; wrk.body=string.rep("x", 200); wrk.headers["content-type"]="application/json"',
  );
  const samples = new Map<string, Sample[]>();
  for (let round = 0; round < rounds; round++) {
    for (const way of rotate(Object.keys(WAYS) as Way[], round)) {
      const socket = join(folder.path, `${round}-${way}.sock`);
      const service = await start("hop-service.ts", socket);
      const front = await start("hop-front.ts", way, socket);
      if (front.said !== "") {
        for (const method of ["GET", "POST"]) {
          const key = `${method} ${way}`;
          const sample = measure(front, service.child, method === "POST" ? ["-s", script] : []);
          samples.set(key, [...(samples.get(key) ?? []), sample]);
        }
      }
      for (const { child } of [front, service]) child.kill();
    }
  }
  const rows = [...samples].toSorted().map(([key, list]) => {
    const [method = "", way = ""] = key.split(" ");
    const all = median(list.map(({ frontUs, serviceUs }) => frontUs + serviceUs));
    const front = median(list.map(({ frontUs }) => frontUs));
    return `| ${method}, ${WAYS[way as Way]} | ${Math.round(all)} | ${Math.round(front)} |`;
  });
  return ["| | CPU µs a request | of it before the service |", "|---|---|---|", ...rows].join("\n");
}

interface Started {
  child: ChildProcess;
  /** Empty: it has not started. */
  said: string;
}

async function start(fixture: string, ...args: string[]): Promise<Started> {
  const child = spawn(process.execPath, [join(import.meta.dirname, "../fixtures", fixture), ...args], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  const said = await Promise.race([once(child.stdout, "data"), once(child, "exit").then(() => [""])]);
  return { child, said: String(said[0]).trim() };
}

function measure(front: Started, service: ChildProcess, more: string[]): Sample {
  const wrk = (seconds: number): string =>
    execFileSync("wrk", ["-t1", "-c64", `-d${seconds}s`, ...more, front.said]).toString();
  wrk(1);
  const used = (child: ChildProcess): number => processCpuMs(child.pid ?? 0);
  const before = { front: used(front.child), service: used(service) };
  const text = wrk(SECONDS);
  if (/Non-2xx|Socket errors/.test(text)) throw new Error(text);
  const requests = Number(/(\d+) requests in/.exec(text)?.[1]);
  return {
    frontUs: ((used(front.child) - before.front) * 1000) / requests,
    serviceUs: ((used(service) - before.service) * 1000) / requests,
  };
}
