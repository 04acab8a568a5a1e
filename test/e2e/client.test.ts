/** Typed calls against a real server: from another program, from the app's own module, and from inside a replica. */
import assert from "node:assert/strict";
import { createServer, request as httpRequest } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import { Client, ImageFile, JobFailedError } from "../../src/sdk/client/index.ts";
import { startTestServer, type TestServer } from "../harness/server.ts";
import * as lab from "./client-app.ts";

const PNG = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
  "base64",
);

let server: TestServer;
let demo: ReturnType<typeof connect>;

function connect(url: string, token: string) {
  return new Client({ url, token }).app<typeof import("./client-app.ts")>("lab");
}

before(async () => {
  server = await startTestServer();
  process.env.ATHANOR_URL = server.url;
  process.env.ATHANOR_TOKEN = server.token;
  demo = connect(server.url, server.token);
});

after(async () => {
  delete process.env.ATHANOR_URL;
  delete process.env.ATHANOR_TOKEN;
  await server[Symbol.asyncDispose]();
});

test("app.deploy() deploys the file of its `new App`, and an unchanged one keeps its id", async () => {
  assert.equal(await lab.app.deploy(), "deployments:1");
  assert.equal(await lab.app.deploy({ entry: new URL("./client-app.ts", import.meta.url) }), "deployments:1");
  await assert.rejects(lab.app.deploy({ entry: "/nowhere/app.ts" }), { name: "AthanorError", detail: /nowhere/ });
});

test("a call from another program, and from the app's own module, whose functions are found by what it exports", async () => {
  assert.equal(await demo.shout.remote("hello"), "HELLO!");
  assert.equal(await demo.functions.shout?.remote("by name"), "BY NAME!");
  assert.equal(await lab.shout.remote("own", "?"), "OWN?");
  assert.equal(await lab.app.functions.shout?.remote("own"), "OWN!");
});

test("every kind of value crosses both ways", async () => {
  const picture = ImageFile.fromBytes(PNG, { fileName: "dot.png" });
  const inner = { at: new Date(5), raw: new Uint8Array([9]), amount: -3n, picture, next: null };
  const sample = {
    at: new Date(1),
    raw: new Uint8Array([1, 2, 3]),
    amount: 12345678901234567890n,
    picture,
    next: inner,
  };
  const back = await demo.echo.remote(sample, [new Date(7)]);
  assert.equal(back.isDate, true);
  assert.deepEqual(back.whens, [new Date(7)]);
  assert.deepEqual(back.sample.at, sample.at);
  assert.deepEqual(back.sample.raw, sample.raw);
  assert.equal(back.sample.amount, sample.amount);
  assert.ok(back.sample.picture instanceof ImageFile);
  assert.equal(back.sample.picture.fileName, "dot.png");
  assert.deepEqual(Buffer.from(await back.sample.picture.bytes()), PNG);
  assert.equal(back.sample.next?.amount, -3n);
  assert.equal(back.sample.next?.next, null);
});

test("media too large for JSON is fetched from where the result says it is", async () => {
  const { picture } = await demo.large.remote(ImageFile.fromBytes(PNG));
  assert.equal(picture.size, 2 * 1024 * 1024);
  assert.equal(picture.fileName, "large.png");
  assert.equal(picture.contentType, "image/png");
});

test("arguments left out in the middle take their defaults", async () => {
  assert.deepEqual(await demo.skip.remote("a"), ["a", "second", null]);
  assert.deepEqual(await demo.skip.remote("a", undefined, "c"), ["a", "second", "c"]);
});

test("a generator's chunks come as typed events, in order", async () => {
  const chunks: { i: number; at: Date }[] = [];
  const events: string[] = [];
  for await (const event of demo.count.remoteEvents([3])) {
    events.push(event.event);
    if (event.event === "job.chunk") chunks.push(event.data.value);
  }
  assert.deepEqual(
    chunks,
    [1, 2, 3].map((i) => ({ i, at: new Date(i) })),
  );
  assert.equal(events.at(-1), "job.end");
  assert.equal(await demo.count.remote(2), null);
});

test("a job that fails rejects with what the function threw and where", async () => {
  const job = await demo.fail.spawn("out of range");
  const error = await job.result().then(
    () => assert.fail("it ended well"),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof JobFailedError);
  assert.equal(error.code, "handler_error");
  assert.match(error.message, /out of range/);
  assert.equal(error.status, "failed");
  assert.equal(error.jobId, job.id);
  assert.match(error.remoteStack ?? "", /RangeError: out of range\n.*client-app\.ts:\d+/s);
  assert.match(error.stack ?? "", /client-app\.ts:\d+/);
  assert.equal((await job.status()).message, "about to fail");
});

test("what the server refuses rejects with its code and paths", async () => {
  const untyped = demo.functions.shout;
  await assert.rejects(
    async () => untyped?.remote(42),
    (error: { code: string; errors: { path: string }[] }) => {
      assert.equal(error.code, "input_invalid");
      assert.equal(error.errors[0]?.path, "/text");
      return true;
    },
  );
  await assert.rejects(async () => demo.functions.nothing?.remote(), { code: "function_not_found" });
  await assert.rejects(new Client({ url: server.url }).app<typeof lab>("lab").shout.remote("x"), {
    code: "unauthorized",
  });
  await assert.rejects(connect(server.url, server.token).functions.shout?.remote(() => 1) ?? assert.fail(), {
    code: "input_invalid",
  });
});

test("a running job is watched, cancelled, and its end seen by all who wait", async () => {
  const job = await demo.hang.spawn();
  const result = job.result().then(
    () => assert.fail("it ended well"),
    (error: unknown) => error,
  );
  for await (const event of job.watch()) {
    if (event.event === "job.log" && event.data.line === "started") await job.cancel();
    if (event.event === "job.end") assert.equal(event.data.status, "cancelled");
  }
  const error = await result;
  assert.ok(error instanceof JobFailedError);
  assert.equal(error.status, "cancelled");
  await assert.rejects(job.cancel(), { code: "job_ended" });
  await assert.rejects(new Client({ url: server.url, token: server.token }).job("jobs:999999").status(), {
    code: "job_not_found",
  });
});

test("waiting for a result can be given up without harm to the job", async () => {
  const job = await demo.hang.spawn();
  await assert.rejects(job.result({ signal: AbortSignal.abort(new Error("enough")) }), /enough/);
  await job.cancel();
});

test("a replica calls other functions of its app, by its own token", async () => {
  assert.equal(await demo.outer.remote("x"), "outer(X!)");
});

test("URLs: an endpoint's is known at once in its own code, and awaited from elsewhere", async () => {
  const url = `${server.url}/lab/page`;
  assert.equal(lab.page.serviceUrl, url);
  assert.equal(lab.shout.serviceUrl, null);
  assert.equal(await lab.page.getWebUrl(), url);
  assert.equal(await demo.page.getWebUrl(), url);
  assert.equal(await (await fetch(url)).json(), "page");
  await assert.rejects(demo.shout.getWebUrl(), { code: "usage" });
  const later = new Client({ url: server.url, token: server.token }).app<typeof lab>("absent");
  await assert.rejects(later.page.getWebUrl({ timeoutS: 0 }), { code: "timeout" });
});

test("a real event stream cut again and again loses nothing and doubles nothing", async () => {
  await using proxy = await cuttingProxy(server.url, 1500);
  const job = await connect(proxy.url, server.token).lines.spawn(150);
  const ids: number[] = [];
  const seen: string[] = [];
  for await (const event of job.watch()) {
    ids.push(event.id);
    if (event.event === "job.log") seen.push(event.data.line);
  }
  assert.deepEqual(
    ids,
    ids.map((_, index) => index + 1),
  );
  assert.deepEqual(
    seen,
    Array.from({ length: 150 }, (_, index) => `line ${index + 1}`),
  );
  assert.ok(proxy.cuts() > 3, `${proxy.cuts()} cuts`);
});

test("the server's own events go on through cut connections", async () => {
  await using proxy = await cuttingProxy(server.url, 6000);
  const left = new AbortController();
  const events = new Client({ url: proxy.url, token: server.token }).events({
    app: "lab",
    events: ["job"],
    signal: left.signal,
  });
  const first = await events.next();
  assert.equal(first.value?.event, "server.snapshot");
  const spawned = new Set<string>();
  const ended: string[] = [];
  for (let n = 0; n < 100; n++) spawned.add((await demo.shout.spawn("x")).id);
  for await (const event of events) {
    assert.equal(event.event, "job");
    if (event.event !== "job" || !spawned.has(event.data.job_id) || event.data.status !== "succeeded") continue;
    ended.push(event.data.job_id);
    if (ended.length === spawned.size) break;
  }
  assert.deepEqual(new Set(ended), spawned);
  assert.ok(proxy.cuts() > 3, `${proxy.cuts()} cuts`);
  left.abort(new Error("enough"));
  const again = new Client({ url: server.url, token: server.token }).events({ signal: left.signal });
  await assert.rejects(again.next(), /enough/);
});

/** Passes requests on, and breaks each event stream after so many bytes. */
async function cuttingProxy(target: string, bytes: number) {
  let cuts = 0;
  const proxy = createServer((req, res) => {
    const upstream = httpRequest(
      new URL(req.url ?? "/", target),
      { method: req.method, headers: req.headers },
      (answer) => {
        res.writeHead(answer.statusCode ?? 502, answer.headers);
        if (!answer.headers["content-type"]?.startsWith("text/event-stream")) return void answer.pipe(res);
        let left = bytes;
        answer.on("data", (chunk: Buffer) => {
          if (left <= 0) return;
          left -= chunk.length;
          if (left > 0) return void res.write(chunk);
          cuts += 1;
          res.write(chunk.subarray(0, chunk.length + left), () => res.destroy());
          upstream.destroy();
        });
        answer.on("end", () => res.end());
      },
    );
    upstream.on("error", () => res.destroy());
    req.pipe(upstream);
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => proxy.once("listening", resolve));
  const dispose = async () => {
    proxy.closeAllConnections();
    await new Promise((resolve) => proxy.close(resolve));
  };
  return {
    url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    cuts: () => cuts,
    [Symbol.asyncDispose]: dispose,
  };
}
