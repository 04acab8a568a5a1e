import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
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
