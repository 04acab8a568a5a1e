import assert from "node:assert/strict";
import { stat } from "node:fs/promises";
import { after, before, describe, it } from "node:test";
import { bodyOf, ReplicaHarness } from "./harness.ts";
import { ask, startService } from "./service.ts";

describe("a service", { timeout: 120_000 }, () => {
  let harness: ReplicaHarness;
  before(async () => {
    harness = await ReplicaHarness.start();
  });
  after(() => harness[Symbol.asyncDispose]());

  it("of a Web-standard handler is called in frames", async () => {
    const session = await startService(harness, {
      code: `export const service = app.fetch(async () => async (request: Request) =>
        new Response(request.method + " " + new URL(request.url).pathname + " " + (await request.text()), { status: 201, headers: { "x-a": "b" } }));`,
    });
    assert.equal((await session.ready).address, null);
    const call = session.openHttp(
      harness.openHttp("service", { method: "POST", url: "http://127.0.0.1/x/y", hasBody: true }),
      (async function* () {
        yield Buffer.from("body");
      })(),
    );
    const head = await call.head;
    assert.deepEqual([head.status, head.headers.find(([name]) => name === "x-a")], [201, ["x-a", "b"]]);
    assert.equal((await bodyOf(call.body)).toString(), "POST /x/y body");
    await session.drain();
  });

  it("of a (request, response) listener listens on a socket of its own user", async () => {
    const session = await startService(harness, {
      code: "export const service = app.node(() => (request: any, response: any) => response.end(request.url));",
    });
    const { address } = await session.ready;
    assert.ok(address !== null && "path" in address);
    assert.equal((await stat(address.path)).mode & 0o777, 0o600);
    assert.equal((await ask(address, "/a%2Fb?c=%20")).text, "/a%2Fb?c=%20");
    await session.drain();
  });

  it("that binds a port is told which", async () => {
    const session = await startService(harness, {
      code: `import { createServer } from "node:http";
        export const service = app.webServer(8765, ({ port, host }) =>
          createServer((_, response) => response.end(process.env.PORT === String(port) ? "told" : "not told")).listen(port, host));`,
    });
    const { address } = await session.ready;
    assert.ok(address !== null && "port" in address && address.port !== 8765);
    assert.equal((await ask(address, "/")).text, "told");
    await session.drain();
  });
});
