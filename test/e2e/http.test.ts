import assert from "node:assert/strict";
import { once } from "node:events";
import { request } from "node:http";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { build } from "../../src/build/index.ts";
import { ERRORS } from "../../src/protocol/errors.ts";
import type { JobJson, Problem } from "../../src/protocol/wire.ts";
import { startTestServer, type TestServer } from "../harness/server.ts";

/** A PNG of one pixel. */
const PNG = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
  "base64",
);

let server: TestServer;

before(async () => {
  server = await startTestServer();
  await server.api.deploy(await build({ entry: join(import.meta.dirname, "apps/http.ts") }));
});
after(() => server?.[Symbol.asyncDispose]());

const at = (path: string): string => `${server.url}/web${path}`;
const post = (path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(at(path), {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "content-type": "application/json", ...headers },
  });

/** The answer is a complete problem of this code, with the table's status. */
async function problem(answer: Response | Promise<Response>, code: keyof typeof ERRORS): Promise<Problem> {
  const response = await answer;
  const text = await response.text();
  assert.equal(response.headers.get("content-type"), "application/problem+json", text);
  const body = JSON.parse(text) as Problem;
  assert.deepEqual([body.code, body.status, response.status], [code, ERRORS[code].status, ERRORS[code].status], text);
  assert.ok(body.detail !== "" && body.hint !== "" && body.title !== "");
  assert.ok(response.headers.get("x-request-id"));
  return body;
}

describe("a synchronous endpoint", () => {
  it("reads GET parameters from the query", async () => {
    const response = await fetch(at("/hello?name=ann&times=2"));
    assert.equal(response.status, 200);
    assert.deepEqual(await response.json(), { message: "hello annhello ann" });
    assert.deepEqual(await (await fetch(at("/hello"))).json(), { message: "hello you" });
  });

  it("cannot make its answer run into the next one on the connection", async () => {
    await problem(fetch(at("/lying?kind=short")), "answer_invalid");
    await problem(fetch(at("/lying?kind=long")), "answer_invalid");
    // The connection ends where more comes than was declared.
    const stream = await fetch(at("/lying?kind=stream"));
    assert.equal(await (await fetch(at("/lying?kind=more"))).text(), "sent");
    assert.equal(await stream.text(), "hello");
    assert.equal((await fetch(at("/hello"))).status, 200);
  });

  it("has a host of its own, where it is the root", async () => {
    const { port } = new URL(server.url);
    const statusAt = async (path: string, name = "hello--web"): Promise<number | undefined> => {
      const headers = { host: `${name}.localhost:${port}` };
      const [response] = await once(request({ host: "127.0.0.1", port, path, headers }).end(), "response");
      response.resume();
      return response.statusCode;
    };
    assert.deepEqual([await statusAt("/?name=ann"), await statusAt("/hello")], [200, 404]);
    for (const name of ["none--web", "hello--none", "hello--web--web", "--web", "hello--"])
      assert.equal(await statusAt("/", name), 404, name);
  });

  it("is found by its app's host too", async () => {
    const { port } = new URL(server.url);
    const answer = request({
      host: "127.0.0.1",
      port,
      path: "/hello?name=host",
      headers: { host: `web.localhost:${port}` },
    }).end();
    const [response] = await once(answer, "response");
    response.setEncoding("utf8");
    let text = "";
    for await (const chunk of response) text += chunk;
    assert.deepEqual(JSON.parse(text), { message: "hello host" });
  });

  it("reads JSON, a urlencoded form and multipart alike", async () => {
    const expected = { text: "a", count: 2, tags: ["x", "y"] };
    assert.deepEqual(await (await post("/echo", expected)).json(), expected);
    const pairs = new URLSearchParams([
      ["text", "a"],
      ["count", "2"],
      ["tags", "x"],
      ["tags", "y"],
    ]);
    assert.deepEqual(await (await fetch(at("/echo"), { method: "PUT", body: pairs })).json(), expected);
    const form = new FormData();
    for (const [name, value] of pairs) form.append(name, value);
    assert.deepEqual(await (await fetch(at("/echo"), { method: "POST", body: form })).json(), expected);
  });

  it("takes images as uploads, base64 and data URIs, and gives them as JSON or bytes", async () => {
    const form = new FormData();
    form.append("page", new Blob([PNG], { type: "image/png" }), "dot.png");
    form.append("note", "n");
    assert.deepEqual(await (await fetch(at("/size"), { method: "POST", body: form })).json(), {
      type: "image/png",
      size: PNG.length,
      note: "n",
    });
    for (const page of [
      PNG.toString("base64"),
      `data:image/png;base64,${PNG.toString("base64")}`,
      { file_name: "dot.png", content: PNG.toString("base64") },
    ]) {
      assert.deepEqual(await (await post("/size", { page })).json(), { type: "image/png", size: PNG.length, note: "" });
    }
    const json = (await (await post("/same", { page: PNG.toString("base64") })).json()) as {
      content: string;
      content_type: string;
    };
    assert.deepEqual([json.content, json.content_type], [PNG.toString("base64"), "image/png"]);
    const bytes = await post("/same", { page: PNG.toString("base64") }, { accept: "image/png" });
    assert.equal(bytes.headers.get("content-type"), "image/png");
    assert.deepEqual(Buffer.from(await bytes.arrayBuffer()), PNG);
  });

  it("streams what a generator yields", async () => {
    const text = await (await fetch(at("/count?to=3"))).text();
    assert.deepEqual(
      text
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line)),
      [{ i: 0 }, { i: 1 }, { i: 2 }],
    );
  });

  it("passes the request and the Response of a handler that wants them, hop-by-hop headers aside", async () => {
    const response = await fetch(at("/raw?x=1"), {
      method: "POST",
      body: "raw body",
      headers: { "content-type": "text/plain", "x-forwarded-for": "1.2.3.4", "x-request-id": "mine-1" },
    });
    assert.equal(response.status, 201);
    assert.equal(response.headers.get("x-own"), "yes");
    assert.deepEqual(response.headers.getSetCookie(), ["a=1", "b=2"]);
    assert.equal(response.headers.get("x-request-id"), "mine-1");
    const seen = (await response.json()) as { url: string; body: string; headers: Record<string, string> };
    assert.equal(seen.body, "raw body");
    assert.equal(seen.url, at("/raw?x=1"));
    assert.equal(seen.headers["x-forwarded-for"], "127.0.0.1", "a client's own word is not passed on");
    assert.equal(seen.headers["x-forwarded-prefix"], "/web");
    assert.equal(seen.headers["x-forwarded-proto"], "http");
    assert.equal(seen.headers["x-request-id"], "mine-1");
    assert.equal(seen.headers.connection, undefined);
    assert.equal(seen.headers["transfer-encoding"], undefined);
  });

  it("answers HEAD for GET without a body, and OPTIONS", async () => {
    const head = await fetch(at("/hello"), { method: "HEAD" });
    assert.deepEqual([head.status, await head.text()], [200, ""]);
    const options = await fetch(at("/echo"), { method: "OPTIONS" });
    assert.deepEqual([options.status, options.headers.get("allow")], [204, "POST, PUT, OPTIONS"]);
  });

  it("lets a slow reader hold the sender back, and a large answer arrive whole", async () => {
    const response = await fetch(at("/big?megabytes=40"));
    let size = 0;
    for await (const chunk of response.body ?? []) size += chunk.length;
    assert.equal(size, 40 * 1024 * 1024);
  });

  it("hears when its client has left", async () => {
    const left = new AbortController();
    const aborted = async (): Promise<number> => (await (await fetch(at("/aborted"))).json()) as number;
    const open = async (): Promise<number> =>
      (await server.api.replicas()).find(({ functions }) => functions.includes("hang"))?.requests ?? 0;
    const before = await aborted();
    while ((await open()) > 0);
    const answer = fetch(at("/hang"), { signal: left.signal });
    answer.catch(() => {});
    while ((await open()) === 0);
    left.abort();
    while ((await aborted()) === before);
    while ((await open()) > 0);
  });

  it("is answered for with 504 when its time is over", async () => {
    const body = await problem(fetch(at("/slow")), "timeout");
    assert.match(body.detail, /0\.3 s/);
  });

  it("holds the token where access asks for it, and keeps it from the function", async () => {
    await problem(fetch(at("/locked")), "unauthorized");
    await problem(fetch(at("/locked"), { headers: { authorization: "Bearer wrong" } }), "unauthorized");
    const response = await fetch(at("/locked"), { headers: { authorization: `Bearer ${server.token}` } });
    assert.deepEqual(await response.json(), { authorization: null });
  });

  it("lets in pages of the origins that it names", async () => {
    const preflight = await fetch(at("/shared"), {
      method: "OPTIONS",
      headers: { origin: "https://page.example", "access-control-request-method": "POST" },
    });
    assert.equal(preflight.status, 204);
    assert.equal(preflight.headers.get("access-control-allow-origin"), "https://page.example");
    assert.match(preflight.headers.get("access-control-allow-methods") ?? "", /POST/);
    const own = await fetch(at("/shared"), { headers: { origin: "https://page.example" } });
    assert.equal(own.headers.get("access-control-allow-origin"), "https://page.example");
    assert.equal(own.headers.get("vary"), "Origin");
    const other = await fetch(at("/shared"), { headers: { origin: "https://other.example" } });
    assert.equal(other.headers.get("access-control-allow-origin"), null);
    assert.equal(
      (await fetch(at("/hello"), { headers: { origin: "https://page.example" } })).headers.get(
        "access-control-allow-origin",
      ),
      null,
    );
  });
});

describe("bad input", () => {
  it("unknown app, path, function, job and deployment: 404", async () => {
    await problem(fetch(`${server.url}/nobody/hello`), "app_not_found");
    await problem(fetch(at("/nothing")), "not_found");
    await problem(server.api.fetch("/v1/nothing"), "not_found");
    await problem(server.api.fetch("/v1/apps/nobody"), "app_not_found");
    await problem(server.api.fetch("/v1/apps/nobody", { method: "DELETE" }), "app_not_found");
    await problem(server.api.fetch("/v1/apps/web/functions/nothing/jobs", { method: "POST" }), "function_not_found");
    for (const id of ["jobs:999", "jobs:0", "jobs:x", "deployments:1"])
      await problem(server.api.fetch(`/v1/jobs/${id}`), "job_not_found");
    await problem(server.api.fetch("/v1/deployments/999"), "deployment_not_found");
  });

  it("wrong method: 405 with Allow", async () => {
    const endpoint = await fetch(at("/hello"), { method: "POST", body: "{}" });
    assert.equal(endpoint.headers.get("allow"), "GET, HEAD, OPTIONS");
    await problem(endpoint, "method_not_allowed");
    const api = await server.api.fetch("/v1/deployments", { method: "DELETE" });
    assert.equal(api.headers.get("allow"), "POST, GET, HEAD, OPTIONS");
    await problem(api, "method_not_allowed");
    await problem(fetch(at("/docs"), { method: "POST" }), "method_not_allowed");
  });

  it("an invalid body: 422 that names each path", async () => {
    for (const path of ["/echo", "/work"]) {
      const body = await problem(post(path, { text: 1, extra: true }), "input_invalid");
      assert.deepEqual(body.errors?.map((error) => error.path).sort(), ["/extra", "/text"], JSON.stringify(body));
      assert.ok(body.errors?.every(({ expected }) => expected !== ""));
    }
    const query = await problem(fetch(at("/hello?times=many")), "input_invalid");
    assert.deepEqual(
      query.errors?.map((error) => error.path),
      ["/times"],
    );
    const spawned = await problem(
      server.api.fetch("/v1/apps/web/functions/infer/jobs", {
        method: "POST",
        body: JSON.stringify({ args: [1] }),
        headers: { "content-type": "application/json" },
      }),
      "input_invalid",
    );
    assert.deepEqual(
      spawned.errors?.map((error) => error.path),
      ["/text"],
    );
  });

  it("malformed JSON: 400 with the position", async () => {
    for (const path of ["/echo", "/work"]) {
      const body = await problem(
        fetch(at(path), { method: "POST", body: '{"text": "a",}', headers: { "content-type": "application/json" } }),
        "malformed_json",
      );
      assert.match(body.detail, /position 13|line 1|column 14/, body.detail);
    }
  });

  it("neither JSON nor a form: 415", async () => {
    for (const path of ["/echo", "/work"]) {
      await problem(
        fetch(at(path), { method: "POST", body: "x", headers: { "content-type": "text/plain" } }),
        "unsupported_media_type",
      );
    }
  });

  it("too large: 413, declared or not", async () => {
    const large = "x".repeat(12 * 1024 * 1024);
    for (const path of ["/echo", "/work"]) {
      await problem(post(path, { text: large }), "body_too_large");
      const stream = new Blob([JSON.stringify({ text: large })]).stream();
      await problem(
        fetch(at(path), {
          method: "POST",
          body: stream,
          duplex: "half",
          headers: { "content-type": "application/json" },
        }),
        "body_too_large",
      );
    }
    const form = new FormData();
    form.append("page", new Blob([PNG, new Uint8Array(2 * 1024 * 1024)]), "big.png");
    await problem(fetch(at("/size"), { method: "POST", body: form }), "body_too_large");
  });

  it("a file that is no image, a path or a URL from the wire: 422", async () => {
    for (const path of ["/size", "/picture"]) {
      const form = new FormData();
      form.append("page", new Blob(["plain text"], { type: "image/png" }), "dot.png");
      await problem(fetch(at(path), { method: "POST", body: form }), "media_invalid");
      for (const page of ["/etc/passwd", "file:///etc/passwd", "https://example.com/dot.png", "not base64!"]) {
        await problem(post(path, { page }), "media_invalid");
      }
    }
  });

  it("what the function throws: 500 with a code, and neither message nor stack", async () => {
    const response = await post("/fail", { secret: "value" });
    const text = await response.clone().text();
    await problem(response, "handler_error");
    // Whoever may call a public endpoint need not be who may read its logs.
    assert.ok(!text.includes("http.ts") && !text.includes("at fail") && !text.includes("it broke on"), text);
  });

  it("a result that is of the wrong type, or cannot be sent: 500 output_invalid", async () => {
    await problem(fetch(at("/wrong")), "output_invalid");
    await problem(fetch(at("/cycle")), "output_invalid");
  });

  it("unknown, doubled and wrong query parameters of the API: 400", async () => {
    for (const query of [
      "colour=red",
      "limit=0",
      "limit=1e9",
      "limit=x",
      "limit=1&limit=2",
      "cursor=x",
      "cursor=deployments:1",
      "status=done",
    ]) {
      await problem(server.api.fetch(`/v1/jobs?${query}`), "bad_request");
    }
  });
});

describe("a queued endpoint", () => {
  it("answers 202 with links that open this job to whoever has them", async () => {
    const response = await post("/work", { text: "abc" });
    assert.equal(response.status, 202);
    const job = (await response.json()) as JobJson;
    const location = response.headers.get("location") ?? "";
    assert.equal(location, `${server.url}${job.links.self}`);
    const shown = (await (await fetch(location)).json()) as JobJson;
    assert.equal(shown.job_id, job.job_id);
    assert.equal(shown.links.result, job.links.result, "the key stays in the links");
    assert.equal(await (await fetch(`${server.url}${job.links.result}&wait=30`)).json(), "ABC");
    const events = await (await fetch(`${server.url}${job.links.events}`)).text();
    assert.match(
      events,
      /event: job\.queued[\s\S]*event: job\.progress[\s\S]*event: job\.result[\s\S]*event: job\.end/,
    );
    // Without the key, with a wrong one, or for another job: closed.
    await problem(fetch(`${server.url}/v1/jobs/${job.job_id}`), "unauthorized");
    await problem(fetch(location.replace(/key=.{5}/, "key=xxxxx")), "unauthorized");
    const other = (await (await post("/work", { text: "other" })).json()) as JobJson;
    await problem(fetch(location.replace(job.job_id, other.job_id)), "unauthorized");
    await problem(fetch(`${server.url}/v1/jobs?key=${new URL(location).searchParams.get("key")}`), "bad_request");
  });

  it("waits for the result where Prefer says so", async () => {
    const done = await post("/work", { text: "abc" }, { prefer: "wait=30" });
    assert.deepEqual([done.status, done.headers.get("preference-applied"), await done.json()], [200, "wait=30", "ABC"]);
    const held = await post("/work", { text: "abc", hold: true }, { prefer: "wait=1" });
    assert.equal(held.status, 202);
    const { links } = (await held.json()) as JobJson;
    assert.equal((await fetch(server.url + links.cancel, { method: "POST" })).status, 202);
    await problem(fetch(`${server.url}${links.result}&wait=30`), "cancelled");
    const failed = await problem(post("/work", { text: "fail" }, { prefer: "wait=30" }), "handler_error");
    assert.match(failed.detail, /work failed/);
  });

  it("refuses what its queue has no room for: 429 with Retry-After", async () => {
    const jobs: JobJson[] = [];
    let refused: Response | null = null;
    while (refused === null) {
      const response = await post("/work", { text: "x", hold: true });
      if (response.status === 202) jobs.push((await response.json()) as JobJson);
      else refused = response;
      assert.ok(jobs.length <= 4, "one runs and three wait");
    }
    assert.ok(Number(refused.headers.get("retry-after")) > 0);
    await problem(refused, "queue_full");
    for (const { links } of jobs.reverse()) await fetch(server.url + links.cancel, { method: "POST" });
    for (const { links } of jobs) await problem(fetch(`${server.url}${links.result}&wait=30`), "cancelled");
  });

  it("makes one job of one Idempotency-Key", async () => {
    const key = { "idempotency-key": "k-1" };
    const first = (await (await post("/work", { text: "once" }, key)).json()) as JobJson;
    const again = (await (await post("/work", { text: "once" }, key)).json()) as JobJson;
    assert.equal(again.job_id, first.job_id);
    await problem(post("/work", { text: "other" }, key), "idempotency_conflict");
    await problem(post("/work", { text: "x" }, { "idempotency-key": "ä" }), "bad_request");
    const sync = await post("/echo", { text: "once" }, { "idempotency-key": "k-2" });
    assert.deepEqual([sync.status, await sync.json()], [200, { text: "once", count: null, tags: [] }]);
    const repeated = await post("/echo", { text: "once" }, { "idempotency-key": "k-2" });
    assert.equal(repeated.headers.get("location"), sync.headers.get("location"));
  });

  it("makes a job of a synchronous endpoint's call where Prefer says so", async () => {
    const response = await post("/echo", { text: "later" }, { prefer: "respond-async" });
    assert.deepEqual([response.status, response.headers.get("preference-applied")], [202, "respond-async"]);
    const job = (await response.json()) as JobJson;
    assert.deepEqual(await (await fetch(`${server.url}${job.links.result}&wait=30`)).json(), {
      text: "later",
      count: null,
      tags: [],
    });
    await problem(post("/raw", {}, { prefer: "respond-async" }), "bad_request");
  });

  it("keeps pictures as files that the job's links open", async () => {
    const form = new FormData();
    form.append("page", new Blob([PNG], { type: "image/png" }), "dot.png");
    const job = (await (await fetch(at("/picture"), { method: "POST", body: form })).json()) as JobJson;
    const result = (await (await fetch(`${server.url}${job.links.result}&wait=30`)).json()) as {
      content: string;
      url: string | null;
    };
    assert.equal(result.content, PNG.toString("base64"));
    assert.ok(result.url);
    const file = await fetch(server.url + result.url);
    assert.equal(file.headers.get("content-type"), "image/png");
    assert.deepEqual(Buffer.from(await file.arrayBuffer()), PNG);
    const part = await fetch(server.url + result.url, { headers: { range: "bytes=1-3" } });
    assert.deepEqual([part.status, await part.text()], [206, "PNG"]);
    await problem(fetch(`${server.url}${(result.url ?? "").replace(/files\/.{8}/, "files/00000000")}`), "not_found");
  });
});

describe("the API", () => {
  it("is closed without the token, but for what says whether the server is well", async () => {
    for (const path of ["/v1/jobs", "/v1/apps", "/v1/deployments", "/v1/replicas", "/v1/server", "/metrics"]) {
      const answer = await fetch(server.url + path);
      assert.match(answer.headers.get("www-authenticate") ?? "", /^Bearer/);
      await problem(answer, "unauthorized");
      assert.equal((await server.api.fetch(path)).status, 200, path);
    }
    for (const path of ["/", "/healthz", "/readyz", "/openapi.json"])
      assert.equal((await fetch(server.url + path)).status, 200, path);
  });

  it("pages through jobs without missing or repeating one", async () => {
    for (let i = 0; i < 5; i++) await server.api.spawn("web", "infer", { args: [`page ${i}`] });
    const ids: string[] = [];
    let cursor: string | null = null;
    do {
      const at: string = cursor === null ? "" : `&cursor=${cursor}`;
      const page: { items: JobJson[]; next_cursor: string | null } = await server.api.json(
        "GET",
        `/v1/jobs?function=infer&app=web&limit=2${at}`,
      );
      ids.push(...page.items.map(({ job_id }) => job_id));
      cursor = page.next_cursor;
    } while (cursor !== null);
    assert.ok(ids.length >= 5);
    const numbers = ids.map((id) => Number(id.split(":")[1]));
    assert.deepEqual(
      numbers,
      [...new Set(numbers)].sort((a, b) => b - a),
    );
  });

  it("enqueues calls by arguments in order and by name", async () => {
    assert.equal((await server.api.run("web", "infer", { args: ["ab"] })).result, "AB");
    assert.equal((await server.api.run("web", "infer", { args: ["ab"], kwargs: { upper: false } })).result, "ab");
    const failed = (body: string): Promise<Response> =>
      server.api.fetch("/v1/apps/web/functions/infer/jobs", {
        method: "POST",
        body,
        headers: { "content-type": "application/json" },
      });
    await problem(failed('{"args": ["a", true, 1]}'), "input_invalid");
    await problem(failed('{"args": ["a"], "kwargs": {"text": "b"}}'), "input_invalid");
    await problem(failed('{"arguments": []}'), "input_invalid");
    await problem(failed("[]"), "input_invalid");
    await problem(failed("{"), "malformed_json");
  });

  it("resumes a job's events after the cursor, and refuses one that is none", async () => {
    const { job_id, links } = await server.api.run("web", "infer", { args: ["ab"] });
    const text = async (query: string, headers = {}): Promise<string> =>
      (await server.api.fetch(`${links.events}${query}`, { headers })).text();
    const all = await text("");
    assert.match(all, /^id: 1\nevent: job\.queued\n/);
    assert.equal(await text("?after=0"), all);
    assert.ok(!(await text("?after=1")).includes("job.queued"));
    assert.equal(await text("", { "last-event-id": "1" }), await text("?after=1"));
    assert.match(await text("?snapshot=true"), /^id: \d+\nevent: job\.snapshot\n/);
    for (const query of [
      "?after=-1",
      "?after=x",
      "?after=1.5",
      "?after=99999999999999999999",
      "?snapshot=maybe",
      "?from=1",
    ]) {
      await problem(server.api.fetch(`/v1/jobs/${job_id}/events${query}`), "bad_request");
    }
    await problem(server.api.fetch(`/v1/jobs/${job_id}/events`, { headers: { "last-event-id": "x" } }), "bad_request");
    await problem(server.api.fetch("/v1/jobs/jobs:999/events"), "job_not_found");
  });

  it("says 409 for a result that is not there yet and for a cancel that comes too late", async () => {
    const held = (await (await post("/work", { text: "x", hold: true })).json()) as JobJson;
    await problem(server.api.fetch(`/v1/jobs/${held.job_id}/result`), "job_not_ended");
    await server.api.cancel(held.job_id);
    assert.equal((await server.api.end(held.job_id)).status, "cancelled");
    await problem(server.api.fetch(`/v1/jobs/${held.job_id}/cancel`, { method: "POST" }), "job_ended");
  });

  it("keeps the replicas' output by deployment", async () => {
    const { items } = await server.api.json<{ items: { deployment_id: string }[] }>("GET", "/v1/deployments?app=web");
    const id = items[0]?.deployment_id ?? "";
    const logs = await server.api.json<{ items: unknown[] }>("GET", `/v1/deployments/${id}/logs?limit=10`);
    assert.ok(Array.isArray(logs.items));
    await problem(server.api.fetch("/v1/deployments/999/logs"), "deployment_not_found");
  });
});

describe("documentation of an app", () => {
  it("is an index, an OpenAPI document and a page that loads nothing from elsewhere", async () => {
    const index = (await (await fetch(at(""))).json()) as { links: { openapi: string; docs: string } };
    const document = (await (await fetch(server.url + index.links.openapi)).json()) as {
      openapi: string;
      paths: object;
    };
    assert.match(document.openapi, /^3\.1\./);
    assert.ok(Object.hasOwn(document.paths, "/hello"));
    const page = await fetch(server.url + index.links.docs);
    const html = await page.text();
    const csp = page.headers.get("content-security-policy") ?? "";
    assert.match(csp, /default-src 'none'/);
    assert.ok(!/https?:/.test(csp));
    const assets = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, url = ""]) => url);
    assert.ok(assets.length >= 4);
    for (const url of assets) {
      assert.ok(url.startsWith("/web/docs/"), url);
      const asset = await fetch(server.url + url);
      assert.equal(asset.status, 200, url);
      await asset.body?.cancel();
    }
    await problem(fetch(at("/docs/../../package.json")), "app_not_found");
    await problem(fetch(at("/docs/package.json")), "not_found");
  });

  it("is valid OpenAPI", async () => {
    const { Validator } = await import("@seriousme/openapi-schema-validator");
    for (const path of ["/web/openapi.json", "/openapi.json"]) {
      const document = (await (await fetch(server.url + path)).json()) as Record<string, unknown>;
      const { valid, errors } = await new Validator().validate(document);
      assert.ok(valid, `${path}: ${JSON.stringify(errors)}`);
    }
  });
});
