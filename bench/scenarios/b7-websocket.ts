import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { rotate } from "../alternate.ts";
import { Unavailable } from "../contestant.ts";
import { treeCpuMs } from "../cpu.ts";
import type { HttpContestant } from "../http-load.ts";
import { startAthanor } from "../peers/athanor.ts";
import { startNginx } from "../peers/http-servers.ts";
import { end, startUntil, temporaryFolder } from "../peers/temporary.ts";
import { median } from "../stats.ts";

export const title = "B7 WebSocket: echo, 1,000 sockets, one message of 64 bytes under way on each";

const SOCKETS = 1000;
const SECONDS = 5;
const fixtures = join(import.meta.dirname, "../fixtures/websocket");

const contestants: HttpContestant[] = [
  {
    name: "Athanor → ws",
    note: "the gateway takes the handshake, the replica (`app.node`) has the connection",
    async start() {
      const server = await startAthanor({ entry: join(fixtures, "app.ts") });
      return {
        url: `${server.url}/echo/echo/`,
        pids: [server.pid],
        [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
      };
    },
  },
  {
    name: "nginx → ws",
    note: "two processes, over a unix socket",
    async start() {
      await using undo = new AsyncDisposableStack();
      const folder = undo.use(await temporaryFolder());
      const socket = join(folder.path, "echo.sock");
      const child = await startEcho({ ECHO_SOCKET: socket });
      undo.defer(() => end(child));
      const nginx = undo.use(await startNginx(folder.path, `server unix:${socket};`));
      const owned = undo.move();
      return {
        url: `${nginx.url}/`,
        pids: [...nginx.pids, child.pid as number],
        [Symbol.asyncDispose]: () => owned.disposeAsync(),
      };
    },
  },
  {
    name: "ws 8.23 alone",
    note: "one process",
    async start() {
      const { child, match } = await startUntil(process.execPath, [join(fixtures, "alone.ts")], {
        pattern: /listening at (http:\S+)/,
      });
      return { url: `${match[1]}/`, pids: [child.pid as number], [Symbol.asyncDispose]: () => end(child) };
    },
  },
];

async function startEcho(env: Record<string, string>): Promise<ChildProcess> {
  const { child } = await startUntil(process.execPath, [join(fixtures, "alone.ts")], {
    pattern: /listening at/,
    env: { ...process.env, ...env },
  });
  return child;
}

interface Figures {
  perSecond: number;
  cpuUs: number;
}

export async function run({ rounds }: { rounds: number }): Promise<string> {
  const measured = new Map<string, Figures[]>(contestants.map(({ name }) => [name, []]));
  const missing: string[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const { name, start } of rotate(contestants, round)) {
      if (missing.some((line) => line.startsWith(`${name}:`))) continue;
      process.stderr.write(`round ${round + 1}/${rounds}: ${name}\n`);
      try {
        await using server = await start();
        measured.get(name)?.push(await measure(server));
      } catch (error) {
        if (!(error instanceof Unavailable)) throw error;
        missing.push(`${name}: ${error.message}`);
      }
    }
  }
  return [table(measured), ...missing.map((line) => `\nLeft out: ${line}`)].join("\n");
}

async function measure({ url, pids }: { url: string; pids: number[] }): Promise<Figures> {
  const program = [join(fixtures, "clients.ts"), url, String(SOCKETS), String(SECONDS)];
  const { child } = await startUntil(process.execPath, program, { pattern: /connected/, stdin: "pipe" });
  const cpuMs = () => pids.reduce((sum, pid) => sum + treeCpuMs(pid), 0);
  const before = cpuMs();
  child.stdin?.write("go\n");
  const [text] = (await once(child.stdout as NonNullable<typeof child.stdout>, "data")) as [Buffer];
  const { echoes, ms } = JSON.parse(text.toString()) as { echoes: number; ms: number };
  return { perSecond: (echoes / ms) * 1000, cpuUs: ((cpuMs() - before) * 1000) / echoes };
}

function table(measured: Map<string, Figures[]>): string {
  const rows = contestants.flatMap(({ name, note }) => {
    const rounds = measured.get(name) ?? [];
    if (rounds.length === 0) return [];
    const rates = rounds.map(({ perSecond }) => perSecond);
    return [{ name, note, rates, rate: median(rates), cpuUs: median(rounds.map(({ cpuUs }) => cpuUs)) }];
  });
  const own = rows[0]?.rate ?? Number.NaN;
  return [
    "| | echoes/s | spread | CPU µs an echo, all its processes | Athanor's rate to it | what it is |",
    "|---|---|---|---|---|---|",
    ...rows.map(
      ({ name, note, rates, rate, cpuUs }) =>
        `| ${name} | ${Math.round(rate)} | ${Math.round(Math.min(...rates))} to ${Math.round(Math.max(...rates))} | ${cpuUs.toFixed(1)} | ${(own / rate).toFixed(2)} | ${note} |`,
    ),
  ].join("\n");
}
