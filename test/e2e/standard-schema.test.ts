/** Schemas of Zod, Valibot and ArkType in place of the types, with the real packages, through a real server. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { build } from "../../src/build/index.ts";
import type { JobJson, Problem } from "../../src/protocol/wire.ts";
import { startTestServer, type TestServer } from "../harness/server.ts";

let server: TestServer;

before(async () => {
  server = await startTestServer();
  await server.api.deploy(await build({ entry: join(import.meta.dirname, "apps/schemas.ts") }));
});
after(() => server?.[Symbol.asyncDispose]());

const post = (path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`${server.url}/schemas${path}`, {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "content-type": "application/json", ...headers },
  });

async function invalidPaths(response: Response): Promise<(string | undefined)[] | undefined> {
  const problem = (await response.json()) as Problem;
  assert.deepEqual([response.status, problem.code], [422, "input_invalid"], JSON.stringify(problem));
  assert.ok(problem.errors?.every(({ expected }) => expected !== ""));
  return problem.errors?.map(({ path }) => path).sort();
}

describe("a Zod schema", () => {
  it("parses what comes in, default and transform included, and checks what goes out", async () => {
    const order = { item: "a", on: "2026-01-02T03:04:05Z" };
    assert.deepEqual(await (await post("/zod", order)).json(), { total: 10 });
    assert.deepEqual(await (await post("/zod", { ...order, count: 3 })).json(), { total: 30 });
    const over = await post("/zod", { ...order, count: 11 });
    assert.deepEqual([over.status, ((await over.json()) as Problem).code], [500, "output_invalid"]);
  });

  it("names each path that is wrong", async () => {
    assert.deepEqual(await invalidPaths(await post("/zod", { item: "", count: 0.5, on: "now" })), ["/count", "/item"]);
    assert.deepEqual(await invalidPaths(await post("/zod", { item: "a" })), ["/on"]);
  });

  it("holds for a queued endpoint too, and its transform runs once", async () => {
    const order = { item: "a", on: "2026-01-02T03:04:05Z", count: 2 };
    const done = await post("/zod-queued", order, { prefer: "wait=60" });
    assert.deepEqual([done.status, await done.json()], [200, { total: 20 }]);
    assert.deepEqual(await invalidPaths(await post("/zod-queued", { item: "a", count: 0, on: "x" })), ["/count"]);
    const over = (await (await post("/zod-queued", { ...order, count: 11 })).json()) as JobJson;
    assert.equal((await server.api.end(over.job_id)).error?.code, "output_invalid");
  });
});

describe("a Valibot schema", () => {
  it("parses and refuses, though it has no JSON Schema by itself", async () => {
    assert.equal(await (await post("/valibot", { name: " ann " })).json(), "ANN");
    assert.deepEqual(await invalidPaths(await post("/valibot", { name: " a " })), ["/name"]);
    assert.equal((await server.api.run("schemas", "valibot-job", { args: [{ name: "bob" }] })).result, "BOB");
    // Nobody but the code knows the schema: the job is taken, and fails with what is wrong.
    const job = await server.api.run("schemas", "valibot-job", { args: [{ name: "b" }] });
    assert.deepEqual([job.status, job.error?.code], ["failed", "input_invalid"]);
    assert.match(String(job.error?.message), /\/name should be two characters or more/);
  });
});

describe("an ArkType schema", () => {
  it("parses and refuses, by its shape and by its own rule", async () => {
    assert.equal(await (await post("/arktype", { from: 1, to: 4 })).json(), 3);
    assert.deepEqual(await invalidPaths(await post("/arktype", { from: "1", to: 4 })), ["/from"]);
    assert.equal((await invalidPaths(await post("/arktype", { from: 4, to: 1 })))?.length, 1);
  });
});
