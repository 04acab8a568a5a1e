/** What a service may do wrong, what its callers get, and what nobody else may notice of it; through the whole server. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { build } from "../../src/build/index.ts";
import { ERRORS } from "../../src/protocol/errors.ts";
import type { Problem } from "../../src/protocol/wire.ts";
import { startTestServer, type TestServer } from "../harness/server.ts";

let server: TestServer;

before(async () => {
  server = await startTestServer();
  await server.api.deploy(await build({ entry: join(import.meta.dirname, "apps/bad-services.ts") }));
});
after(() => server?.[Symbol.asyncDispose]());

const at = (path: string): string => `${server.url}/bad${path}`;

/** The problem that a caller gets, while others are served. */
async function problem(path: string, code: keyof typeof ERRORS, init: RequestInit = {}): Promise<Problem> {
  const answer = fetch(at(path), init);
  assert.equal(await (await fetch(at("/good"))).text(), "good");
  const response = await answer;
  const body = (await response.json()) as Problem;
  assert.deepEqual([body.code, response.status], [code, ERRORS[code].status], JSON.stringify(body));
  assert.ok(body.hint !== "" && response.headers.get("x-request-id"));
  return body;
}

describe("a service that", () => {
  it("never listens is a 503 that says so", async () => {
    const { detail } = await problem("/never", "startup_timeout");
    assert.match(detail, /never/);
  });

  it("exits at once is a 503 with its status", async () => {
    const { detail } = await problem("/exits", "startup_failed");
    assert.match(detail, /status 3/);
  });

  it("listens on another port is a 503 that names it", async () => {
    const { detail } = await problem("/elsewhere", "startup_timeout");
    assert.match(detail, /18713/);
  });

  it("closes before it answers is a 502", async () => {
    await problem("/raw/nothing", "answer_incomplete");
  });

  it("closes halfway is a cut for its caller", async () => {
    const socket = connect(Number(new URL(server.url).port), "127.0.0.1");
    socket.write("GET /bad/raw/midway HTTP/1.1\r\nHost: x\r\n\r\n");
    let text = "";
    socket.setEncoding("latin1").on("data", (piece) => {
      text += piece;
    });
    await once(socket, "close");
    assert.match(text, /^HTTP\/1\.1 200 OK[\s\S]*half$/);
  });

  for (const [path, why] of [
    ["garbage", /this is not HTTP/],
    ["two-lengths", /two Content-Length/],
    ["huge", /over 65536 bytes/],
  ] as const) {
    it(`answers with what is no HTTP (${path}) is a 502 that says why`, async () => {
      assert.match((await problem(`/raw/${path}`, "answer_invalid")).detail, why);
    });
  }

  it("takes a request and never answers is a 504", async () => {
    assert.match((await problem("/raw/silence", "timeout")).detail, /within 1 s/);
    assert.equal(await (await fetch(at("/raw/ok"))).text(), "ok");
  });

  it("dies of a request is a 502, after one more try where that does no harm", async () => {
    for (const method of ["POST", "GET"])
      assert.match((await problem("/raw/exit", "replica_crashed", { method })).detail, /7/);
    assert.equal(await (await fetch(at("/raw/ok"))).text(), "ok");
  });

  it("holds its event loop is killed, and started again for the next", async () => {
    await problem("/raw/spin", "timeout");
    assert.equal(await (await fetch(at("/raw/ok"))).text(), "ok");
  });

  it("listens no more, though it lives, is a 502", async () => {
    assert.equal(await (await fetch(at("/deaf"))).text(), "the last answer");
    await problem("/deaf", "service_unreachable");
  });
});
