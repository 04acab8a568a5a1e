import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { build } from "../../src/build/index.ts";
import { startTestServer, type TestServer } from "../harness/server.ts";
import { checkAnswer, exchange } from "./exchange.ts";
import { inputsFor } from "./inputs.ts";

/** How many of each kind; together at least 10,000. */
const COUNTS: { [kind: string]: number } = {
  json: 3000,
  uploads: 600,
  multipart: 2000,
  headers: 2000,
  cursors: 1000,
  queries: 1000,
  raw: 1500,
};
const AT_ONCE = 16;
/** What may be half a request is ended after this. */
const END_AFTER_MS = 50;

/** A run that failed is repeated with ATHANOR_FUZZ_SEED. */
const seed = Number(process.env.ATHANOR_FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31));

let server: TestServer;
let port: number;
let upload: string;

before(async () => {
  server = await startTestServer();
  port = Number(new URL(server.url).port);
  const built = await build({ entry: join(import.meta.dirname, "../e2e/apps/http.ts") });
  upload = JSON.stringify(built);
  await server.api.deploy(built);
});
after(() => server?.[Symbol.asyncDispose]());

test(`whatever is sent, the answer is well-formed and the server stays healthy (seed ${seed})`, async (t) => {
  const ended = await server.api.run("web", "infer", { args: ["a"] });
  assert.equal(await hello(), "hello you");
  const pids = await replicaPids();
  const inputs = inputsFor({ token: server.token, job: ended.job_id, upload });
  let total = 0;
  for (const [kind, arbitrary] of Object.entries(inputs)) {
    const count = COUNTS[kind] ?? 0;
    const statuses = await fuzz(kind, fc.sample(arbitrary, { numRuns: count, seed }));
    total += count;
    t.diagnostic(`${kind}: ${count} inputs, answers ${JSON.stringify(statuses)}`);
    assert.equal(await hello(), "hello you", `after ${kind}`);
  }
  assert.ok(total >= 10_000);
  assert.equal((await server.api.run("web", "infer", { args: ["b"] })).result, "B");
  assert.deepEqual(await server.api.json("GET", "/v1/server/check"), { problems: [] });
  assert.equal((await fetch(`${server.url}/readyz`)).status, 200);
  const now = await replicaPids();
  for (const pid of pids) assert.ok(now.has(pid), "a replica died");
});

async function fuzz(kind: string, inputs: Uint8Array[]): Promise<{ [status: string]: number }> {
  const statuses: { [status: string]: number } = {};
  const queue = inputs.entries();
  const worker = async (): Promise<void> => {
    for (const [index, bytes] of queue) {
      try {
        const answers = await exchange(port, bytes, kind === "raw" ? END_AFTER_MS : null);
        if (kind !== "raw") assert.ok(answers.length > 0, "the connection was closed without an answer");
        for (const answer of answers) checkAnswer(answer);
        const status = String(answers.at(-1)?.status ?? "none");
        statuses[status] = (statuses[status] ?? 0) + 1;
      } catch (error) {
        throw new Error(
          `${kind} ${index} (seed ${seed}): ${(error as Error).message}\n${JSON.stringify(Buffer.from(bytes).toString("latin1").slice(0, 1500))}`,
        );
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return statuses;
}

async function hello(): Promise<string> {
  const response = await fetch(`${server.url}/web/hello`);
  return ((await response.json()) as { message: string }).message;
}

/** Of the replica that answers the synchronous endpoints. */
async function replicaPids(): Promise<Set<number | null>> {
  const replicas = await server.api.replicas();
  return new Set(replicas.filter(({ functions }) => functions.includes("echo")).map(({ pid }) => pid));
}
