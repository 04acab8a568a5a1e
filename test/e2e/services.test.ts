import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { WebSocket } from "ws";
import { build } from "../../src/build/index.ts";
import { startTestServer, type TestServer } from "../harness/server.ts";

let server: TestServer;

before(async () => {
  server = await startTestServer();
  await server.api.deploy(await build({ entry: join(import.meta.dirname, "apps/services.ts") }));
});
after(() => server?.[Symbol.asyncDispose]());

const at = (path: string): string => `${server.url}/shop${path}`;

test("every shape of service is served, below its path", async () => {
  assert.deepEqual(await (await fetch(at("/api/x%2Fy/z?q=%20"))).json(), {
    pathname: "/x%2Fy/z",
    search: "?q=%20",
    prefix: "/shop/api",
  });
  assert.deepEqual(await (await fetch(at("/legacy/a?b"))).json(), { url: "/a?b", method: "GET" });
  for (const path of ["/api/echo", "/server"]) {
    const body = Buffer.alloc(300_000, "x");
    const echoed = await fetch(at(path), { method: "POST", body });
    assert.ok(body.equals(Buffer.from(await echoed.arrayBuffer())), path);
  }
});

test("an endpoint's own path goes before a service's", async () => {
  assert.deepEqual(await (await fetch(at("/api/exact"))).json(), { endpoint: true });
  assert.equal(((await (await fetch(at("/api/exact/no"))).json()) as { pathname: string }).pathname, "/exact/no");
});

for (const path of ["/api/socket", "/chat"]) {
  test(`a WebSocket of ${path} carries all sizes both ways, and closes in order`, async () => {
    const socket = new WebSocket(at(path).replace("http", "ws"), ["a", "b"], { perMessageDeflate: { threshold: 0 } });
    await once(socket, "open");
    for (const size of [0, 125, 126, 65_535, 65_536, 1024 * 1024]) {
      const bytes = randomBytes(size);
      const echoed = once(socket, "message");
      socket.send(bytes);
      assert.ok(bytes.equals((await echoed)[0] as Buffer), `${size} bytes`);
    }
    const text = once(socket, "message");
    socket.send("κόσμε", { fin: false });
    socket.ping();
    socket.send("!", { fin: true });
    assert.deepEqual([String((await text)[0])], ["κόσμε!"]);
    const closed = once(socket, "close");
    socket.close(4000, "done");
    assert.equal((await closed)[0], 4000);
  });
}

test("WebSockets hear that the server stops, and what they were told", async () => {
  await using other = await startTestServer();
  await other.api.deploy(await build({ entry: join(import.meta.dirname, "apps/services.ts") }));
  const sockets = ["/api/socket", "/chat"].map(
    (path) => new WebSocket(`${other.url}/shop${path}`.replace("http", "ws"), ["b"]),
  );
  await Promise.all(sockets.map((socket) => once(socket, "open")));
  const closed = Promise.all(sockets.map((socket) => once(socket, "close")));
  await other[Symbol.asyncDispose]();
  assert.deepEqual(
    (await closed).map(([code, reason]) => `${code} ${reason}`),
    ["1001 the server stops", "1001 the server stops"],
  );
});
