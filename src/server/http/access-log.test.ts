import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { test } from "node:test";
import { AthanorError } from "../../protocol/errors.ts";
import { AccessLog } from "./access-log.ts";
import { sendJson } from "./answer.ts";
import { readBytes } from "./body.ts";
import { type Handler, Listener } from "./listener.ts";
import { TrustedProxies } from "./proxies.ts";
import type { Upgrade } from "./upgrade.ts";

type Line = Record<string, unknown> & { message: string };

interface Logged extends AsyncDisposable {
  url: string;
  port: number;
  lines: Line[];
  /** The next line. */
  line(): Promise<Line>;
}

async function listen(p: { share: number; trusted?: string; handle: Handler }): Promise<Logged> {
  const lines: Line[] = [];
  let told = Promise.withResolvers<void>();
  const keep = (fields: object, message: string): void => {
    lines.push({ ...(JSON.parse(JSON.stringify(fields)) as object), message });
    told.resolve();
  };
  const log = { debug: () => {}, info: keep, warn: () => {}, error: () => {} };
  const accessLog = new AccessLog({ log, share: p.share, proxies: new TrustedProxies(p.trusted ?? "none") });
  const listener = new Listener({ log, accessLog, handle: p.handle });
  const port = await listener.listen({ host: "127.0.0.1", port: 0 });
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    lines,
    line: async () => {
      while (lines.length === 0) {
        await told.promise;
        told = Promise.withResolvers();
      }
      return lines.shift() as Line;
    },
    [Symbol.asyncDispose]: () => listener.close({ graceMs: 0 }),
  };
}

const answer: Handler = async (x) => {
  x.served = { app: "demo", function: "hello", deployment: "deployments:1" };
  x.replica = "replicas:2";
  await readBytes(x, 1000);
  sendJson(x, 200, { a: 1 });
};

test("a line says who asked for what, who answered, and how it went; no query, no secret", async () => {
  await using server = await listen({ share: 1, trusted: "loopback", handle: answer });
  const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  await fetch(`${server.url}/demo/h%20i?key=secret`, {
    method: "POST",
    body: "12345",
    headers: {
      authorization: "Bearer secret",
      cookie: "secret",
      "user-agent": `agent ${"x".repeat(300)}`,
      "x-request-id": "r-1",
      "x-forwarded-for": "6.6.6.6, 203.0.113.7",
      traceparent,
    },
  });
  const line = await server.line();
  const { duration_ms, ttfb_ms, bytes_out, user_agent, ...rest } = line;
  assert.deepEqual(rest, {
    request_id: "r-1",
    trace_id: "4bf92f3577b34da6a3ce929d0e0e4736",
    method: "POST",
    host: `127.0.0.1:${server.port}`,
    path: "/demo/h%20i",
    app: "demo",
    function: "hello",
    deployment: "deployments:1",
    replica: "replicas:2",
    status: 200,
    outcome: "ok",
    bytes_in: 5,
    client: "203.0.113.7",
    http: "1.1",
    message: "POST /demo/h%20i 200",
  });
  assert.ok(typeof duration_ms === "number" && typeof ttfb_ms === "number" && ttfb_ms <= duration_ms);
  assert.ok(Number(bytes_out) > 100 && Number(bytes_out) < 1000);
  assert.equal(String(user_agent).length, 200);
  assert.ok(!JSON.stringify(line).includes("secret"));
});

test("a client that leaves, a fault and a refusal are told by their outcome", async () => {
  const taken = Promise.withResolvers<void>();
  await using server = await listen({
    share: 1,
    handle: (x) => {
      if (x.path === "/fault") throw new AthanorError("replica_crashed", "it died");
      taken.resolve();
    },
  });
  const client = connect(server.port, "127.0.0.1");
  client.write("GET /waits HTTP/1.1\r\nHost: x\r\n\r\n");
  await taken.promise;
  client.destroy();
  const gone = await server.line();
  assert.deepEqual([gone.status, gone.outcome, gone.client], [null, "client_gone", "127.0.0.1"]);
  await fetch(`${server.url}/fault`);
  const fault = await server.line();
  assert.deepEqual([fault.status, fault.outcome], [502, "replica_crashed"]);
  for (const bytes of ["BLAH\r\n\r\n", "GET //a HTTP/1.1\r\nHost: x\r\n\r\n"]) {
    const socket = connect(server.port, "127.0.0.1").resume();
    socket.write(bytes);
    await once(socket, "close");
    const refused = await server.line();
    assert.deepEqual([refused.status, refused.outcome], [400, "bad_request"]);
  }
});

test("where a share is logged, faults are all the same, and nothing else with a share of none", async () => {
  await using server = await listen({
    share: 0,
    handle: (x) => {
      if (x.path === "/fault") throw new AthanorError("timeout", "too slow");
      sendJson(x, x.path === "/missing" ? 404 : 200, {});
    },
  });
  for (const path of ["/ok", "/missing", "/fault"]) await (await fetch(server.url + path)).text();
  const line = await server.line();
  assert.deepEqual([line.path, line.status, line.outcome, server.lines.length], ["/fault", 504, "timeout", 0]);
});

test("a WebSocket has its line when it is closed", async () => {
  await using server = await listen({
    share: 1,
    handle: (x) => {
      const { socket } = (x.upgrade as Upgrade).take() ?? assert.fail("no upgrade");
      socket.end("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
    },
  });
  const client = connect(server.port, "127.0.0.1").resume();
  client.write("GET /socket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  const line = await server.line();
  assert.deepEqual([line.path, line.status, line.outcome, server.lines.length], ["/socket", 101, "ok", 0]);
});
