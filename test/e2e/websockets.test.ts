/** WebSockets through the whole server, by both ways: handed over to the process of their service, and through the gateway. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { io } from "socket.io-client";
import { WebSocket } from "ws";
import { build } from "../../src/build/index.ts";
import { digestUpload } from "../../src/protocol/digest.ts";
import type { DeploymentUpload } from "../../src/protocol/spec.ts";
import type { LogLine, Page } from "../../src/protocol/wire.ts";
import { startTestServer, type TestServer } from "../harness/server.ts";

let server: TestServer;

let upload: DeploymentUpload;
let version = 0;

/** Another each time: the same upload would be the deployment that is live already. */
function deploy(): Promise<unknown> {
  const made = { ...upload, bundle: `// ${++version}\n${upload.bundle}` };
  return server.api.deploy({ ...made, digest: digestUpload(made) });
}

before(async () => {
  server = await startTestServer();
  upload = await build({ entry: join(import.meta.dirname, "apps/websockets.ts") });
  await deploy();
});
after(() => server?.[Symbol.asyncDispose]());

const MIB = 1024 * 1024;

for (const [service, handedOver] of [
  ["node", true],
  ["fetched", true],
  ["port", false],
] as const) {
  describe(`a WebSocket of ${service}, ${handedOver ? "handed over" : "through the gateway"}`, () => {
    const url = (path = "/"): string => `${server.url.replace("http", "ws")}/sockets/${service}${path}`;

    async function open(options: WebSocket.ClientOptions = {}): Promise<WebSocket> {
      const socket = new WebSocket(url(), { maxPayload: 0, perMessageDeflate: false, ...options });
      await once(socket, "open");
      return socket;
    }
    const ask = async (socket: WebSocket, message: string | Buffer): Promise<Buffer> => {
      const answer = once(socket, "message");
      socket.send(message);
      return (await answer)[0] as Buffer;
    };
    const closed = async (socket: WebSocket): Promise<[number, string]> => {
      const [code, reason] = await once(socket, "close");
      return [code, String(reason)];
    };
    const rawOf = (socket: WebSocket): Socket => (socket as unknown as { _socket: Socket })._socket;

    it("is where it should be, and nowhere else", async () => {
      const socket = await open();
      const replica = Number(await ask(socket, "!pid"));
      const { localPort } = rawOf(socket);
      assert.deepEqual([holds(replica, localPort), holds(process.pid, localPort)], [handedOver, !handedOver]);
      socket.close();
      await closed(socket);
    });

    for (const deflate of [false, true]) {
      it(`bears messages of all sizes both ways, ${deflate ? "compressed" : "as they are"}`, async () => {
        const socket = await open({ perMessageDeflate: deflate ? { threshold: 0 } : false });
        assert.equal(socket.extensions.includes("permessage-deflate"), deflate);
        for (const size of [0, 1, 125, 126, 65_535, 65_536, MIB, 3 * MIB]) {
          const bytes = randomBytes(size);
          assert.ok(bytes.equals(await ask(socket, bytes)), `${size} bytes`);
        }
        const [text, pong] = [once(socket, "message"), once(socket, "pong")];
        socket.send("κόσ", { fin: false });
        socket.ping("p");
        socket.send("με", { fin: true });
        assert.deepEqual([String((await text)[0]), String((await pong)[0])], ["κόσμε", "p"]);
        socket.close();
        await closed(socket);
      });
    }

    it("gets what its client sends right behind its request, in order", async () => {
      const socket = connect(Number(new URL(server.url).port), "127.0.0.1");
      const head = [
        `GET /sockets/${service}/ HTTP/1.1`,
        "Host: x",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
      ];
      const frame = (char: number): Buffer => Buffer.from([0x82, 0x81, 0, 0, 0, 0, char]);
      socket.write(Buffer.concat([Buffer.from(`${head.join("\r\n")}\r\n\r\n`), frame(1), frame(2), frame(3)]));
      let got = Buffer.alloc(0);
      for (let next = 4; !got.toString("latin1").endsWith("\x82\x01\x08"); ) {
        got = Buffer.concat([got, (await once(socket, "data"))[0] as Buffer]);
        while (next <= 8) socket.write(frame(next++));
      }
      const body = got.subarray(got.indexOf("\r\n\r\n") + 4);
      assert.deepEqual([...body].join(), [1, 2, 3, 4, 5, 6, 7, 8].map((char) => `130,1,${char}`).join());
      assert.match(got.toString("latin1"), /^HTTP\/1\.1 101 [\s\S]*x-request-id: /);
      socket.destroy();
    });

    it("is closed by either side, with what that says", async () => {
      for (const [code, reason] of [
        [1000, "done"],
        [3000, "r".repeat(123)],
        [4999, "é"],
      ] as const) {
        const socket = await open();
        const end = closed(socket);
        socket.close(code, reason);
        assert.deepEqual(await end, [code, reason]);
        const other = await open();
        const back = closed(other);
        other.send(`!close ${code} ${reason}`);
        assert.deepEqual(await back, [code, reason]);
      }
      const socket = await open();
      const cut = closed(socket);
      socket.send("!cut");
      assert.deepEqual(await cut, [1006, ""]);
    });

    it("is declined by its service, whose answer ends the connection", async () => {
      const socket = new WebSocket(url("/deny"));
      const [, response] = (await once(socket, "unexpected-response")) as [unknown, IncomingMessage];
      let text = "";
      for await (const piece of response.setEncoding("utf8")) text += piece;
      const { statusCode, headers } = response;
      assert.deepEqual(
        [statusCode, headers["x-why"], text, headers.connection, headers["x-request-id"] !== undefined],
        [403, "1", "not you", "close", true],
      );
      socket.on("error", () => {}).terminate();
    });

    it("holds its service back where its client reads slowly, and loses nothing", async () => {
      const slow = await open();
      const asking = await open();
      slow.pause();
      slow.send("!flood 32");
      let buffered = 0;
      // The service has it in its own hands, as much as is on its way to nobody.
      while (buffered < 16 * MIB) buffered = Number(await ask(asking, "!buffered"));
      let received = 0;
      slow.resume();
      while (received < 32 * MIB) received += ((await once(slow, "message"))[0] as Buffer).length;
      assert.equal(received, 32 * MIB);
      slow.terminate();
      asking.terminate();
    });

    it("is told 1001 at a newer deployment, after the message that is under way", async () => {
      const [halved, other] = [await open(), await open()];
      const [begun, whole] = [once(rawOf(halved), "data"), once(halved, "message")];
      const [end, otherEnd] = [closed(halved), closed(other)];
      const after: string[] = [];
      halved.send("!half");
      await begun;
      await deploy();
      assert.deepEqual(await otherEnd, [1001, "a newer deployment is live"]);
      halved.send("!rest");
      assert.equal(((await whole)[0] as Buffer).length, 100_000);
      halved.on("message", (message) => after.push(String(message)));
      assert.deepEqual([await end, after], [[1001, "a newer deployment is live"], []]);
    });

    it("ends with its replica, and the next has another", async () => {
      const socket = await open();
      const replica = Number(await ask(socket, "!pid"));
      const end = closed(socket);
      process.kill(replica, "SIGKILL");
      assert.equal((await end)[0], handedOver ? 1006 : 1012);
      const next = await open();
      assert.notEqual(Number(await ask(next, "!pid")), replica);
      next.close();
      await closed(next);
    });

    // What a port's own server calls is no call of the runtime's.
    const itIfCalled = handedOver ? it : () => {};
    itIfCalled("has the lines of its code in the log of its function", async () => {
      const socket = await open();
      const text = `said ${randomBytes(8).toString("hex")}`;
      socket.send(`!say ${text}`);
      const path = `/v1/deployments/deployments:${version}/logs?function=${service}`;
      for (let said = false; !said; ) {
        const { items } = (await (await server.api.fetch(path)).json()) as Page<LogLine>;
        said = items.some(({ line }) => line === text);
      }
      socket.terminate();
    });

    it("shows its code no channel of the server's", async () => {
      const socket = await open();
      assert.deepEqual(JSON.parse(String(await ask(socket, "!ipc"))), ["undefined", false, []]);
      socket.terminate();
    });
  });
}

it("Socket.IO has its connection, from the beginning and by an upgrade", async () => {
  for (const transports of [["websocket"], ["polling", "websocket"]]) {
    const socket = io(server.url, { path: "/sockets/rooms/socket.io", transports, reconnection: false });
    const upgraded = Promise.withResolvers<void>();
    socket.on("connect", () => {
      if (socket.io.engine.transport.name === "websocket") upgraded.resolve();
      else socket.io.engine.once("upgrade", () => upgraded.resolve());
    });
    await upgraded.promise;
    assert.equal(await socket.emitWithAck("shout", "ahoy"), "AHOY by websocket");
    socket.disconnect();
  }
});

it("a service's answer that is no HTTP is a 502", async () => {
  for (const service of ["node", "port"]) {
    const socket = new WebSocket(`${server.url.replace("http", "ws")}/sockets/${service}/nonsense`);
    const [, response] = (await once(socket, "unexpected-response")) as [unknown, IncomingMessage];
    assert.equal(response.statusCode, 502, service);
    socket.on("error", () => {}).terminate();
  }
});

/** Whether a process has the server's end of the connection from this port of the client. */
function holds(pid: number, clientPort: number | undefined): boolean {
  const hex = (port: unknown): string => Number(port).toString(16).toUpperCase().padStart(4, "0");
  const [ours, theirs] = [hex(new URL(server.url).port), hex(clientPort)];
  const lines = ["tcp", "tcp6"].flatMap((name) => readFileSync(`/proc/net/${name}`, "utf8").split("\n"));
  const line = lines.find((text) => new RegExp(`^\\s*\\d+: \\w+:${ours} \\w+:${theirs} `).test(text));
  const inode = line?.trim().split(/\s+/)[9];
  return readdirSync(`/proc/${pid}/fd`).some((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`) === `socket:[${inode}]`;
    } catch {
      return false;
    }
  });
}
