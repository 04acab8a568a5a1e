import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { after, before, describe, it } from "node:test";
import { WebSocket } from "ws";
import { ReplicaHarness } from "./harness.ts";
import { RunningService, type ServiceSource, startService } from "./service.ts";

/** Of a program that does as its first argument says. */
const PROGRAM = `
import { createServer } from "node:http";
const [, , how, port] = process.argv;
if (how === "exit") { console.error("no such table"); process.exit(4); }
const server = createServer((request, response) => {
  if (request.url === "/die") { console.error("last words"); process.exit(5); }
  if (request.url === "/health" && how === "deaf" && ++asked === 1) return;
  if (request.url === "/health") { response.statusCode = healthy() ? 204 : 503; return response.end(); }
  response.end(JSON.stringify({ cwd: process.cwd(), file: import.meta.url, port: process.env.PORT, host: process.env.HOST, node: process.version }));
});
let asked = 0;
const healthy = () => how === "deaf" || (how === "healthy" && ++asked > 2);
process.on("SIGTERM", () => { if (how === "stubborn") return; console.log("told to end"); process.exit(0); });
server.listen(how === "insists" ? Number(port) : Number(process.env.PORT), process.env.HOST);
`;

describe("a web server", { timeout: 240_000 }, () => {
  let harness: ReplicaHarness;
  before(async () => {
    harness = await ReplicaHarness.start();
  });
  after(() => harness[Symbol.asyncDispose]());

  const start = (p: ServiceSource) => RunningService.start(harness, p);
  const program = (command: string[], options = "", port = 8765): ServiceSource => ({
    code: `export const service = app.webServer(${port}, { command: ${JSON.stringify(command)}, ${options} });`,
    files: { "bin/server.mjs": PROGRAM },
  });

  async function freePort(): Promise<{ port: number; taken: Disposable }> {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    return { port: (server.address() as AddressInfo).port, taken: { [Symbol.dispose]: () => server.close() } };
  }

  describe("of a start function", () => {
    const SERVER =
      'import { createServer } from "node:http"; const answer = createServer((_, response) => response.end("served"));';

    it("is told its port, and closed at the end", async () => {
      const service = await start({
        code: `${SERVER}
          const port = Number(process.env.PORT);
          export const service = app.webServer(8765, async (at) => {
            await new Promise<void>((resolve) => answer.listen(port, resolve));
            const { address } = answer.address() as { address: string };
            if (at.port !== port || address !== at.host) throw new Error("It listens on " + address);
            return { async [Symbol.asyncDispose]() { answer.close(); console.log("closed"); }, close() { console.log("not this"); } };
          });`,
      });
      const { address } = await service.session.ready;
      assert.ok(address !== null && "port" in address && address.port !== 8765);
      assert.equal(await service.text("/"), "served");
      const lines: string[] = [];
      service.session.onLog(({ line }) => lines.push(line));
      await service[Symbol.asyncDispose]();
      assert.deepEqual([(await service.session.ended).reason, lines], ["stopped", ["closed"]]);
    });

    it("that always listens on one port runs in several replicas, each for this machine alone", async () => {
      const source = { code: `${SERVER} export const service = app.webServer(8765, () => answer.listen(8765));` };
      await using first = await start(source);
      await using second = await start(source);
      assert.deepEqual(await Promise.all([first.text("/"), second.text("/")]), ["served", "served"]);
      const { address } = await first.session.ready;
      assert.ok(address !== null && "host" in address && address.host === "127.0.0.1");
    });

    it("may be a server of WebSockets alone", async () => {
      await using service = await start({
        packages: ["ws"],
        code: `import { WebSocketServer } from "ws";
          export const service = app.webServer(8765, () => new WebSocketServer({ port: 8765 }).on("connection", (socket: any) => socket.on("message", (data: any) => socket.send("got " + data))));`,
      });
      const socket = new WebSocket(`ws://127.0.0.1:${service.port}/`);
      await once(socket, "open");
      socket.send("this");
      assert.equal(String((await once(socket, "message"))[0]), "got this");
      socket.terminate();
    });

    it("that listens elsewhere is told so", async () => {
      const session = await startService(harness, {
        code: `${SERVER} export const service = app.webServer(8765, { startupTimeoutS: 0.3 }, () => new Promise((resolve) => answer.listen(0, "127.0.0.1", () => { console.log(answer.address().port); resolve(answer); })));`,
      });
      const logged = new Promise<string>((resolve) =>
        session.onLog(({ line, fd }) => fd === "stdout" && resolve(line)),
      );
      await assert.rejects(session.ready, (error: Error) => {
        assert.match(
          error.message,
          /0\.3 s, service has not bound its port: it listens neither on PORT, \d+, nor on 8765/,
        );
        if (process.platform === "linux") assert.match(error.message, /but on \d+$/);
        return true;
      });
      assert.match(await logged, /^\d+$/);
    });

    it("that throws says where", async () => {
      const session = await startService(harness, {
        code: 'export const service = app.webServer(8765, () => { throw new Error("no database"); });',
      });
      await assert.rejects(session.ready, /no database.*app\.ts:3/);
    });
  });

  describe("of a program", () => {
    it("runs in the deployment's files, with the Node of Athanor", async () => {
      const service = await start(program(["node", "bin/server.mjs"]));
      const said = JSON.parse(await service.text("/")) as Record<string, string>;
      assert.match(said.cwd ?? "", /\/files$/);
      assert.deepEqual([said.node, said.host], [process.version, "127.0.0.1"]);
      const lines: string[] = [];
      service.session.onLog(({ line }) => lines.push(line));
      await service[Symbol.asyncDispose]();
      assert.deepEqual([(await service.session.ended).reason, lines], ["stopped", ["told to end"]]);
    });

    it("that does not heed SIGTERM is killed", async () => {
      const service = await start(program(["node", "bin/server.mjs", "stubborn"], "drainTimeoutS: 0.05"));
      await service[Symbol.asyncDispose]();
      assert.equal((await service.session.ended).reason, "stopped");
    });

    it("gets the replica's port in its arguments", async () => {
      const { port, taken } = await freePort();
      // Whatever else has the declared port.
      using _ = taken;
      await using first = await start(program(["node", "bin/server.mjs", "insists", String(port)], "", port));
      await using second = await start(program(["node", "bin/server.mjs", "insists", "$PORT"], "", port));
      for (const service of [first, second]) assert.match(await service.text("/"), /"cwd"/);
    });

    const insisting = (port: number): ServiceSource => ({
      code: `export const service = app.webServer(${port}, { command: ["node", "insists.mjs"] });`,
      files: {
        "insists.mjs": `import { createServer } from "node:http"; createServer((_, response) => response.end("served")).listen(${port}, "127.0.0.1");`,
      },
    });

    it("that insists on its own port has it, and says that there can be no second", async () => {
      const { port, taken } = await freePort();
      taken[Symbol.dispose]();
      const session = await startService(harness, insisting(port));
      const warned = new Promise<string>((resolve) => session.onLog(({ line }) => resolve(line)));
      assert.deepEqual((await session.ready).address, { host: "127.0.0.1", port });
      assert.match(await warned, /its maxReplicas is 1/);
      const second = await startService(harness, insisting(port));
      await assert.rejects(
        second.ready,
        new RegExp(`ended with status 1 before it listened \\(another process of this machine has port ${port}\\)`),
      );
      await session.drain();
    });

    it("is ready once it is healthy", async () => {
      await using service = await start(program(["node", "bin/server.mjs", "healthy"], 'healthPath: "/health"'));
      assert.match(await service.text("/"), /"cwd"/);
      const sick = await startService(
        harness,
        program(["node", "bin/server.mjs", "sick"], 'healthPath: "/health", startupTimeoutS: 1'),
      );
      await assert.rejects(sick.ready, /1 s, service was not healthy: GET \/health last answered 503/);
      await sick.ended;
    });

    it("is asked again where it does not answer", async () => {
      await using service = await start(program(["node", "bin/server.mjs", "deaf"], 'healthPath: "/health"'));
      assert.match(await service.text("/"), /"cwd"/);
    });

    it("that ends takes its replica along, with its status and its last words", async () => {
      const service = await start(program(["node", "bin/server.mjs"]));
      await assert.rejects(service.text("/die"));
      const { code, reason, lastStderr } = await service.session.ended;
      assert.deepEqual([code, reason, lastStderr.at(-1)], [5, "self", "last words"]);
      await service[Symbol.asyncDispose]();
    });

    const UNUSABLE: [what: string, command: string[], message: RegExp][] = [
      [
        "ends at once",
        ["node", "bin/server.mjs", "exit"],
        /node ended with status 4 before it listened\nno such table/,
      ],
      ["is not there", ["./bin/nothing"], /\.\/bin\/nothing ended with spawn .*ENOENT/],
    ];
    for (const [what, command, message] of UNUSABLE) {
      it(`that ${what} says so`, async () => {
        const session = await startService(harness, program(command));
        await assert.rejects(session.ready, message);
        await session.ended;
      });
    }
  });
});
