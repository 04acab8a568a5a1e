import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { alternate } from "../alternate.ts";
import { type Contestant, Unavailable } from "../contestant.ts";
import { startAthanor } from "../peers/athanor.ts";
import { end, freePort } from "../peers/temporary.ts";
import { table } from "../report.ts";

export const title = "B5 cold start: scaled to zero -> first byte, hello bundle";

const fixtures = join(import.meta.dirname, "../fixtures");

const athanor: Contestant = {
  name: "Athanor",
  note: "from a pre-started blank process",
  async start() {
    const server = await startAthanor();
    const headers = { authorization: `Bearer ${server.token}` };
    const replicas = async () =>
      (await (await fetch(`${server.url}/v1/replicas`, { headers })).json()) as { items: { status: string }[] };
    return {
      async once() {
        // Not timed: until the last replica is gone and a new blank has come up.
        while ((await replicas()).items.length > 0) await tick(20);
        await tick(400);
        const start = performance.now();
        const response = await fetch(`${server.url}/bench/hello`);
        const ms = performance.now() - start;
        return { answer: await response.json(), ms };
      },
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  },
};

const node = bare("bare node hello.js", "a new process, no isolation", () => [
  process.execPath,
  [join(fixtures, "hello.js")],
]);

const workerd = bare("workerd", "a new process, an isolate in it", (port) => {
  const binary = join(import.meta.dirname, "../node_modules/workerd/bin/workerd");
  if (!existsSync(binary)) throw new Unavailable("workerd is not installed (npm package workerd)");
  return [binary, ["serve", join(fixtures, "workerd.capnp"), "--socket-addr", `http=127.0.0.1:${port}`]];
});

/** A program that is started for each sample and asked until it answers. */
function bare(name: string, note: string, command: (port: number) => [string, string[]]): Contestant {
  return {
    name,
    note,
    async start() {
      command(0);
      return {
        async once() {
          const port = await freePort();
          const [program, args] = command(port);
          const start = performance.now();
          const child = spawn(program, args, {
            env: { ...process.env, PORT: String(port) },
            stdio: "ignore",
          });
          try {
            const response = await untilAnswer(`http://127.0.0.1:${port}/`);
            const ms = performance.now() - start;
            return { answer: await response.json(), ms };
          } finally {
            await end(child, "SIGKILL");
          }
        },
        async [Symbol.asyncDispose]() {},
      };
    },
  };
}

async function untilAnswer(url: string): Promise<Response> {
  const deadline = performance.now() + 10_000;
  for (;;) {
    try {
      return await fetch(url);
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await tick(1);
    }
  }
}

const tick = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

export async function run({ rounds }: { rounds: number }): Promise<string> {
  const { rows, missing } = await alternate({
    contestants: [athanor, node, workerd],
    rounds,
    warmUp: 3,
    samples: 20,
    check: (_n, answer) => assert.deepEqual(answer, { message: "hello" }),
  });
  return [table(rows, "ms"), ...missing.map((line) => `\nLeft out: ${line}`)].join("\n");
}
