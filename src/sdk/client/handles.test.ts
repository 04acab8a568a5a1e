/** What handles ask of a server, and what they make of its answers: the server here is a `fetch` that notes each request. */
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import type { CallRequest, JobJson, Problem } from "../../protocol/wire.ts";
import { RUNTIME } from "../registry.ts";
import { Client } from "./client.ts";
import type { RemoteFunction } from "./remote-function.ts";

interface Asked {
  method: string;
  path: string;
  headers: Record<string, string>;
  body: Record<string, unknown>;
}

type Answer = unknown | Promise<unknown>;

/** Answers calls by `call`, and all else by `other`. */
class FakeServer {
  readonly asked: Asked[] = [];
  call: (call: CallRequest) => Answer = (call) => job({ status: "succeeded", result: call.args?.[0] ?? null });
  other: (asked: Asked) => Answer = () => job({});

  readonly client = new Client({ url: "http://server", token: "t", fetch: (url, init) => this.#fetch(url, init) });

  get fn(): RemoteFunction {
    return this.client.app("demo").functions.infer as unknown as RemoteFunction;
  }

  of(path: string): Asked[] {
    return this.asked.filter((asked) => asked.path === path);
  }

  get calls(): CallRequest[] {
    return this.of("/v1/calls").flatMap(({ body }) => body.calls as CallRequest[]);
  }

  async #fetch(url: unknown, init: RequestInit = {}): Promise<Response> {
    const path = String(url).replace("http://server", "");
    const body = JSON.parse(String(init.body ?? "{}"));
    const asked = { method: init.method ?? "GET", path, headers: init.headers as Record<string, string>, body };
    if (path.endsWith("/spec")) return Response.json({ functions: [], $defs: {} });
    this.asked.push(asked);
    if (path !== "/v1/calls") {
      const answer = await this.other(asked);
      return answer instanceof Response ? answer : Response.json(answer);
    }
    const lines = (body.calls as CallRequest[]).map(async (call, index) => {
      const answer = (await this.call(call)) as JobJson | Problem;
      return `${JSON.stringify("job_id" in answer ? { call: index, job: answer } : { call: index, problem: answer })}\n`;
    });
    const stream = new ReadableStream({
      async start(controller) {
        await Promise.all(lines.map(async (line) => controller.enqueue(new TextEncoder().encode(await line))));
        controller.close();
      },
    });
    return new Response(stream);
  }
}

function job(p: Partial<JobJson>): JobJson {
  return {
    job_id: "jobs:1",
    function: "infer",
    deployment_id: "deployments:1",
    status: "queued",
    error: null,
    ...p,
  } as JobJson;
}

const queueFull: Problem = { type: "", title: "", status: 429, code: "queue_full", detail: "full", hint: "" };

function events(...list: [id: number, event: string, data: unknown][]): Response {
  const text = list.map(([id, event, data]) => `id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  return new Response(text.join(""), { headers: { "content-type": "text/event-stream" } });
}

afterEach(() => {
  delete (globalThis as { [RUNTIME]?: unknown })[RUNTIME];
});

test("with() gives the options of its calls, later ones over earlier ones, and leaves the handle as it was", async () => {
  const server = new FakeServer();
  const secret = "0123456789abcdef";
  const urgent = server.fn.with({ priority: 5, concurrencyKey: "user-1" }).with({
    priority: 9,
    delayS: 1.5,
    ttlS: 60,
    expireS: 30,
    idempotencyKey: "once",
    webhook: { url: new URL("https://example.com/done"), secret },
  });
  await urgent.remote("a");
  await server.fn.with({ runAt: new Date(0) }).remote("b");
  await server.fn.remote("c");
  const [first, second, third] = server.calls;
  assert.deepEqual(first?.options, {
    priority: 9,
    delay_s: 1.5,
    ttl_s: 60,
    expire_s: 30,
    concurrency_key: "user-1",
    webhook: { url: "https://example.com/done", secret },
  });
  assert.equal(first?.idempotency_key, "once");
  assert.deepEqual(second?.options, { run_at: "1970-01-01T00:00:00.000Z" });
  assert.ok(third && !("options" in third));
});

test("options that no server takes are refused before a request", async () => {
  const server = new FakeServer();
  for (const [options, detail] of [
    [{ priority: 1001 }, /priority is 1001: it is a whole number from -1000 to 1000/],
    [{ priority: 0.5 }, /priority is 0\.5/],
    [{ delayS: -1 }, /delayS is -1: it is a number of seconds/],
    [{ delayS: 1, runAt: "2027-01-01" }, /delayS and runAt are both given/],
    [{ runAt: "soon" }, /runAt is soon/],
    [{ concurrencyKey: "" }, /concurrencyKey is 0 characters long/],
    [{ concurrencyKey: "x".repeat(256) }, /concurrencyKey is 256 characters long/],
  ] as const)
    await assert.rejects(server.fn.with(options).remote("a"), { code: "usage", detail });
  assert.deepEqual(server.asked, []);
});

test("spawnMany is one request with a key, and gives the handles in order", async () => {
  const server = new FakeServer();
  server.other = () => ({ job_ids: ["jobs:7", "jobs:8"] });
  const jobs = await server.fn.with({ priority: 1 }).spawnMany(new Set([["a"], ["b", 2]]));
  assert.deepEqual(
    jobs.map(({ id }) => id),
    ["jobs:7", "jobs:8"],
  );
  const [asked] = server.of("/v1/apps/demo/functions/infer/jobs/batch");
  const options = { priority: 1 };
  assert.deepEqual(asked?.body, {
    calls: [
      { args: ["a"], options },
      { args: ["b", 2], options },
    ],
  });
  assert.match(asked?.headers["idempotency-key"] ?? "", /^[\w-]{36,}$/);
  assert.deepEqual(await server.fn.spawnMany([]), []);
});

test("spawnMany refuses more than one commit takes, and reads no further", async () => {
  const server = new FakeServer();
  let pulled = 0;
  function* endless(): Generator<[number]> {
    for (;;) yield [++pulled];
  }
  await assert.rejects(server.fn.spawnMany(endless()), { code: "usage", detail: /more than 10000 calls/ });
  assert.equal(pulled, 10_002);
  assert.deepEqual(server.asked, []);
});

test("spawnMap takes as many commits as it needs, each with a key of its own", async () => {
  const server = new FakeServer();
  let id = 0;
  server.other = ({ body }) => ({ job_ids: (body.calls as unknown[]).map(() => `jobs:${++id}`) });
  async function* inputs() {
    for (let n = 0; n < 10_001; n++) yield n;
  }
  const jobs = await server.fn.with({ idempotencyKey: "import" }).spawnMap(inputs());
  assert.deepEqual([jobs.length, jobs[0]?.id, jobs.at(-1)?.id], [10_001, "jobs:1", "jobs:10001"]);
  const requests = server.of("/v1/apps/demo/functions/infer/jobs/batch");
  assert.deepEqual(
    requests.map(({ body, headers }) => [(body.calls as unknown[]).length, headers["idempotency-key"]]),
    [
      [10_000, "import/0"],
      [1, "import/10000"],
    ],
  );
});

test("map gives each input its own key, made of the one that is given", async () => {
  const server = new FakeServer();
  const handle = server.fn.with({ idempotencyKey: "nightly" });
  assert.deepEqual(await Array.fromAsync(handle.map(["a", "b"])), ["a", "b"]);
  assert.deepEqual(await Array.fromAsync(handle.starmap([["c", 1]])), ["c"]);
  assert.deepEqual(
    server.calls.map(({ idempotency_key, args }) => [idempotency_key, args]),
    [
      ["nightly/0", ["a"]],
      ["nightly/1", ["b"]],
      ["nightly/0", ["c", 1]],
    ],
  );
});

test("map waits for room in a full queue; remote does not", async () => {
  const server = new FakeServer();
  let refusals = 2;
  server.call = (call) => (refusals-- > 0 ? queueFull : job({ status: "succeeded", result: call.args?.[0] ?? null }));
  assert.deepEqual(await Array.fromAsync(server.fn.map(["a"])), ["a"]);
  const keys = new Set(server.calls.map(({ idempotency_key }) => idempotency_key));
  assert.deepEqual([server.calls.length, keys.size], [3, 1]);
  refusals = 1;
  await assert.rejects(server.fn.remote("b"), { code: "queue_full" });
});

test("forEach counts, and throws unless errors are collected", async () => {
  const server = new FakeServer();
  const error = { code: "handler_error", message: "odd" };
  server.call = ({ args }) =>
    Number(args?.[0]) % 2 ? job({ status: "failed", error }) : job({ status: "succeeded", result: null });
  assert.deepEqual(await server.fn.forEach([1, 2, 4], { errors: "collect" }), { succeeded: 2, failed: 1 });
  await assert.rejects(server.fn.forEach([1, 2]), { name: "JobFailedError", message: "odd" });
});

test("a consumer of map that leaves has its calls under way found by their keys and cancelled", async () => {
  const server = new FakeServer();
  const ends = new Map<string, (answer: JobJson) => void>();
  server.call = ({ args, wait, idempotency_key: key = "" }) => {
    const id = `jobs:${String(args?.[0])}`;
    if (args?.[0] === 1) return job({ job_id: id, status: "succeeded", result: 1 });
    if (!wait) return job({ job_id: id, status: "running" });
    return new Promise((resolve) => ends.set(key, resolve as (answer: JobJson) => void));
  };
  server.other = ({ path }) => {
    for (const end of ends.values()) end(job({ status: "cancelled" }));
    return job({ job_id: path, status: "cancelled" });
  };
  for await (const value of server.fn.map([1, 2, 3])) {
    assert.equal(value, 1);
    break;
  }
  const cancels = server.asked.filter(({ path }) => path.endsWith("/cancel")).map(({ path }) => path);
  assert.deepEqual(cancels.toSorted(), ["/v1/jobs/jobs%3A2/cancel", "/v1/jobs/jobs%3A3/cancel"]);
  const keysOf = (n: number) =>
    new Set(server.calls.filter(({ args }) => args?.[0] === n).map((c) => c.idempotency_key));
  assert.deepEqual([keysOf(2).size, keysOf(3).size], [1, 1]);
});

test("a stream's chunks come once and in order, through a retry", async () => {
  const server = new FakeServer();
  server.call = () => job({});
  server.other = ({ path }) => {
    assert.equal(path, "/v1/jobs/jobs%3A1/events?events=job.chunk&hold=true");
    return events(
      [3, "job.chunk", { index: 0, value: 10 }],
      [4, "job.chunk", { index: 1, value: 11 }],
      [7, "job.chunk", { index: 0, value: 10 }],
      [8, "job.chunk", { index: 1, value: 11 }],
      [9, "job.chunk", { index: 2, value: 12 }],
      [11, "job.end", { status: "succeeded" }],
    );
  };
  assert.deepEqual(await Array.fromAsync(server.fn.remoteStream(3)), [10, 11, 12]);
  assert.ok(server.asked.every(({ path }) => !path.endsWith("/cancel")));
});

test("a stream ends as its job does; one whose reader leaves is cancelled", async () => {
  const server = new FakeServer();
  server.call = () => job({});
  let end: unknown = { status: "failed", error: { code: "handler_error", message: "halfway" } };
  server.other = ({ path }) => {
    if (path.endsWith("/cancel")) return job({ status: "running" });
    return events([3, "job.chunk", { index: 0, value: 1 }], [4, "job.end", end]);
  };
  const seen: unknown[] = [];
  const reading = async () => {
    for await (const chunk of server.fn.remoteStream(3)) seen.push(chunk);
  };
  await assert.rejects(reading, { name: "JobFailedError", message: "halfway", status: "failed" });
  assert.deepEqual(seen, [1]);
  assert.ok(server.asked.every(({ path }) => !path.endsWith("/cancel")));
  end = { status: "succeeded" };
  for await (const _ of server.fn.remoteStream(3)) break;
  assert.equal(server.of("/v1/jobs/jobs%3A1/cancel").length, 1);
});

test("a reader who fell behind the window is told of the chunks that it cannot have", async () => {
  const server = new FakeServer();
  server.call = () => job({});
  const reset = { requested: 3, earliest: 9, latest: 12, job: job({}) };
  server.other = ({ path }) =>
    path.endsWith("/cancel")
      ? job({})
      : events(
          [3, "job.chunk", { index: 0, value: 1 }],
          [8, "stream.reset", reset],
          [9, "job.chunk", { index: 5, value: 6 }],
        );
  await assert.rejects(Array.fromAsync(server.fn.remoteStream(3)), {
    code: "chunks_lost",
    detail: "chunks 1 to 4 of jobs:1 had left its event window before they were read",
  });
  assert.equal(server.of("/v1/jobs/jobs%3A1/cancel").length, 1);
});

test("a job is retried, replayed, and cancelled by filter", async () => {
  const server = new FakeServer();
  server.other = ({ path }) => (path === "/v1/jobs/cancel" ? { cancelled: 2, stopping: 1 } : job({ job_id: "jobs:9" }));
  const old = server.client.job("jobs:5");
  assert.deepEqual([(await old.retry()).id, (await old.replay()).id], ["jobs:9", "jobs:9"]);
  const [retried, replayed] = server.asked;
  assert.deepEqual([retried?.path, replayed?.path], ["/v1/jobs/jobs%3A5/retry", "/v1/jobs/jobs%3A5/replay"]);
  assert.ok(retried?.headers["idempotency-key"] && replayed?.headers["idempotency-key"]);
  const filter = {
    app: "demo",
    function: "swapFace",
    status: ["queued"],
    concurrencyKey: "k",
    parentId: "jobs:1",
  } as const;
  assert.deepEqual(await server.client.cancelJobs(filter), { cancelled: 2, stopping: 1 });
  assert.deepEqual(server.of("/v1/jobs/cancel")[0]?.body, {
    app: "demo",
    function: "swap-face",
    status: ["queued"],
    concurrency_key: "k",
    parent_id: "jobs:1",
  });
});

test("calls from a job's code name it to its own server, in requests of their own", async () => {
  const server = new FakeServer();
  let current: string | null = "jobs:4";
  const runtime = { require: () => null, serverUrl: "http://server/", serverToken: "t", currentJobId: () => current };
  (globalThis as { [RUNTIME]?: unknown })[RUNTIME] = runtime;
  const calls = [server.fn.remote("a"), server.fn.remote("b")];
  current = null;
  calls.push(server.fn.remote("c"));
  current = "jobs:5";
  server.other = () => ({ job_ids: ["jobs:9"] });
  await server.fn.spawnMany([["d"]]);
  await Promise.all(calls);
  const parents = server.asked.map(({ headers, body }) => [
    headers["athanor-parent-job"],
    (body.calls as unknown[]).length,
  ]);
  assert.deepEqual(
    parents.toSorted(),
    [
      ["jobs:4", 2],
      ["jobs:5", 1],
      [undefined, 1],
    ].toSorted(),
  );
  runtime.serverUrl = "http://another";
  await server.fn.remote("e");
  assert.equal(server.asked.at(-1)?.headers["athanor-parent-job"], undefined);
});

test("a class's methods may be named as a handle's are", async () => {
  const server = new FakeServer();
  type Tools = { Tools: { map: RemoteFunction; remote: RemoteFunction } };
  const { Tools } = server.client.app("demo") as unknown as Tools;
  await Tools.map.remote("a");
  await Tools.remote.spawn("b");
  const infer = (server.client.app("demo") as unknown as { infer: RemoteFunction }).infer;
  assert.deepEqual(await Array.fromAsync(infer.map(["c"])), ["c"]);
  assert.deepEqual(
    server.calls.map((call) => call.function),
    ["map", "remote", "infer"],
  );
});
