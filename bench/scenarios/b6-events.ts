import { type ChildProcess, execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { rotate } from "../alternate.ts";
import { processCpuMs } from "../cpu.ts";
import { athanorProgram, startAthanor } from "../peers/athanor.ts";
import { end, startUntil, temporaryFolder } from "../peers/temporary.ts";
import { median } from "../stats.ts";

export const title = "B6 events: 1 job x 10,000 watchers, 10,000 jobs x 1 watcher";

const WATCHERS = 10_000;
const SETTLE_MS = 15_000;
/** Lines of each job, one in each gap, so that what is measured is what each costs and not how they bunch. */
const LOADS = [
  { name: "1 job x 10,000 watchers", streams: 1, lines: 40, gapMs: 50 },
  { name: "10,000 jobs x 1 watcher", streams: 10_000, lines: 10, gapMs: 500 },
];
type Load = (typeof LOADS)[number];

const fixtures = join(import.meta.dirname, "../fixtures");

/** A server whose streams are being prepared, and what makes them speak. */
interface Speaker extends AsyncDisposable {
  pid: number;
  port: number;
  token: string | null;
  pathOf(stream: number): string;
  go(): Promise<void>;
}

interface Round {
  perSecond: number;
  cpuUs: number;
  kib: number;
}

const contestants: { name: string; note: string; start(load: Load): Promise<Speaker> }[] = [
  { name: "Athanor", note: "lines of real jobs, stored before they are sent; resumable", start: athanor },
  { name: "bare `node:http`", note: "a loop that writes to every connection; nothing is kept", start: bare },
];

export async function run({ rounds }: { rounds: number }): Promise<string> {
  const parts: string[] = [];
  for (const load of LOADS) {
    const measured = new Map<string, Round[]>(contestants.map(({ name }) => [name, []]));
    for (let round = 0; round < rounds; round++) {
      for (const { name, start } of rotate(contestants, round)) {
        process.stderr.write(`round ${round + 1}/${rounds}: ${name}, ${load.name}\n`);
        await using speaker = await start(load);
        measured.get(name)?.push(await measure(speaker, load));
      }
    }
    parts.push(`### ${load.name}\n`, table(measured), "");
  }
  return parts.join("\n");
}

async function measure(speaker: Speaker, load: Load): Promise<Round> {
  const paths = Array.from({ length: WATCHERS }, (_, index) => speaker.pathOf(index % load.streams));
  await using watchers = new AsyncDisposableStack();
  const children: ChildProcess[] = [];
  const resident: number[] = [];
  // What the first half brings with it once is not counted for the second.
  for (const half of [paths.slice(0, WATCHERS / 2), paths.slice(WATCHERS / 2)]) {
    const folder = watchers.use(await temporaryFolder());
    const task = join(folder.path, "task.json");
    writeFileSync(task, JSON.stringify({ port: speaker.port, token: speaker.token, paths: half }), { mode: 0o600 });
    const program = [join(fixtures, "sse-watchers.ts"), task];
    const { child } = await startUntil(process.execPath, program, { pattern: /connected/ });
    watchers.defer(() => end(child));
    children.push(child);
    // What connecting has left behind is collected; no figure here is a duration.
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    resident.push(residentKib(speaker.pid));
  }
  const [first = Number.NaN, second = Number.NaN] = resident;
  const cpuMs = processCpuMs(speaker.pid);
  const reported = Promise.all(children.map(report));
  await speaker.go();
  const reports = await reported;
  const lines = reports.reduce((sum, each) => sum + each.lines, 0);
  const fewest = Math.min(...reports.map((each) => each.fewest));
  const resets = reports.reduce((sum, each) => sum + each.resets, 0);
  if (lines !== WATCHERS * load.lines || fewest !== load.lines || resets > 0)
    throw new Error(`${lines} lines came, ${fewest} to the unluckiest watcher of ${load.lines}, with ${resets} resets`);
  const ms = Math.max(...reports.map((each) => each.ms));
  return {
    perSecond: (lines / ms) * 1000,
    cpuUs: ((processCpuMs(speaker.pid) - cpuMs) * 1000) / lines,
    kib: (second - first) / (WATCHERS / 2),
  };
}

function report(child: ChildProcess): Promise<{ lines: number; fewest: number; resets: number; ms: number }> {
  let text = "";
  return new Promise((resolve, reject) => {
    child.once("exit", (code) => reject(new Error(`the watchers ended with ${code}`)));
    child.stdout?.on("data", (piece: Buffer) => {
      text += piece.toString();
      if (text.includes("}\n")) resolve(JSON.parse(text.slice(text.indexOf("{"))));
    });
  });
}

async function athanor({ streams, lines, gapMs }: Load): Promise<Speaker> {
  await using undo = new AsyncDisposableStack();
  const folder = undo.use(await temporaryFolder());
  const server = undo.use(await startAthanor());
  const env = { ...process.env, ATHANOR_URL: server.url, ATHANOR_TOKEN: server.token };
  execFileSync(process.execPath, [athanorProgram, "deploy", join(fixtures, "event-app.ts")], { env, stdio: "ignore" });
  const { Client } = await import("../../src/sdk/client/index.ts");
  const client = new Client({ url: server.url, token: server.token });
  const start = join(folder.path, "start");
  const args: [string, number, number] = [start, lines, gapMs];
  const app = client.app<typeof import("../fixtures/event-app.ts")>("watched");
  const jobs = await app.speak.spawnMany(Array.from({ length: streams }, () => args));
  for (const job of jobs.slice(-1)) while ((await job.status()).status !== "running");
  const owned = undo.move();
  return {
    pid: server.pid,
    port: Number(new URL(server.url).port),
    token: server.token,
    pathOf: (stream) => `/v1/jobs/${jobs[stream]?.id}/events`,
    go: async () => writeFileSync(start, ""),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function bare({ streams, lines, gapMs }: Load): Promise<Speaker> {
  const { child, match } = await startUntil(process.execPath, [join(fixtures, "bare-sse.ts")], {
    pattern: /port (\d+)/,
  });
  const port = Number(match[1]);
  return {
    pid: child.pid as number,
    port,
    token: null,
    pathOf: (stream) => `/streams/${stream}`,
    go: async () => {
      const url = `http://127.0.0.1:${port}/go?streams=${streams}&lines=${lines}&gap=${gapMs}`;
      await fetch(url, { method: "POST" });
    },
    [Symbol.asyncDispose]: () => end(child),
  };
}

function residentKib(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  if (!match) throw new Error(`no VmRSS for process ${pid}`);
  return Number(match[1]);
}

function table(measured: Map<string, Round[]>): string {
  const rows = contestants.map(({ name, note }) => {
    const rounds = measured.get(name) ?? [];
    const of = (pick: (round: Round) => number): number => median(rounds.map(pick));
    return { name, note, perSecond: of((r) => r.perSecond), cpuUs: of((r) => r.cpuUs), kib: of((r) => r.kib) };
  });
  const bareRate = rows.at(-1)?.perSecond ?? Number.NaN;
  return [
    "| | events/s delivered | ratio to the bare server | server's CPU µs an event and watcher | RSS KiB a watcher, of 5,000 to 10,000 | what it does |",
    "|---|---|---|---|---|---|",
    ...rows.map(
      ({ name, note, perSecond, cpuUs, kib }) =>
        `| ${name} | ${Math.round(perSecond)} | ${(perSecond / bareRate).toFixed(2)} | ${cpuUs.toFixed(1)} | ${kib.toFixed(1)} | ${note} |`,
    ),
  ].join("\n");
}
