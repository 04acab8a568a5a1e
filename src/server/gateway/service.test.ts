import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener, request, type Server } from "node:http";
import { connect as connectHttp2, type IncomingHttpHeaders } from "node:http2";
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from "node:net";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { startGateway, type TestGateway } from "../../../test/harness/gateway.ts";
import { serviceSpec } from "../../../test/harness/specs.ts";
import { tlsForTests } from "../../../test/harness/tls.ts";
import type { ServiceAddress } from "../../protocol/replica.ts";
import type { FunctionSpec, ServiceSpec } from "../../protocol/spec.ts";
import type { Problem } from "../../protocol/wire.ts";

interface Upstream extends AsyncDisposable {
  address: ServiceAddress;
  server: Server;
  sockets: Set<Socket>;
}

async function serve(listener: RequestListener): Promise<Upstream> {
  const server = createServer({ keepAliveTimeout: 60_000 }, listener);
  const sockets = new Set<Socket>();
  server.on("connection", (socket) => sockets.add(socket.on("close", () => sockets.delete(socket))));
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  return {
    address: { host: "127.0.0.1", port },
    server,
    sockets,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await once(server.close(), "close");
    },
  };
}

/** A service that speaks for itself: it is given each connection and the head of each request on it. */
async function speak(answer: (socket: Socket, head: string) => void): Promise<Upstream> {
  const sockets = new Set<Socket>();
  const server = createTcpServer((socket) => {
    sockets.add(socket.on("close", () => sockets.delete(socket)).on("error", () => {}));
    let text = "";
    socket.on("data", (piece) => {
      text += piece.toString("latin1");
      for (let end = text.indexOf("\r\n\r\n"); end >= 0; end = text.indexOf("\r\n\r\n")) {
        const head = text.slice(0, end);
        text = text.slice(end + 4);
        answer(socket, head);
      }
    });
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  return {
    address: { host: "127.0.0.1", port },
    server: server as Server,
    sockets,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await once(server.close(), "close");
    },
  };
}

const before = (upstream: Upstream, changes: Partial<FunctionSpec> = {}, service: Partial<ServiceSpec> = {}) =>
  startGateway([serviceSpec("api", "webServer", service, changes)], () => upstream.address);

/** A newer deployment has taken over, and `drainTimeoutS` is over: what is to end for that has been told to. */
async function superseded(gateway: TestGateway): Promise<void> {
  const [group] = gateway.scheduler.groups();
  assert.ok(group);
  const told = once(group.ending.signal, "abort");
  gateway.scheduler.retire(1);
  await told;
}

async function text(message: IncomingMessage): Promise<string> {
  message.setEncoding("utf8");
  let all = "";
  for await (const piece of message) all += piece;
  return all;
}

/** Sends bytes as they are, and resolves with all that comes back until the server closes. */
async function raw(port: number, bytes: string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  socket.write(bytes);
  return text(socket as unknown as IncomingMessage);
}

async function problem(response: Response, code: string, status: number): Promise<Problem> {
  const body = (await response.json()) as Problem;
  assert.deepEqual([body.code, response.status], [code, status], JSON.stringify(body));
  assert.ok(body.detail && body.hint);
  return body;
}

test("a service sees its own path as the client wrote it, and where the request came from", async () => {
  await using upstream = await serve((req, res) => res.end(JSON.stringify({ url: req.url, headers: req.headers })));
  await using gateway = await before(upstream);
  const seen = async (path: string, headers: Record<string, string> = {}) =>
    (await (await fetch(`${gateway.url}${path}`, { headers })).json()) as {
      url: string;
      headers: Record<string, string>;
    };
  for (const [path, url] of [
    ["/api", "/"],
    ["/api/", "/"],
    ["/api?a=%20b", "/?a=%20b"],
    ["/api/x%2Fy/%C3%A9?q=1&q=2", "/x%2Fy/%C3%A9?q=1&q=2"],
    ["/ap%69/x", "/x"],
    ["/api/x//y/", "/x//y/"],
  ] as const)
    assert.equal((await seen(path)).url, url, path);
  const { headers } = await seen("/api/x", {
    "x-forwarded-for": "6.6.6.6",
    "x-forwarded-host": "evil",
    "x-request-id": "r-1",
    te: "gzip",
    "x-own": "1",
  });
  assert.deepEqual(
    [
      "host",
      "x-forwarded-prefix",
      "x-forwarded-host",
      "x-forwarded-proto",
      "x-forwarded-for",
      "x-request-id",
      "x-own",
      "te",
    ].map((name) => headers[name]),
    [`127.0.0.1:${gateway.port}`, "/demo/api", `127.0.0.1:${gateway.port}`, "http", "127.0.0.1", "r-1", "1", undefined],
  );
  for (const path of ["/apix", "/api%2Fx", "/other"])
    assert.equal((await fetch(`${gateway.url}${path}`)).status, 404, path);
  await problem(await fetch(`${gateway.url}/api//evil.example/x`), "bad_request", 400);
});

test("the endpoint's exact path comes first, then the service with the longest path", async () => {
  await using upstream = await serve((req, res) => res.end(`${req.headers["x-forwarded-prefix"]} ${req.url}`));
  await using gateway = await startGateway(
    ["/", "/a", "/a/b"].map((path, i) => serviceSpec(`s${i}`, "webServer", { path })),
    () => upstream.address,
  );
  const at = async (path: string): Promise<string> => (await fetch(`${gateway.url}${path}`)).text();
  assert.equal(await at("/a/b/c"), "/demo/a/b /c");
  assert.equal(await at("/a/bc"), "/demo/a /bc");
  assert.equal(await at("/a/b"), "/demo/a/b /");
  assert.equal(await at("/ab"), "/demo /ab");
  assert.equal(await at(""), "/demo /");
});

test("bodies, statuses and headers pass both ways, hop-by-hop headers aside", async () => {
  await using upstream = await serve((req, res) => {
    res.writeHead(418, [
      ["Set-Cookie", "a=1"],
      ["Set-Cookie", "b=2"],
      ["Link", "</x>"],
      ["Link", "</y>"],
      ["Connection", "x-secret"],
      ["X-Secret", "1"],
      ["X-Request-Id", "own"],
      ["Keep-Alive", "timeout=60"],
    ] as unknown as string[]);
    res.write(`${req.method} ${req.headers["x-drop"]} `);
    req.pipe(res);
  });
  await using gateway = await before(upstream);
  const sent = request(`${gateway.url}/api/x`, {
    method: "PATCH",
    headers: { connection: "x-drop", "x-drop": "1", "x-request-id": "mine" },
  });
  sent.write("one ");
  sent.end("two");
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  assert.equal(await text(response), "PATCH undefined one two");
  const { headers, statusCode, rawHeaders } = response;
  assert.equal(statusCode, 418);
  assert.deepEqual(headers["set-cookie"], ["a=1", "b=2"]);
  assert.equal(headers.link, "</x>, </y>");
  assert.deepEqual([headers["x-secret"], headers["x-request-id"]], [undefined, "mine"]);
  assert.equal(rawHeaders.filter((name) => name.toLowerCase() === "transfer-encoding").length, 1);
});

test("trailers pass both ways", async () => {
  await using upstream = await serve((req, res) => {
    req.resume().on("end", () => {
      res.writeHead(200, { trailer: "x-sum" });
      res.write("body");
      res.addTrailers({ "x-sum": String(req.trailers["x-md5"]), "content-length": "9" });
      res.end();
    });
  });
  await using gateway = await before(upstream);
  const sent = request(`${gateway.url}/api`, { method: "POST", headers: { trailer: "x-md5", te: "trailers" } });
  sent.write("a");
  sent.addTrailers({ "x-md5": "abc", host: "evil" });
  sent.end();
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  assert.equal(await text(response), "body");
  assert.deepEqual({ ...response.trailers }, { "x-sum": "abc" });
  assert.equal(response.headers.trailer, "x-sum");
});

test("a client that waits for 100 gets one, early hints pass, and HEAD, 204, 304 and ranges have their lengths", async () => {
  await using upstream = await serve((req, res) => {
    if (req.method === "POST") {
      assert.equal(req.headers.expect, undefined);
      req.pipe(res);
      return;
    }
    res.writeEarlyHints({ link: "</style.css>; rel=preload" });
    const status = Number(req.url?.slice(1));
    res.writeHead(status, {
      ...(status === 206 ? { "content-range": "bytes 0-1/9", "content-length": 2 } : {}),
      ...(status === 200 ? { "content-length": 9 } : {}),
      "x-range": String(req.headers.range),
    });
    res.end(status === 206 ? "ab" : undefined);
  });
  await using gateway = await before(upstream);
  const post = request(`${gateway.url}/api`, { method: "POST", headers: { expect: "100-continue" } });
  post.flushHeaders();
  await once(post, "continue");
  post.end("body");
  assert.equal(await text((await once(post, "response"))[0]), "body");
  for (const [method, status, length] of [
    ["HEAD", 200, "9"],
    ["GET", 204, undefined],
    ["GET", 304, undefined],
    ["GET", 206, "2"],
  ] as const) {
    const sent = request(`${gateway.url}/api/${status}`, { method, headers: { range: "bytes=0-1" } }).end();
    const hints = once(sent, "information");
    const [response] = (await once(sent, "response")) as [IncomingMessage];
    const [hint] = (await hints) as [IncomingMessage];
    assert.deepEqual([hint.statusCode, hint.headers.link], [103, "</style.css>; rel=preload"]);
    assert.deepEqual(
      [
        response.statusCode,
        response.headers["content-length"],
        response.headers["x-range"],
        (await text(response)).length,
      ],
      [status, length, "bytes=0-1", status === 206 ? 2 : 0],
    );
  }
});

test("over HTTP/2 early hints pass with any number of links, or none", async () => {
  await using undo = new AsyncDisposableStack();
  const { tls, ca } = await tlsForTests(undo);
  const hints: Record<string, string> = {
    "/links": "Link: </a>; rel=preload, </b>; rel=preload\r\nLink: </c>; rel=preload\r\n",
    "/none": "X-Own: 1\r\n",
  };
  await using upstream = await speak((socket, head) =>
    socket.write(
      `HTTP/1.1 103 Early Hints\r\n${hints[head.split(" ")[1] ?? ""]}\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok`,
    ),
  );
  await using gateway = await startGateway([serviceSpec("api", "webServer")], () => upstream.address, tls);
  const session = connectHttp2(`https://127.0.0.1:${gateway.port}`, { ca });
  undo.defer(() => session.destroy());
  for (const [path, name, value] of [
    ["/links", "link", "</a>; rel=preload, </b>; rel=preload, </c>; rel=preload"],
    ["/none", "x-own", "1"],
  ] as const) {
    const stream = session.request({ ":path": `/demo/api${path}` });
    const heads: IncomingHttpHeaders[] = [];
    stream.on("headers", (head) => heads.push(head)).on("response", (head) => heads.push(head));
    await once(stream.resume(), "close");
    assert.deepEqual(
      heads.map((head) => head[":status"]),
      [103, 200],
    );
    assert.equal(heads[0]?.[name], value);
  }
});

test("each event of a stream is passed on as it comes", async () => {
  const { promise: opened, resolve } = Promise.withResolvers<{ write(text: string): void; end(): void }>();
  await using upstream = await serve((_req, res) => {
    res.writeHead(200, { "content-type": "text/event-stream" });
    res.flushHeaders();
    resolve(res);
  });
  await using gateway = await before(upstream);
  const sent = request(`${gateway.url}/api`).end();
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  const service = await opened;
  for (const event of ["data: 1\n\n", "data: 2\n\n"]) {
    service.write(event);
    assert.equal(String((await once(response, "data"))[0]), event);
  }
  service.end();
  await once(response.resume(), "end");
});

test("a stream of events, which never ends by itself, ends when a newer deployment has taken over", async () => {
  await using upstream = await serve((_req, res) => {
    res.writeHead(200, { "content-type": "text/event-stream" });
    res.write("data: 1\n\n");
  });
  await using gateway = await before(upstream, {}, { drainTimeoutS: 0.01 });
  const sent = request(`${gateway.url}/api`).end();
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  await once(response, "data");
  gateway.scheduler.retire(1);
  await once(response.resume(), "end");
  assert.ok(response.complete);
  await gateway.starter.until(() => gateway.starter.replicas[0]?.drained === true);
});

test("any other answer is waited for, however long after the switch: a download, the events that answer a POST", async () => {
  for (const [method, type] of [
    ["GET", "application/octet-stream"],
    ["POST", "text/event-stream"],
  ]) {
    const answering = Promise.withResolvers<{ end(text: string): void }>();
    await using upstream = await serve((_req, res) => {
      res.writeHead(200, { "content-type": type });
      res.write("1");
      answering.resolve(res);
    });
    await using gateway = await before(upstream, {}, { drainTimeoutS: 0 });
    const [response] = (await once(request(`${gateway.url}/api`, { method }).end(), "response")) as [IncomingMessage];
    await once(response, "data");
    await superseded(gateway);
    const [replica] = gateway.starter.replicas;
    assert.equal(replica?.state, "ready");
    const rest = text(response);
    (await answering.promise).end("2");
    assert.equal(await rest, "2");
    assert.ok(response.complete);
    await gateway.starter.until(() => replica?.drained === true);
    assert.equal(replica?.killed, false);
  }
});

test("the events that answer a POST end with the server too", async () => {
  await using upstream = await serve((_req, res) => {
    res.writeHead(200, { "content-type": "text/event-stream" });
    res.write("data: 1\n\n");
  });
  await using gateway = await before(upstream);
  const sent = request(`${gateway.url}/api`, { method: "POST" }).end();
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  await once(response, "data");
  gateway.stop.abort();
  await once(response.resume(), "end");
  assert.ok(response.complete);
});

test("a stream of events of a declared length has an end of its own, and is waited for", async () => {
  const begun = Promise.withResolvers<Socket>();
  await using upstream = await speak((socket) => {
    socket.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 18\r\n\r\ndata: 1\n\n");
    begun.resolve(socket);
  });
  await using gateway = await before(upstream);
  const sent = request(`${gateway.url}/api`).end();
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  await once(response, "data");
  gateway.stop.abort();
  const rest = text(response);
  (await begun.promise).write("data: 2\n\n");
  assert.equal(await rest, "data: 2\n\n");
  assert.ok(response.complete);
});

test("over HTTP/2 too: what a service declares and has not sent is waited for when the server stops", async () => {
  await using undo = new AsyncDisposableStack();
  const { tls, ca } = await tlsForTests(undo);
  const begun = Promise.withResolvers<Socket>();
  await using upstream = await speak((socket) => {
    socket.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 18\r\n\r\ndata: 1\n\n");
    begun.resolve(socket);
  });
  await using gateway = await startGateway([serviceSpec("api", "webServer")], () => upstream.address, tls);
  const session = connectHttp2(`https://127.0.0.1:${gateway.port}`, { ca });
  undo.defer(() => session.destroy());
  const stream = session.request({ ":path": "/demo/api" }).setEncoding("utf8");
  await once(stream, "data");
  gateway.stop.abort();
  const next = once(stream, "data");
  (await begun.promise).write("data: 2\n\n");
  assert.equal((await next)[0], "data: 2\n\n");
  await once(stream, "close");
  assert.equal(stream.rstCode, 0);
});

test("connections are used again, and the client's leaving cuts the service's", async () => {
  const gone = Promise.withResolvers<void>();
  await using upstream = await serve((req, res) => {
    if (req.url === "/hang") res.on("close", () => gone.resolve());
    else res.end("ok");
  });
  await using gateway = await before(upstream);
  for (let i = 0; i < 5; i++) assert.equal(await (await fetch(`${gateway.url}/api`)).text(), "ok");
  assert.equal(upstream.sockets.size, 1);
  const left = new AbortController();
  const hanging = fetch(`${gateway.url}/api/hang`, { signal: left.signal });
  await once(upstream.server, "request");
  left.abort();
  await assert.rejects(hanging);
  await gone.promise;
});

test("an idle connection that the service closed is replaced, once and only where that does no harm", async () => {
  let answered = 0;
  // Every connection bears one answer, and is cut at the next request.
  const seen = new WeakSet<Socket>();
  await using upstream = await speak((socket) => {
    if (seen.has(socket)) {
      socket.destroy();
      return;
    }
    seen.add(socket);
    answered++;
    socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  });
  await using gateway = await before(upstream);
  for (let i = 0; i < 3; i++) assert.equal(await (await fetch(`${gateway.url}/api`)).text(), "ok");
  assert.equal(answered, 3);
  await problem(await fetch(`${gateway.url}/api`, { method: "POST" }), "answer_incomplete", 502);
  assert.equal(answered, 3);
});

test("a request of which something was heard is not sent again", async () => {
  const requests: string[] = [];
  await using upstream = await speak((socket, head) => {
    requests.push(head.split(" ")[1] ?? "");
    if (head.startsWith("GET /dies")) socket.end("HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n");
    else socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  });
  await using gateway = await before(upstream);
  assert.equal(await (await fetch(`${gateway.url}/api/first`)).text(), "ok");
  await problem(await fetch(`${gateway.url}/api/dies`), "answer_incomplete", 502);
  assert.deepEqual(requests, ["/first", "/dies"]);
});

test("an answer that is no HTTP is a 502 that says what is wrong, and others go on", async () => {
  const answers: Record<string, string> = {
    "/status": "HTTP/1.1 abc\r\n\r\n",
    "/ssh": "SSH-2.0-OpenSSH\r\n",
    "/fold": "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
    "/both": "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    "/switch": "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    "/huge": `HTTP/1.1 200 OK\r\nA: ${"a".repeat(100_000)}\r\n\r\n`,
    "/endless": `HTTP/1.1 200 OK\r\nA: ${"a".repeat(200_000)}`,
    "/ok": "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
  };
  await using upstream = await speak((socket, head) => socket.write(answers[head.split(" ")[1] ?? ""] ?? ""));
  await using gateway = await before(upstream);
  for (const path of Object.keys(answers)) {
    const response = await fetch(`${gateway.url}/api${path}`);
    if (path === "/ok") assert.equal(await response.text(), "ok");
    else
      assert.match(
        (await problem(response, "answer_invalid", 502)).detail,
        /^api of demo on replicas:1 answered, and /,
      );
  }
  assert.equal(gateway.logged.length, Object.keys(answers).length - 1);
});

test("an answer that breaks off is cut off for the client too, and logged", async () => {
  const answers: Record<string, string> = {
    "/length": "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhell",
    "/chunk": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    "/bad": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nxyz\r\n",
  };
  await using upstream = await speak((socket, head) => socket.end(answers[head.split(" ")[1] ?? ""] ?? ""));
  await using gateway = await before(upstream);
  for (const path of Object.keys(answers)) {
    const got = await raw(gateway.port, `GET /demo/api${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
    assert.match(got, /^(?:HTTP\/1\.1 200 OK\r\n|$)/);
    assert.doesNotMatch(got, /\r\n0\r\n\r\n$/);
  }
  assert.equal(gateway.logged.length, 3);
  await problem(await fetch(`${gateway.url}/api/none`), "answer_incomplete", 502);
});

test("a service that takes no connections, or never answers", async () => {
  await using closed = await serve(() => {});
  const { address } = closed;
  await closed[Symbol.asyncDispose]();
  await using refused = await startGateway([serviceSpec("api", "webServer")], () => address);
  assert.match((await problem(await fetch(`${refused.url}/api`), "service_unreachable", 502)).detail, /ECONNREFUSED/);

  await using silent = await serve(() => {});
  await using gateway = await before(silent, { timeoutS: 0.05 });
  assert.match((await problem(await fetch(`${gateway.url}/api`), "timeout", 504)).detail, /within 0.05 s/);
  await turn();
});

test("a request goes to another replica where the first is gone and that does no harm", async () => {
  let deaths = 0;
  await using upstream = await serve((_req, res) => res.end("ok"));
  await using dying = await speak((socket) => {
    deaths++;
    gateway.starter.replicas.find((replica) => replica.state === "ready")?.kill();
    socket.destroy();
  });
  await using gateway = await startGateway([serviceSpec("api", "webServer")], ({ id }) =>
    id === "replicas:1" || id === "replicas:3" ? dying.address : upstream.address,
  );
  assert.equal(await (await fetch(`${gateway.url}/api`)).text(), "ok");
  assert.equal(deaths, 1);
  await gateway.starter.replicas[1]?.kill();
  await problem(await fetch(`${gateway.url}/api`, { method: "POST" }), "replica_crashed", 502);
  assert.equal(deaths, 2);
});

test("a request that kills whoever gets it kills two replicas at most", async () => {
  let deaths = 0;
  const starting: Promise<Upstream>[] = [];
  await using undo = new AsyncDisposableStack();
  const replicaOf = async (n: number): Promise<Upstream> => {
    const upstream = await speak((socket, head) => {
      if (!head.startsWith("GET /fatal")) {
        socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        return;
      }
      deaths++;
      upstream.server.close();
      for (const each of upstream.sockets) each.destroy();
      void gateway.starter.replicas[n]?.kill();
    });
    undo.defer(() => {
      for (const each of upstream.sockets) each.destroy();
      upstream.server.close();
    });
    return upstream;
  };
  for (let n = 0; n < 4; n++) starting.push(replicaOf(n));
  const upstreams = await Promise.all(starting);
  let number = 0;
  await using gateway = await startGateway(
    [serviceSpec("api", "webServer", {}, { minReplicas: 4, maxReplicas: 4, concurrency: 1 })],
    () => (upstreams[number++] as Upstream).address,
  );
  await gateway.starter.until(() => gateway.starter.replicas.filter(({ state }) => state === "ready").length === 4);
  await Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map(async () => (await fetch(`${gateway.url}/api/warm`)).text()));
  await problem(await fetch(`${gateway.url}/api/fatal`), "replica_crashed", 502);
  assert.equal(deaths, 2);
});

test("only holders of the token reach a service that asks for it, and the service does not see it", async () => {
  await using upstream = await serve((req, res) => res.end(String(req.headers.authorization)));
  await using gateway = await before(upstream, {}, { access: "token" });
  await problem(await fetch(`${gateway.url}/api`), "unauthorized", 401);
  const authorization = `Bearer ${gateway.token}`;
  assert.equal(await (await fetch(`${gateway.url}/api`, { headers: { authorization } })).text(), "undefined");
});

test("the gateway speaks for cross-origin reads where the service says so, and only there", async () => {
  await using upstream = await serve((req, res) =>
    res.writeHead(200, { "access-control-allow-origin": "https://service", vary: "Accept" }).end(req.method),
  );
  const cors = { origins: ["https://a.example"], headers: ["x-own"], credentials: false };
  await using gateway = await before(upstream, {}, { cors });
  const preflight = { origin: "https://a.example", "access-control-request-method": "PUT" };
  const asked = await fetch(`${gateway.url}/api/x`, { method: "OPTIONS", headers: preflight });
  assert.equal(asked.status, 204);
  assert.match(asked.headers.get("access-control-allow-methods") ?? "", /PUT/);
  assert.match(asked.headers.get("access-control-allow-headers") ?? "", /x-own/);
  const read = await fetch(`${gateway.url}/api/x`, { headers: { origin: "https://a.example" } });
  assert.equal(read.headers.get("access-control-allow-origin"), "https://a.example");
  assert.equal(read.headers.get("vary"), "Origin, Accept");
  const other = await fetch(`${gateway.url}/api/x`, { headers: { origin: "https://b.example" } });
  assert.equal(other.headers.get("access-control-allow-origin"), null);
  await using plain = await before(upstream);
  const own = await fetch(`${plain.url}/api/x`, { method: "OPTIONS", headers: preflight });
  assert.deepEqual([await own.text(), own.headers.get("access-control-allow-origin")], ["OPTIONS", "https://service"]);
});

test("a function has a host of its own: a service all of it, an endpoint its root", async () => {
  await using upstream = await serve((req, res) =>
    res.end(`${req.url} ${JSON.stringify(req.headers["x-forwarded-prefix"])} ${req.headers["x-forwarded-host"]}`),
  );
  await using gateway = await before(upstream);
  const at = async (host: string, path: string): Promise<{ status: number; body: string }> => {
    const sent = request({ port: gateway.port, path, headers: { host } }).end();
    const [response] = (await once(sent, "response")) as [IncomingMessage];
    return { status: response.statusCode ?? 0, body: await text(response) };
  };
  assert.deepEqual(await at("api--demo.localhost", "/x%2Fy?a=1"), {
    status: 200,
    body: '/x%2Fy?a=1 "" api--demo.localhost',
  });
  assert.equal((await at("none--demo.localhost", "/")).status, 404);
});
