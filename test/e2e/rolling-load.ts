/**
 * Constant mixed load on the app `rolling`, from a process of its own: each loop below makes its calls one after the other, on connections that
 * are kept. Tells its parent how many calls were answered, and in the end what was wrong.
 */
import { Agent, type IncomingMessage, request } from "node:http";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";

export interface LoadResult {
  answered: { [kind: string]: number };
  failures: string[];
  /** Ids of effects that were acknowledged: calls, and jobs. */
  effects: string[];
}

/** Leaves some of the machine to the deploys. */
const PAUSE_MS = 20;
const [url = "", token = "", file = ""] = process.argv.slice(2);
const agent = new Agent({ keepAlive: true });
const result: LoadResult = { answered: {}, failures: [], effects: [] };
let ids = 0;
let running = true;
let newest = 0;

function send(method: string, path: string, headers: Record<string, string>, body?: unknown): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const json = body === undefined ? {} : { "content-type": "application/json" };
    const sent = request(new URL(path, url), { method, agent, headers: { ...headers, ...json } }, resolve);
    sent.once("error", reject);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** The JSON of an answer that must be 200. */
async function json<T>(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<T> {
  const answer = await send(method, path, headers, body);
  const content = await text(answer);
  if (answer.statusCode !== 200) throw new Error(`${answer.statusCode} ${content}`);
  return JSON.parse(content) as T;
}

function expect(is: boolean, what: unknown): void {
  if (!is) throw new Error(`wrong: ${JSON.stringify(what)}`);
}

/** A call that began after another was answered by a version is never answered by an older one. */
async function inOrder<T extends { version: number }>(call: () => Promise<T>): Promise<T> {
  const before = newest;
  const answer = await call();
  expect(answer.version >= before, { ...answer, before });
  newest = Math.max(newest, answer.version);
  return answer;
}

/** Sends so many messages, each once the one before is answered. */
async function talk(messages: number): Promise<{ code: number; reason: string; missing: number }> {
  const socket = new WebSocket(new URL("/rolling/chat", url.replace("http", "ws")));
  const closed = Promise.withResolvers<CloseEvent>();
  socket.addEventListener("close", closed.resolve);
  let version = 0;
  let answered = 0;
  let sent = 0;
  const send = (): void => {
    if (sent === messages || !running) socket.close();
    else if (socket.readyState === WebSocket.OPEN) socket.send(String(sent++));
  };
  socket.addEventListener("open", send);
  socket.addEventListener("message", ({ data }) => {
    const [from, number] = String(data).split(" ").map(Number);
    // One connection is with one deployment.
    version ||= from ?? 0;
    if (number === answered && from === version) answered++;
    setTimeout(send, PAUSE_MS);
  });
  const { code, reason } = await closed.promise;
  return { code, reason, missing: sent - answered };
}

const KINDS: { [kind: string]: () => Promise<void> } = {
  get: async () => {
    const n = ++ids;
    const answer = await inOrder(() => json<{ n: number; version: number }>("GET", `/rolling/get?n=${n}`));
    expect(answer.n === n, answer);
  },
  effect: async () => {
    const id = `effect-${++ids}`;
    const answer = await inOrder(() => json<{ id: string; version: number }>("POST", "/rolling/effect", { file, id }));
    expect(answer.id === id, answer);
    result.effects.push(id);
  },
  slow: async () => {
    const n = ++ids;
    const answer = await json<{ n: number }>("GET", `/rolling/slow?n=${n}`);
    expect(answer.n === n, answer);
  },
  rare: async () => {
    const n = ++ids;
    const answer = await inOrder(() => json<{ n: number; version: number }>("GET", `/rolling/rare?n=${n}`));
    expect(answer.n === n, answer);
  },
  stream: async () => {
    const answer = await send("GET", "/rolling/stream?n=15", { accept: "text/event-stream" });
    const content = await text(answer);
    const sent = [...content.matchAll(/^data: (\d+)$/gm)].map(([, data]) => Number(data));
    expect(answer.statusCode === 200 && sent.join() === Array.from({ length: 15 }, (_, i) => i).join(), content);
  },
  hop: async () => {
    const id = `hop-${++ids}`;
    const answer = await inOrder(() => json<{ id: string; version: number }>("POST", "/rolling/chat", { file, id }));
    expect(answer.id === id, answer);
    result.effects.push(id);
  },
  /** Over before its deployment's time is. */
  socket: async () => {
    const end = await talk(10);
    expect(end.code === 1005 && end.missing === 0, end);
  },
  /** Until it is told to leave; what is still on its way then, and only that, is not answered. */
  leaving: async () => {
    const end = await talk(Number.POSITIVE_INFINITY);
    expect((end.code === 1001 || (!running && end.code === 1005)) && end.missing <= 1, end);
  },
  work: async () => {
    const id = `work-${++ids}`;
    const headers = { authorization: `Bearer ${token}`, prefer: "wait=60" };
    const call = { kwargs: { file, id } };
    const job = await json<{ status: string; result: string }>(
      "POST",
      "/v1/apps/rolling/functions/work/jobs",
      call,
      headers,
    );
    expect(job.status === "succeeded" && job.result === id, job);
    result.effects.push(id);
  },
};

const LOOPS = [
  "get",
  "get",
  "effect",
  "effect",
  "slow",
  "slow",
  "rare",
  "stream",
  "stream",
  "work",
  "work",
  "hop",
  "hop",
  "socket",
  "leaving",
];

async function loop(kind: string): Promise<void> {
  while (running) {
    try {
      await KINDS[kind]?.();
      result.answered[kind] = (result.answered[kind] ?? 0) + 1;
    } catch (error) {
      result.failures.push(`${kind}: ${(error as Error).message}`);
    }
    process.send?.({ answered: kind });
    await delay(kind === "rare" ? 50 * PAUSE_MS : PAUSE_MS);
  }
}

process.once("message", () => {
  running = false;
});
await Promise.all(LOOPS.map(loop));
agent.destroy();
process.send?.({ result }, () => process.disconnect());
