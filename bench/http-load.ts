import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { rotate } from "./alternate.ts";
import { Unavailable } from "./contestant.ts";
import { treeCpuMs } from "./cpu.ts";
import { median } from "./stats.ts";

/** A server that answers `GET /hello` and a validated `POST /order` below its URL. */
export interface HttpServer extends AsyncDisposable {
  url: string;
  /** Its processes, with all that these have started. */
  pids: number[];
}

export interface HttpContestant {
  name: string;
  note: string;
  start(): Promise<HttpServer>;
}

const CONNECTIONS = 64;
const WARM_UP_S = 2;
const MEASURED_S = 5;
const script = join(import.meta.dirname, "fixtures/http/order.lua");
const run = promisify(execFile);

const REQUESTS = {
  GET: { path: "/hello", wrk: [] as string[] },
  POST: { path: "/order", wrk: ["-s", script] },
};
type Method = keyof typeof REQUESTS;

interface Figures {
  perSecond: number;
  p99Ms: number;
  cpuUs: number;
}

/** Drives all with wrk, in alternation, and returns a table for each method; the ratio is to the first of them. */
export async function httpTables(contestants: HttpContestant[], rounds: number): Promise<string> {
  const measured = new Map<string, Figures[]>();
  const missing = new Map<string, string>();
  for (let round = 0; round < rounds; round++) {
    for (const { name, start } of rotate(contestants, round)) {
      if (missing.has(name)) continue;
      process.stderr.write(`round ${round + 1}/${rounds}: ${name}\n`);
      try {
        await using server = await start();
        await check(server);
        for (const method of ["GET", "POST"] as const) {
          const key = `${method} ${name}`;
          measured.set(key, [...(measured.get(key) ?? []), await measure(server, method)]);
        }
      } catch (error) {
        if (!(error instanceof Unavailable)) throw error;
        missing.set(name, error.message);
      }
    }
  }
  const present = contestants.filter(({ name }) => !missing.has(name));
  const tables = (["GET", "POST"] as const).map((method) => table(method, present, measured));
  return [...tables, ...[...missing].map(([name, why]) => `Left out: ${name}: ${why}`)].join("\n\n");
}

/** Every contestant gives the same answers, and refuses the same body. */
async function check({ url }: HttpServer): Promise<void> {
  const hello = await fetch(`${url}/hello`);
  assert.deepEqual([hello.status, await hello.json()], [200, { message: "hello" }]);
  const text = readFileSync(script, "utf8");
  const body = /wrk\.body = '(.*)'/.exec(text)?.[1] ?? "";
  const post = (json: string) =>
    fetch(`${url}/order`, { method: "POST", headers: { "content-type": "application/json" }, body: json });
  const taken = await post(body);
  assert.deepEqual([taken.status, await taken.json()], [200, { units: 7, note: "ring twice" }]);
  const refused = await post(body.replace('"quantity":2', '"quantity":0'));
  await refused.text();
  assert.ok([400, 422].includes(refused.status), `a wrong body was answered with ${refused.status}`);
}

async function measure(server: HttpServer, method: Method): Promise<Figures> {
  await wrk(server.url, method, WARM_UP_S);
  const before = cpuMsOf(server.pids);
  const { requests, seconds, p99Ms } = await wrk(server.url, method, MEASURED_S);
  return { perSecond: requests / seconds, p99Ms, cpuUs: ((cpuMsOf(server.pids) - before) * 1000) / requests };
}

const cpuMsOf = (pids: number[]): number => pids.reduce((sum, pid) => sum + treeCpuMs(pid), 0);

async function wrk(url: string, method: Method, seconds: number) {
  const { path, wrk: more } = REQUESTS[method];
  const args = ["-t1", `-c${CONNECTIONS}`, `-d${seconds}s`, "--latency", ...more, `${url}${path}`];
  let text: string;
  try {
    ({ stdout: text } = await run("wrk", args));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT")
      throw new Error("wrk is not installed (Debian package wrk)", { cause: error });
    throw error;
  }
  assert.doesNotMatch(text, /Non-2xx|Socket errors/, text);
  const total = /(\d+) requests in ([\d.]+)s/.exec(text);
  const p99 = /99%\s+([\d.]+)(us|ms|s)/.exec(text);
  if (!total || !p99) throw new Error(`wrk said something else than expected:\n${text}`);
  const unitMs = { us: 0.001, ms: 1, s: 1000 }[p99[2] as "us" | "ms" | "s"];
  return { requests: Number(total[1]), seconds: Number(total[2]), p99Ms: Number(p99[1]) * unitMs };
}

function table(method: Method, contestants: HttpContestant[], measured: Map<string, Figures[]>): string {
  const rows = contestants.map(({ name, note }) => {
    const rounds = measured.get(`${method} ${name}`) ?? [];
    const rates = rounds.map(({ perSecond }) => perSecond);
    const spread = `${Math.round(Math.min(...rates))} to ${Math.round(Math.max(...rates))}`;
    const of = (pick: (figures: Figures) => number): number => median(rounds.map(pick));
    return { name, note, spread, perSecond: median(rates), p99Ms: of((f) => f.p99Ms), cpuUs: of((f) => f.cpuUs) };
  });
  const own = rows[0];
  return [
    `${method} ${REQUESTS[method].path}, ${CONNECTIONS} connections:\n`,
    "| | requests/s | spread | p99 ms | CPU µs a request, all its processes | Athanor's rate to it | what it is |",
    "|---|---|---|---|---|---|---|",
    ...rows.map(({ name, note, perSecond, spread, p99Ms, cpuUs }) => {
      const ratio = ((own?.perSecond ?? Number.NaN) / perSecond).toFixed(2);
      return `| ${name} | ${Math.round(perSecond)} | ${spread} | ${p99Ms.toFixed(1)} | ${Math.round(cpuUs)} | ${ratio} | ${note} |`;
    }),
  ].join("\n");
}
