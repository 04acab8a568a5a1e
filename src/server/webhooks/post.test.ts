import assert from "node:assert/strict";
import type { LookupAddress } from "node:dns";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { afterEach, describe, it } from "node:test";
import { ForbiddenHostError } from "../net/public-host.ts";
import { post } from "./post.ts";

const LOOPBACK: LookupAddress[] = [{ address: "127.0.0.1", family: 4 }];

let servers = new AsyncDisposableStack();

/** A receiver on a free port, gone after the test. */
async function receiver(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<number> {
  const server = createServer(answer);
  servers.defer(() => {
    server.closeAllConnections();
    return new Promise<void>((resolve) => server.close(() => resolve()));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

function send(url: string, changes: Partial<Parameters<typeof post>[0]> = {}) {
  return post({
    url: new URL(url),
    headers: { "content-type": "application/json" },
    body: '{"ключ":1}',
    timeoutMs: 10_000,
    resolve: async () => LOOPBACK,
    allowPrivate: true,
    signal: new AbortController().signal,
    ...changes,
  });
}

describe("post", () => {
  afterEach(async () => {
    await servers.disposeAsync();
    servers = new AsyncDisposableStack();
  });

  it("sends the body whole to the address that was looked up, under the URL's own host and path", async () => {
    const received = Promise.withResolvers<{ request: IncomingMessage; body: string }>();
    const port = await receiver(async (request, response) => {
      const body = Buffer.concat(await request.toArray()).toString();
      response.writeHead(204).end();
      received.resolve({ request, body });
    });
    const answer = await send(`http://hooks.example.com:${port}/a/b?c=d#e`);
    assert.deepEqual(answer, { status: 204, retryAfter: null });
    const { request, body } = await received.promise;
    assert.equal(body, '{"ключ":1}');
    assert.equal(request.method, "POST");
    assert.equal(request.url, "/a/b?c=d");
    assert.equal(request.headers.host, `hooks.example.com:${port}`);
    assert.equal(request.headers["content-length"], String(Buffer.byteLength(body)));
  });

  it("follows no redirect", async () => {
    let requests = 0;
    const port = await receiver((_, response) => {
      requests++;
      response.writeHead(307, { location: "/elsewhere" }).end();
    });
    assert.deepEqual(await send(`http://x.example:${port}/`), { status: 307, retryAfter: null });
    assert.equal(requests, 1);
  });

  it("takes the head of an answer and drops the connection, however much would follow", async () => {
    const dropped = Promise.withResolvers<void>();
    const port = await receiver((_, response) => {
      response.writeHead(503, { "retry-after": "7" });
      response.on("close", () => dropped.resolve());
      const more = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536)));
      };
      response.on("drain", more);
      more();
    });
    assert.deepEqual(await send(`http://x.example:${port}/`), { status: 503, retryAfter: "7" });
    await dropped.promise;
  });

  it("gives up on a receiver that does not answer, and on a name that nobody resolves", async () => {
    const port = await receiver(() => {});
    await assert.rejects(send(`http://x.example:${port}/`, { timeoutMs: 50 }), { name: "TimeoutError" });
    const forever: Parameters<typeof post>[0]["resolve"] = (_, signal) =>
      new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }));
    await assert.rejects(send("http://x.example/", { timeoutMs: 50, resolve: forever }), { name: "TimeoutError" });
  });

  it("gives up at once where it is told to", async () => {
    const stop = new AbortController();
    const port = await receiver(() => stop.abort());
    await assert.rejects(send(`http://x.example:${port}/`, { signal: stop.signal }), { name: "AbortError" });
  });

  it("rejects where nobody listens, and where what answers is no HTTP or too much of it", async () => {
    const answers = ["nonsense\r\n\r\n", `HTTP/1.1 200 OK\r\n${"x-filler: y\r\n".repeat(5000)}\r\n`, ""];
    const tcp = createTcpServer((socket) => {
      socket.on("error", () => {}).resume();
      socket.end(answers.shift() ?? "");
    });
    servers.defer(() => void tcp.close());
    tcp.listen(0, "127.0.0.1");
    await once(tcp, "listening");
    const { port } = tcp.address() as AddressInfo;
    await assert.rejects(send(`http://x.example:${port}/`), { code: /^HPE_/ });
    await assert.rejects(send(`http://x.example:${port}/`), { code: "HPE_HEADER_OVERFLOW" });
    await assert.rejects(send(`http://x.example:${port}/`), { code: "ECONNRESET" });
    tcp.close();
    await once(tcp, "close");
    await assert.rejects(send(`http://x.example:${port}/`), { code: "ECONNREFUSED" });
  });

  it("connects to no address that is not public", async () => {
    let requests = 0;
    const port = await receiver((_, response) => {
      requests++;
      response.end();
    });
    const refused = { allowPrivate: false };
    await assert.rejects(send(`http://127.0.0.1:${port}/`, refused), ForbiddenHostError);
    await assert.rejects(send(`http://[::ffff:127.0.0.1]:${port}/`, refused), ForbiddenHostError);
    await assert.rejects(send(`http://x.example:${port}/`, refused), ForbiddenHostError);
    assert.equal(requests, 0);
    await send(`http://127.0.0.1:${port}/`);
    assert.equal(requests, 1);
  });

  it("asks for the name once: one that leads elsewhere the next time gains nothing", async () => {
    const port = await receiver((_, response) => response.end());
    const answers: LookupAddress[][] = [LOOPBACK, [{ address: "10.0.0.1", family: 4 }]];
    const resolve = async (): Promise<LookupAddress[]> => answers.shift() ?? assert.fail("asked too often");
    assert.equal((await send(`http://x.example:${port}/`, { resolve })).status, 200);
    assert.equal(answers.length, 1);
  });

  it("speaks TLS to https, and nothing else", async () => {
    const hello = Promise.withResolvers<Buffer>();
    const tcp = createTcpServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", (bytes) => {
        hello.resolve(bytes);
        socket.end("HTTP/1.1 200 OK\r\n\r\n");
      });
    });
    servers.defer(() => void tcp.close());
    tcp.listen(0, "127.0.0.1");
    await once(tcp, "listening");
    const { port } = tcp.address() as AddressInfo;
    await assert.rejects(send(`https://x.example:${port}/`), /SSL/);
    assert.equal((await hello.promise)[0], 0x16, "a TLS handshake begins so");
  });
});
