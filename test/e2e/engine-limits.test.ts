/** What code may do to its replica, and what nobody else may notice of it; through the whole server. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { build } from "../../src/build/index.ts";
import type { JobEvent } from "../../src/protocol/event.ts";
import type { JobJson, LogLine, Page, Problem } from "../../src/protocol/wire.ts";
import { startTestServer, type TestServer } from "../harness/server.ts";

let server: TestServer;

before(async () => {
  // Must reach no replica.
  process.env.LIMITS_SERVER_SECRET = "the server's own";
  server = await startTestServer();
  await server.api.deploy(await build({ entry: join(import.meta.dirname, "apps/limits.ts") }));
});
after(async () => {
  delete process.env.LIMITS_SERVER_SECRET;
  await server?.[Symbol.asyncDispose]();
});

const run = (fn: string, ...args: string[]): Promise<JobJson> => server.api.run("limits", fn, { args });
const at = (path: string): string => `${server.url}/limits${path}`;
const get = async (path: string): Promise<number> => (await (await fetch(at(path))).json()) as number;
const post = (path: string, body: unknown = {}): Promise<Response> =>
  fetch(at(path), { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" } });
const problemOf = async (response: Response): Promise<Problem> => {
  assert.equal(response.headers.get("content-type"), "application/problem+json");
  return (await response.json()) as Problem;
};
const linesOf = (events: JobEvent[]): string[] =>
  events.flatMap((event) => (event.event === "job.log" ? [event.data.line] : []));

describe("beside a job that", () => {
  let ticking: string;
  before(async () => {
    ticking = (await server.api.spawn("limits", "ticks")).job_id;
    await server.api.events(ticking, { enough: ({ event }) => event === "job.chunk" });
    await get("/beat");
  });
  after(async () => {
    await server.api.cancel(ticking);
    const job = await server.api.end(ticking);
    assert.deepEqual([job.status, job.attempt], ["cancelled", 1], "it was never started again");
  });

  /** Runs the bad job; meanwhile and afterwards its neighbours go on in the processes that they had. */
  async function beside(fn: string): Promise<JobJson> {
    const pid = await get("/beat");
    const bad = await server.api.spawn("limits", fn);
    await server.api.events(bad.job_id, { enough: ({ event }) => event === "job.running" });
    assert.equal(await get("/beat"), pid);
    const ended = await server.api.end(bad.job_id);
    assert.equal(await get("/beat"), pid);
    const { items } = await server.api.json<Page<JobJson>>("GET", `/v1/jobs?function=ticks&status=running`);
    assert.deepEqual(
      items.map(({ job_id, attempt }) => [job_id, attempt]),
      [[ticking, 1]],
    );
    // One more event than there are so far.
    const response = await server.api.fetch(`/v1/jobs/${ticking}/events?snapshot=true`);
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    while (!text.includes("event: job.chunk")) {
      const { value, done } = (await reader?.read()) ?? { value: "", done: true };
      assert.ok(!done, text);
      text += value;
    }
    await reader?.cancel();
    return ended;
  }

  it("never yields the event loop, others go on", async () => {
    const job = await beside("spins");
    assert.deepEqual([job.status, job.error?.code], ["timed_out", "timeout"]);
    assert.deepEqual(linesOf(await server.api.events(job.job_id)), ["before the loop", "and nothing after"]);
  });

  it("exits, others go on, and it has failed though its code was 0", async () => {
    const job = await beside("exits");
    assert.deepEqual([job.status, job.error?.code], ["failed", "replica_crashed"]);
    assert.match(String(job.error?.message), /exit code 0/);
    assert.match(String(job.error?.message), /leaving/);
  });

  it("exhausts its memory, others go on", async () => {
    const job = await beside("eats");
    assert.deepEqual([job.status, job.error?.code], ["failed", "out_of_memory"]);
    assert.match(String(job.error?.message), /memoryMb/);
  });

  it("throws out of band, others go on", async () => {
    const job = await beside("rejects-late");
    assert.equal(job.status, "failed");
    assert.match(String(job.error?.message), /nobody waits for this/);
  });

  for (const fn of ["floods", "floods-raw", "floods-one-line"]) {
    it(`${fn.replaceAll("-", " ")} of output, others go on, and its log keeps to its window`, async () => {
      const job = await beside(fn);
      assert.deepEqual([job.status, job.result], ["succeeded", "done"]);
      const events = await server.api.events(job.job_id);
      assert.ok(events.length <= 1003, `${events.length} events`);
      assert.ok(linesOf(events).every((line) => line.length < 20_000));
      assert.ok(linesOf(events).length > 0);
      if (fn === "floods") assert.ok(linesOf(events).includes("last words"));
      assert.equal(events.at(-1)?.event, "job.end");
    });
  }
});

describe("a result", () => {
  it("of a job that breaks its type or cannot be sent fails the job, with the path", async () => {
    const liar = await run("liar");
    assert.deepEqual([liar.status, liar.error?.code], ["failed", "output_invalid"]);
    assert.match(String(liar.error?.message), /\/n should be .*number/);
    const cyclic = await run("cyclic");
    assert.deepEqual([cyclic.status, cyclic.error?.code], ["failed", "output_invalid"]);
    assert.match(String(cyclic.error?.message), /\/self/);
    const chunks = await run("lying-chunks");
    assert.deepEqual([chunks.status, chunks.error?.code], ["failed", "output_invalid"]);
  });
});

describe("an endpoint", () => {
  it("that never yields is answered for with 504, and its replica makes place for another", async () => {
    const pid = await (await post("/spin", { spin: false })).json();
    assert.equal((await problemOf(await post("/spin", { spin: true }))).code, "timeout");
    // The call before holds the event loop until its grace is over: the next is not given to that replica, but waits for another.
    const next = await post("/spin", { spin: false });
    assert.equal(next.status, 200);
    assert.notEqual(await next.json(), pid);
    assert.ok(!(await server.api.replicas()).some((replica) => replica.pid === pid));
  });

  it("that exits, exhausts its memory or throws out of band is answered for, without its last words", async () => {
    for (const [path, body, status, code] of [
      ["/exit", { leave: true }, 502, "replica_crashed"],
      ["/eat", {}, 502, "out_of_memory"],
      ["/late", {}, 500, "handler_error"],
    ] as const) {
      const response = await post(path, body);
      assert.equal(response.status, status, path);
      const text = JSON.stringify(await response.json());
      assert.match(text, new RegExp(`"code":"${code}"`));
      assert.doesNotMatch(text, /secret last line|out of band|limits\.ts/);
    }
    assert.equal((await post("/exit", { leave: false })).status, 200);
  });

  it("does not pass on the errors of calls that it makes as its own", async () => {
    const response = await post("/calls-failing");
    assert.equal(response.status, 500);
    assert.equal((await problemOf(response)).code, "handler_error");
  });
});

describe("a stack", () => {
  it("names the user's own file and line where an error is printed", async () => {
    const job = await run("logs-error");
    const lines = linesOf(await server.api.events(job.job_id));
    assert.ok(lines.includes("RangeError: logged, not thrown"), lines.join("\n"));
    assert.match(lines.join("\n"), /at .*apps\/limits\.ts:\d+:\d+/);
  });

  it("of an endpoint's error is in the deployment's log, mapped too", async () => {
    assert.equal((await problemOf(await post("/throws"))).code, "handler_error");
    const path = "/v1/deployments/1/logs?function=throws-in-endpoint";
    let text = "";
    while (!/apps\/limits\.ts/.test(text)) {
      const { items } = await server.api.json<Page<LogLine>>("GET", path);
      text = items.map(({ line }) => line).join("\n");
    }
    assert.match(text, /RangeError: thrown in an endpoint\n *at .*apps\/limits\.ts:\d+:\d+/);
  });
});

describe("replicas", () => {
  it("are shared by endpoints of equal placement, and by nothing else", async () => {
    const shared = await get("/beat");
    assert.equal(await get("/beat-again"), shared);
    const queued = (await (await post("/queued")).json()) as JobJson;
    const apart = [
      await get("/elsewhere"),
      (await server.api.end(queued.job_id)).result,
      (await run("plain")).result,
      (await run("other")).result,
    ];
    assert.equal(new Set([shared, ...apart]).size, 5, JSON.stringify([shared, ...apart]));
    const replicas = await server.api.replicas();
    const own = replicas.find(({ pid }) => pid === shared);
    assert.ok(own);
    assert.ok(own.functions.includes("beat"));
    assert.ok(own.functions.includes("beat-again"));
    assert.ok(!own.functions.includes("queued") && !own.functions.includes("plain"));
  });

  it("have a folder of their own and only the declared environment", async () => {
    type Look = { cwd: string; mode: number; before: string[]; env: Record<string, string> };
    const first = (await run("look", "a")).result as unknown as Look;
    assert.deepEqual([first.mode, first.before], [0o700, []]);
    assert.equal(first.env.DECLARED, "yes");
    assert.equal(first.env.LIMITS_SERVER_SECRET, undefined);
    for (const name of Object.keys(first.env)) assert.match(name, /^(PATH|HOME|TMPDIR|LANG|TZ|DECLARED)$/);
    const second = (await run("look-elsewhere", "b")).result as unknown as Look & { declared: string | null };
    assert.notEqual(second.cwd, first.cwd);
    assert.deepEqual([second.before, second.declared], [[], null]);
    assert.ok(existsSync(join(first.cwd, "own/a")));
  });

  it("of endpoints leave when they were idle for keepWarmS, and come again", async () => {
    const pid = await get("/brief");
    while ((await server.api.replicas()).some(({ functions }) => functions.includes("brief")));
    assert.notEqual(await get("/brief"), pid);
  });
});
