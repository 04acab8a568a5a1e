import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { test } from "node:test";
import { connect as connectTls } from "node:tls";
import { tlsForTests } from "../../../test/harness/tls.ts";
import { HTTP_DEFAULTS } from "../../protocol/defaults.ts";
import { AthanorError } from "../../protocol/errors.ts";
import type { Problem } from "../../protocol/wire.ts";
import type { Log } from "../log.ts";
import { sendJson } from "./answer.ts";
import { bodyStream, readBytes, readJson } from "./body.ts";
import { type Handler, Listener } from "./listener.ts";
import type { TlsKeyPair } from "./tls.ts";

interface Listening extends AsyncDisposable {
  port: number;
  url: string;
  logged: string[];
  listener: Listener;
}

async function listen(handle: Handler, tls: TlsKeyPair | null = null): Promise<Listening> {
  const logged: string[] = [];
  const keep = (fields: object, message: string): void => void logged.push(`${message} ${JSON.stringify(fields)}`);
  const log: Log = { debug: () => {}, info: () => {}, warn: keep, error: keep };
  const listener = new Listener({ handle, log, tls });
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

/** A connection whose answer is gathered; `until` resolves once it holds a text. */
function dial(port: number): {
  socket: ReturnType<typeof connect>;
  until(text: string): Promise<string>;
  closed: Promise<string>;
} {
  const socket = connect(port, "127.0.0.1").setEncoding("utf8");
  let answer = "";
  socket.on("data", (chunk: string) => {
    answer += chunk;
  });
  socket.on("error", () => {});
  return {
    socket,
    until: async (text) => {
      while (!answer.includes(text)) await once(socket, "data");
      return answer;
    },
    closed: once(socket, "close").then(() => answer),
  };
}

test("a body that stalls is refused with 408; one that goes on is not, nor one that waits for 100 Continue or whose answer has begun", async () => {
  const taken: string[] = [];
  const arrived = Promise.withResolvers<void>();
  const goesOn = Promise.withResolvers<void>();
  await using server = await listen(async (x) => {
    taken.push(x.path);
    if (taken.length === 4) arrived.resolve();
    if (x.path === "/waits") return;
    if (x.path === "/begun") x.res.write("begun");
    let size = 0;
    for await (const chunk of bodyStream(x) ?? []) {
      size += chunk.length;
      if (size === 2000) goesOn.resolve();
    }
    sendJson(x, 200, {});
  });
  const post = (path: string, fields = ""): string =>
    `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 3000\r\n${fields}\r\n`;
  const [stalled, going, waits, begun] = [dial(server.port), dial(server.port), dial(server.port), dial(server.port)];
  stalled.socket.write(`${post("/stalled")}abc`);
  going.socket.write(`${post("/going")}abc`);
  waits.socket.write(post("/waits", "Expect: 100-continue\r\n"));
  begun.socket.write(post("/begun"));
  await arrived.promise;
  const { bodyTimeoutMs } = HTTP_DEFAULTS;
  server.listener.checkSlow(1);
  going.socket.write("a".repeat(1997));
  await goesOn.promise;
  server.listener.checkSlow(1 + bodyTimeoutMs);
  assert.match(await stalled.closed, /^HTTP\/1\.1 408 [\s\S]*request_timeout/);
  going.socket.write("a".repeat(1000));
  assert.match(await going.until("{}"), /^HTTP\/1\.1 200 /);
  assert.match(await begun.until("begun"), /^HTTP\/1\.1 200 /);
  for (const { socket } of [going, waits, begun]) socket.destroy();
  assert.deepEqual(server.logged, []);
});

test("an answer that its client does not take is cut, and the handler's signal says so", async () => {
  const left = Promise.withResolvers<void>();
  const full = Promise.withResolvers<void>();
  const listener = new Listener({
    handle: (x) => {
      x.signal.addEventListener("abort", () => left.resolve());
      // More than the buffers of both ends hold.
      x.res.write(Buffer.alloc(64 << 20));
      full.resolve();
    },
    log: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
    answerTimeoutMs: 2,
  });
  const port = await listener.listen({ host: "127.0.0.1", port: 0 });
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  await full.promise;
  listener.checkSlow(1);
  listener.checkSlow(2);
  await left.promise;
  socket.destroy();
  await listener.close({ graceMs: 0 });
});

test("what is no request is answered after the answers that are due before it", async () => {
  const taken = Promise.withResolvers<void>();
  const finish = Promise.withResolvers<void>();
  await using server = await listen(async (x) => {
    taken.resolve();
    await finish.promise;
    sendJson(x, 200, {});
  });
  const client = dial(server.port);
  client.socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\nBLAH\r\n\r\n");
  await taken.promise;
  finish.resolve();
  const answer = await client.closed;
  assert.match(answer, /^HTTP\/1\.1 200 [\s\S]*\{\}HTTP\/1\.1 400 /);
});

test("a request to switch protocols is answered as any other, and as the last, where an answer is due before it", async () => {
  await using undo = new AsyncDisposableStack();
  const { tls, ca } = await tlsForTests(undo);
  for (const secure of [false, true]) {
    const taken = Promise.withResolvers<void>();
    const finish = Promise.withResolvers<void>();
    await using server = await listen(
      async (x) => {
        taken.resolve();
        await finish.promise;
        sendJson(x, 200, { path: x.path, switches: x.upgrade !== null });
      },
      secure ? tls : null,
    );
    const socket = secure
      ? connectTls({ port: server.port, host: "127.0.0.1", ca, ALPNProtocols: ["http/1.1"] })
      : connect(server.port, "127.0.0.1");
    let answers = "";
    socket.setEncoding("utf8").on("data", (text: string) => {
      answers += text;
    });
    const asks = "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
    socket.write(`GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n${asks}\r\n`);
    await taken.promise;
    finish.resolve();
    await once(socket, "close");
    assert.deepEqual(
      answers.match(/\{.*?\}/g)?.map((text) => JSON.parse(text)),
      ["/1", "/2"].map((path) => ({ path, switches: false })),
    );
    assert.deepEqual(server.logged, []);
  }
});

test("a pipeline is bounded", async () => {
  let taken = 0;
  await using server = await listen(() => {
    taken++;
  });
  const client = dial(server.port);
  client.socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(HTTP_DEFAULTS.maxPipelined + 10));
  assert.equal(await client.closed, "");
  assert.equal(taken, HTTP_DEFAULTS.maxPipelined);
});

test("connections are bounded, and the log says so", async () => {
  const logged: string[] = [];
  const log: Log = {
    debug: () => {},
    info: () => {},
    warn: (_, message) => void logged.push(message),
    error: () => {},
  };
  const listener = new Listener({ handle: echo, log, maxConnections: 1 });
  const port = await listener.listen({ host: "127.0.0.1", port: 0 });
  const first = dial(port);
  first.socket.write("POST / HTTP/1.1\r\nHost: x\r\n\r\n");
  await first.until("{}");
  assert.equal(await dial(port).closed, "");
  assert.match(logged.join(), /--max-connections/);
  first.socket.destroy();
  await listener.close({ graceMs: 0 });
});
