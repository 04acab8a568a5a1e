import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect as connectHttp2,
  constants,
  type IncomingHttpHeaders,
} from "node:http2";
import { type AddressInfo, connect, type Socket } from "node:net";
import { test } from "node:test";
import WebSocket, { WebSocketServer } from "ws";
import { startGateway, type TestGateway } from "../../../test/harness/gateway.ts";
import { serviceSpec } from "../../../test/harness/specs.ts";
import { tlsForTests } from "../../../test/harness/tls.ts";
import type { FunctionSpec, ServiceSpec } from "../../protocol/spec.ts";
import type { TlsKeyPair } from "../http/tls.ts";

interface Service extends AsyncDisposable {
  gateway: TestGateway;
  url: string;
  wss: WebSocketServer;
  sockets: Set<Socket>;
}

/** A service of `ws` behind the gateway. */
async function serve(
  options: ConstructorParameters<typeof WebSocketServer>[0] = {},
  service: Partial<ServiceSpec> = {},
  changes: Partial<FunctionSpec> = {},
  tls: TlsKeyPair | null = null,
): Promise<Service> {
  const server = createServer((_req, res) => res.writeHead(426).end("upgrade"));
  const wss = new WebSocketServer({ server, maxPayload: 0, ...options });
  const sockets = new Set<Socket>();
  server.on("connection", (socket) => sockets.add(socket.on("close", () => sockets.delete(socket))));
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  const gateway = await startGateway(
    [serviceSpec("chat", "node", service, changes)],
    () => ({ host: "127.0.0.1", port }),
    tls,
  );
  return {
    gateway,
    url: `${gateway.url.replace("http", "ws")}/chat/room?x=1`,
    wss,
    sockets,
    [Symbol.asyncDispose]: async () => {
      await gateway[Symbol.asyncDispose]();
      for (const socket of sockets) socket.destroy();
      wss.close();
      await once(server.close(), "close");
    },
  };
}

async function open(
  service: Service,
  options: WebSocket.ClientOptions & { protocols?: string[] } = {},
): Promise<[client: WebSocket, server: WebSocket, req: IncomingMessage]> {
  const { protocols = [], ...rest } = options;
  const connected = once(service.wss, "connection");
  const client = new WebSocket(service.url, protocols, { maxPayload: 0, ...rest });
  await once(client, "open");
  return [client, ...((await connected) as [WebSocket, IncomingMessage])];
}

const message = async (socket: WebSocket): Promise<[Buffer, boolean]> =>
  (await once(socket, "message")) as [Buffer, boolean];
const closed = async (socket: WebSocket): Promise<[number, string]> => {
  const [code, reason] = await once(socket, "close");
  return [code, String(reason)];
};

test("a WebSocket has its service's path, headers and protocol", async () => {
  await using service = await serve({ handleProtocols: (offered) => [...offered][1] ?? false });
  const [client, , req] = await open(service, { protocols: ["a", "b"], headers: { cookie: "c=1" } });
  assert.equal(client.protocol, "b");
  assert.deepEqual(
    [req.url, req.headers.cookie, req.headers["x-forwarded-prefix"], req.headers["sec-websocket-protocol"]],
    ["/room?x=1", "c=1", "/demo/chat", "a,b"],
  );
});

for (const deflate of [false, true]) {
  test(`messages of all sizes and kinds pass both ways, ${deflate ? "compressed with context" : "as they are"}`, async () => {
    await using service = await serve({ perMessageDeflate: deflate ? { threshold: 0 } : false });
    const [client, server] = await open(service, { perMessageDeflate: deflate ? { threshold: 0 } : false });
    assert.equal(client.extensions.includes("permessage-deflate"), deflate);
    server.on("message", (data, isBinary) => server.send(data as Buffer, { binary: isBinary }));
    for (const size of [0, 1, 125, 126, 127, 128, 65_535, 65_536, 1024 * 1024]) {
      const bytes = randomBytes(size);
      client.send(bytes);
      const [binary, isBinary] = await message(client);
      assert.ok(isBinary && bytes.equals(binary), `${size} bytes`);
      const text = "é".repeat(size / 2);
      client.send(text);
      const [echoed, textIsBinary] = await message(client);
      assert.ok(!textIsBinary && String(echoed) === text, `${size} of text`);
    }
    for (const text of ["", "\u0000", "\u{10ffff}\ufffe", "κόσμε", "🦀".repeat(1000)]) {
      client.send(text);
      assert.equal(String((await message(client))[0]), text);
    }
  });
}

test("fragments, with pings between them, stay what they are", async () => {
  await using service = await serve();
  const [client, server] = await open(service);
  const pings: string[] = [];
  server.on("ping", (data) => pings.push(String(data)));
  const pong = once(client, "pong");
  client.send("one ", { fin: false });
  client.ping("a");
  client.send("", { fin: false });
  client.send("two ", { fin: false });
  client.ping("b".repeat(125));
  client.send("three", { fin: true });
  assert.equal(String((await message(server))[0]), "one two three");
  assert.deepEqual(pings, ["a", "b".repeat(125)]);
  assert.equal(String((await pong)[0]), "a");
  const back = Promise.all([once(client, "ping"), message(client)]);
  server.send(Buffer.from("x"), { fin: false, binary: true });
  server.ping();
  server.send(Buffer.from("y"), { fin: true });
  assert.equal(String((await back)[1][0]), "xy");
});

test("closing codes and reasons pass both ways, and a cut stays a cut", async () => {
  await using service = await serve();
  for (const [code, reason] of [
    [1000, ""],
    [1000, "done"],
    [1003, "r".repeat(123)],
    [3000, "x"],
    [4999, "é"],
  ] as const) {
    const [client, server] = await open(service);
    const seen = Promise.all([closed(server), closed(client)]);
    client.close(code, reason);
    assert.deepEqual(await seen, [
      [code, reason],
      [code, reason],
    ]);
    const [other, fromServer] = await open(service);
    const back = Promise.all([closed(other), closed(fromServer)]);
    fromServer.close(code, reason);
    assert.deepEqual(await back, [
      [code, reason],
      [code, reason],
    ]);
  }
  const [client, server] = await open(service);
  const cut = closed(client);
  server.terminate();
  assert.deepEqual(await cut, [1006, ""]);
  const [left, right] = await open(service);
  const gone = closed(right);
  left.terminate();
  assert.deepEqual(await gone, [1006, ""]);
});

test("a service that declines the handshake is heard", async () => {
  await using service = await serve({ verifyClient: (_info, done) => done(false, 403, "not you", { "x-why": "1" }) });
  const client = new WebSocket(service.url);
  const [, response] = (await once(client, "unexpected-response")) as [unknown, IncomingMessage];
  assert.deepEqual([response.statusCode, response.headers["x-why"]], [403, "1"]);
  client.on("error", () => {}).terminate();
});

test("other upgrades are ordinary requests, and so is one to a path of no service", async () => {
  await using service = await serve();
  const ask = async (path: string, upgrade: string): Promise<string> => {
    const socket = connect(service.gateway.port, "127.0.0.1");
    socket.write(
      `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: ${upgrade}\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n`,
    );
    let text = "";
    for await (const bytes of socket.setEncoding("latin1")) text += bytes;
    return text;
  };
  assert.match(await ask("/demo/chat", "h2c"), /^HTTP\/1\.1 426 /);
  assert.match(await ask("/demo/none", "websocket"), /^HTTP\/1\.1 404 [\s\S]*"code":"not_found"/);
});

test("a slow reader holds the service back, and loses nothing", async () => {
  await using service = await serve({ perMessageDeflate: false });
  const [client, server] = await open(service, { perMessageDeflate: false });
  const total = 64 * 1024 * 1024;
  const piece = Buffer.alloc(1024 * 1024, "p");
  client.pause();
  for (let sent = 0; sent < total; sent += piece.length) server.send(piece);
  // Nothing moves while the client does not read, and the service has most of it still in its own hands.
  let before = -1;
  for (let same = 0; same < 20; ) {
    await new Promise(setImmediate);
    same = server.bufferedAmount === before ? same + 1 : 0;
    before = server.bufferedAmount;
  }
  assert.ok(server.bufferedAmount > total / 2, `${server.bufferedAmount} bytes wait in the service`);
  let received = 0;
  client.resume();
  while (received < total) received += (await message(client))[0].length;
  assert.equal(received, total);
});

test("when the server stops, clients are told 1001 between two frames, and the service is told by them", async () => {
  await using service = await serve({ perMessageDeflate: false });
  const [client, server] = await open(service);
  const [silent] = await open(service);
  const seen = Promise.all([closed(client), closed(server), closed(silent)]);
  service.gateway.stop.abort();
  const [atClient, atServer, atSilent] = await seen;
  assert.deepEqual(atClient, [1001, "the server stops"]);
  assert.equal(atServer[0], 1001);
  assert.equal(atSilent[0], 1001);
});

test("a message under way when it is time to leave arrives whole", async () => {
  await using service = await serve({ perMessageDeflate: false });
  const [client, server] = await open(service, { perMessageDeflate: false });
  const raw = (server as unknown as { _socket: Socket })._socket;
  const size = 100_000;
  const head = Buffer.from([0x82, 127, 0, 0, 0, 0, 0, 1, 0x86, 0xa0]);
  const got = message(client);
  const end = closed(client);
  raw.write(Buffer.concat([head, Buffer.alloc(size / 2, "a")]));
  await once((client as unknown as { _socket: Socket })._socket, "data");
  service.gateway.stop.abort();
  raw.write(Buffer.concat([Buffer.alloc(size / 2, "a"), Buffer.from([0x81, 1, 98])]));
  assert.equal((await got)[0].length, size);
  assert.equal((await end)[0], 1001);
});

test("a newer deployment ends the old one's WebSockets after its drain time", async () => {
  await using service = await serve({}, { drainTimeoutS: 0.01 });
  const [client] = await open(service);
  const end = closed(client);
  service.gateway.scheduler.retire(1);
  assert.deepEqual(await end, [1001, "a newer deployment is live"]);
});

test("where the replica dies the client is told 1012", async () => {
  await using service = await serve();
  const [client] = await open(service);
  const end = closed(client);
  void service.gateway.starter.replicas[0]?.kill();
  for (const socket of service.sockets) socket.destroy();
  assert.equal((await end)[0], 1012);
});

test("an open WebSocket takes one place, and keeps its replica", async () => {
  await using service = await serve({}, {}, { concurrency: 2, keepWarmS: 0 });
  const replica = (): number => [...service.gateway.scheduler.groups()][0]?.load ?? 0;
  const [one] = await open(service);
  const [two] = await open(service);
  assert.equal(replica(), 2);
  const ended = Promise.all([once(one, "close"), once(two, "close")]);
  one.close();
  two.close();
  await ended;
  await service.gateway.starter.until(() => service.gateway.starter.replicas[0]?.drained === true);
});

/** A WebSocket of `ws` on a stream of HTTP/2, whose client says so by an extended CONNECT. */
async function dial(
  session: ClientHttp2Session,
  path: string,
  headers: Record<string, string> = {},
): Promise<{ head: IncomingHttpHeaders; stream: ClientHttp2Stream; socket: WebSocket }> {
  const stream = session.request({
    ...{ ":method": "CONNECT", ":protocol": "websocket", ":scheme": "https", ":path": path },
    ...{ ":authority": "localhost", "sec-websocket-version": "13", ...headers },
  });
  stream.on("error", () => {});
  const [head] = (await once(stream, "response")) as [IncomingHttpHeaders];
  const socket = new WebSocket(null as never, undefined as never, {} as never);
  // Else it takes itself for a server's, and does not mask what it sends.
  Object.assign(socket, { _isServer: false });
  if (Number(head[":status"]) === 200)
    (socket as unknown as { setSocket(...args: unknown[]): void }).setSocket(stream, Buffer.alloc(0), {
      maxPayload: 0,
    });
  return { head, stream, socket };
}

test("a stream of HTTP/2 becomes a WebSocket, is told 1001, and no other answer is taken for a switch", async () => {
  await using undo = new AsyncDisposableStack();
  const { tls, ca } = await tlsForTests(undo);
  await using service = await serve({ handleProtocols: () => "b" }, { drainTimeoutS: 0 }, {}, tls);
  const { gateway, wss } = service;
  const session = connectHttp2(`https://127.0.0.1:${gateway.port}`, { ca });
  undo.defer(() => session.destroy());
  await once(session, "remoteSettings");
  assert.equal(session.remoteSettings.enableConnectProtocol, true);
  const connected = once(wss, "connection");
  const { head, socket } = await dial(session, "/demo/chat/room?x=1", { "sec-websocket-protocol": "a, b" });
  const [server, req] = (await connected) as [WebSocket, IncomingMessage];
  assert.deepEqual([req.method, req.url], ["GET", "/room?x=1"]);
  assert.deepEqual(
    [head[":status"], head["sec-websocket-protocol"], head["sec-websocket-accept"]],
    [200, "b", undefined],
  );
  assert.match(String(head["x-request-id"]), /./);
  server.on("message", (data, isBinary) => server.send(data, { binary: isBinary }));
  for (const sent of [Buffer.from("hello"), Buffer.alloc(3_000_000, 7)]) {
    const echoed = once(socket, "message");
    socket.send(sent);
    assert.ok(sent.equals((await echoed)[0] as Buffer));
  }
  // Beside it the connection answers as ever.
  const { head: none } = await dial(session, "/demo/nothing");
  assert.equal(none[":status"], 404);
  const over = once(socket, "close");
  gateway.scheduler.retire(1);
  const [code, reason] = (await over) as [number, Buffer];
  assert.deepEqual([code, String(reason)], [1001, "a newer deployment is live"]);
  // Its place was given back: of the old deployment nothing is left.
  while ([...gateway.scheduler.groups()].length > 0) await new Promise((resolve) => setImmediate(resolve));
});

test("over HTTP/2 a service hears of a client that goes, and what answers 200 has not switched", async () => {
  await using undo = new AsyncDisposableStack();
  const { tls, ca } = await tlsForTests(undo);
  const server = createServer((_req, res) => res.end("no WebSocket here"));
  const wss = new WebSocketServer({ noServer: true });
  server.on("upgrade", (req, connection, rest) => {
    if (req.url === "/room") wss.handleUpgrade(req, connection, rest, (ws) => wss.emit("connection", ws));
    else connection.end("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno");
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  undo.defer(() => void server.close());
  const { port } = server.address() as AddressInfo;
  await using gateway = await startGateway([serviceSpec("chat", "node")], () => ({ host: "127.0.0.1", port }), tls);
  const session = connectHttp2(`https://127.0.0.1:${gateway.port}`, { ca });
  undo.defer(() => session.destroy());
  await once(session, "remoteSettings");
  const refused = await dial(session, "/demo/chat/else");
  assert.equal(refused.head[":status"], 426);
  await once(refused.stream.resume(), "end");
  refused.stream.close();
  const connected = once(wss, "connection");
  const { stream } = await dial(session, "/demo/chat/room");
  const [socket] = (await connected) as [WebSocket];
  const left = once(socket, "close");
  stream.close(constants.NGHTTP2_CANCEL);
  assert.equal((await left)[0], 1006);
});
