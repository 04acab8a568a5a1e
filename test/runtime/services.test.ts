import assert from "node:assert/strict";
import { stat } from "node:fs/promises";
import { after, before, describe, it } from "node:test";
import { ReplicaHarness } from "./harness.ts";
import { RunningService } from "./service.ts";

describe("a service", { timeout: 120_000 }, () => {
  let harness: ReplicaHarness;
  before(async () => {
    harness = await ReplicaHarness.start();
  });
  after(() => harness[Symbol.asyncDispose]());

  it("of a (request, response) listener listens on a socket of its own user", async () => {
    await using service = await RunningService.start(harness, {
      code: "export const service = app.node(() => (request: any, response: any) => response.end(request.url));",
    });
    const { address } = await service.session.ready;
    assert.ok(address !== null && "path" in address);
    assert.equal((await stat(address.path)).mode & 0o777, 0o600);
    assert.equal(await service.text("/a%2Fb?c=%20"), "/a%2Fb?c=%20");
  });

  it("that binds a port is told which", async () => {
    await using service = await RunningService.start(harness, {
      code: `import { createServer } from "node:http";
        export const service = app.webServer(8765, ({ port, host }) =>
          createServer((_, response) => response.end(process.env.PORT === String(port) ? "told" : "not told")).listen(port, host));`,
    });
    const { address } = await service.session.ready;
    assert.ok(address !== null && "port" in address && address.port !== 8765);
    assert.equal(await service.text("/"), "told");
  });
});
