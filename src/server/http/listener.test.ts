import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { test } from "node:test";
import { AthanorError } from "../../protocol/errors.ts";
import type { Problem } from "../../protocol/wire.ts";
import type { Log } from "../log.ts";
import { sendJson } from "./answer.ts";
import { readBytes, readJson } from "./body.ts";
import { type Handler, Listener } from "./listener.ts";

interface Listening extends AsyncDisposable {
  port: number;
  url: string;
  logged: string[];
  listener: Listener;
}

async function listen(handle: Handler): Promise<Listening> {
  const logged: string[] = [];
  const keep = (fields: object, message: string): void => void logged.push(`${message} ${JSON.stringify(fields)}`);
  const log: Log = { debug: () => {}, info: () => {}, warn: keep, error: keep };
  const listener = new Listener({ handle, log });
  const port = await listener.listen({ host: "127.0.0.1", port: 0 });
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    logged,
    listener,
    [Symbol.asyncDispose]: () => listener.close({ graceMs: 0 }),
  };
}

/** Sends bytes as they are and resolves with all that comes back until the server closes. */
async function raw(port: number, text: string): Promise<{ head: string; problem: Problem }> {
  const socket = connect(port, "127.0.0.1");
  let answer = "";
  socket.setEncoding("utf8").on("data", (chunk: string) => {
    answer += chunk;
  });
  socket.write(text);
  await once(socket, "close");
  const end = answer.indexOf("\r\n\r\n");
  const head = answer.slice(0, end);
  const body = answer.slice(end + 4);
  assert.match(head, /^HTTP\/1\.1 \d{3} /);
  assert.match(head, /content-type: application\/problem\+json/i);
  assert.equal(Number(/content-length: (\d+)/i.exec(head)?.[1]), Buffer.byteLength(body));
  return { head, problem: JSON.parse(body) as Problem };
}

const echo: Handler = async (x) => sendJson(x, 200, { path: x.path, body: await readJson(x, 1000) });

test("what is no HTTP is answered with a problem, and the connection is closed", async () => {
  await using server = await listen(echo);
  const cases: [string, number, string][] = [
    ["BLAH\r\n\r\n", 400, "bad_request"],
    ["GET / HTTP/1.1\r\n\r\n", 400, "bad_request"],
    ["GET / HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n", 400, "bad_request"],
    ["GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_request"],
    ["GET * HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_request"],
    [`GET / HTTP/1.1\r\nHost: x\r\nX: ${"a".repeat(20_000)}\r\n\r\n`, 431, "header_too_large"],
    ["CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n", 405, "method_not_allowed"],
    ["POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400, "bad_request"],
    ["POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "bad_request"],
  ];
  for (const [text, status, code] of cases) {
    const { problem } = await raw(server.port, text);
    assert.deepEqual([problem.status, problem.code], [status, code], text.slice(0, 60));
    assert.ok(problem.hint);
  }
  assert.deepEqual(server.logged, [], "malformed input is no fault of the server");
  assert.equal((await fetch(`${server.url}/x`)).status, 200);
});

test("a body declared too large is refused before it is sent", async () => {
  await using server = await listen(echo);
  // Not one byte of the body follows: the answer does not wait for it.
  const { problem } = await raw(
    server.port,
    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\nConnection: close\r\n\r\n",
  );
  assert.equal(problem.code, "body_too_large");
});

test("a body that turns out too large is refused, and its sender sees why", async () => {
  await using server = await listen(echo);
  const body = new ReadableStream<Uint8Array>(
    { pull: (controller) => controller.enqueue(new Uint8Array(16_384)) },
    { highWaterMark: 0 },
  );
  let sent = 0;
  const limited = body.pipeThrough(
    new TransformStream({
      transform: (chunk, controller) => (++sent > 100 ? controller.terminate() : controller.enqueue(chunk)),
    }),
  );
  const response = await fetch(server.url, { method: "POST", body: limited, duplex: "half" });
  assert.equal(response.status, 413);
  assert.equal(((await response.json()) as Problem).code, "body_too_large");
});

test("a client that waits for 100 Continue gets it, or the refusal in its place", async () => {
  await using server = await listen(echo);
  const socket = connect(server.port, "127.0.0.1").setEncoding("utf8");
  socket.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n");
  const [interim] = (await once(socket, "data")) as [string];
  assert.match(interim, /^HTTP\/1\.1 100 /);
  socket.write("{}");
  const [answer] = (await once(socket, "data")) as [string];
  assert.match(answer, /^HTTP\/1\.1 200 /);
  socket.destroy();
  const { problem } = await raw(
    server.port,
    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n",
  );
  assert.equal(problem.code, "body_too_large");
});

test("JSON bodies: the type, the text and its encoding are checked", async () => {
  await using server = await listen(echo);
  const post = async (body: string | Uint8Array<ArrayBuffer>, type: string): Promise<[number, string]> => {
    const response = await fetch(server.url, { method: "POST", body, headers: { "content-type": type } });
    return [response.status, ((await response.json()) as Problem).code];
  };
  assert.deepEqual(await post("{}", "application/json; charset=utf-8"), [200, undefined]);
  assert.deepEqual(await post("{}", "application/merge-patch+json"), [200, undefined]);
  assert.deepEqual(await post("x", "text/plain"), [415, "unsupported_media_type"]);
  assert.deepEqual(await post("x", "application/jsonp"), [415, "unsupported_media_type"]);
  assert.deepEqual(await post('{"a":', "application/json"), [400, "malformed_json"]);
  assert.deepEqual(await post(new Uint8Array([0x22, 0xff, 0x22]), "application/json"), [400, "malformed_json"]);
});

test("a fault of the server is logged, and its message kept from the client", async () => {
  await using server = await listen(() => {
    throw new Error("a secret detail");
  });
  const response = await fetch(server.url);
  assert.equal(response.status, 500);
  const problem = (await response.json()) as Problem;
  assert.equal(problem.code, "internal");
  assert.ok(!JSON.stringify(problem).includes("secret"));
  assert.equal(server.logged.length, 1);
  assert.match(server.logged[0] ?? "", /a secret detail/);
});

test("a client that breaks off its upload is nobody's fault", async () => {
  const { promise: rejected, resolve } = Promise.withResolvers<unknown>();
  await using server = await listen(async (x) => {
    try {
      await readBytes(x, 1000);
    } catch (error) {
      resolve(error);
      throw error;
    }
  });
  const socket = connect(server.port, "127.0.0.1");
  await once(socket, "connect");
  socket.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc", () => socket.destroy());
  const error = await rejected;
  assert.ok(error instanceof AthanorError && error.code === "bad_request");
  assert.deepEqual(server.logged, []);
});

test("closing ends idle connections at once, and waits for an answer that is under way", async () => {
  const taken = Promise.withResolvers<void>();
  const finish = Promise.withResolvers<void>();
  await using server = await listen(async (x) => {
    taken.resolve();
    await finish.promise;
    sendJson(x, 200, {});
  });
  const idle = connect(server.port, "127.0.0.1");
  await once(idle, "connect");
  const answer = fetch(server.url);
  await taken.promise;
  const closed = server.listener.close({ graceMs: 60_000 });
  finish.resolve();
  assert.equal((await answer).status, 200);
  await closed;
  idle.destroy();
});
