/** A connection that goes from this process to another, and what is left of it here. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { SocketChannel } from "../../engines/process-channel.ts";
import { AccessLog } from "../http/access-log.ts";
import { Listener } from "../http/listener.ts";
import { TrustedProxies } from "../http/proxies.ts";
import type { Upgrade } from "../http/upgrade.ts";
import type { HttpCall } from "../replicas/session.ts";
import { HandedOver } from "./handed-over.ts";

/** Sends back what was early, then all that comes, as a program that is given sockets by their messages. */
const ECHO = `process.on("internalMessage", ({ early }, socket) => {
  if (socket?.write === undefined) return;
  socket.write(Buffer.from(early, "base64"));
  socket.pipe(socket);
});
setInterval(() => {}, 1e6);
console.log("ready");`;

const HEAD = "HTTP/1.1 101 Switching Protocols\r\n\r\n";
const REQUEST = "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

interface Handed extends AsyncDisposable {
  listener: Listener;
  lines: { [name: string]: unknown }[];
  child: ChildProcess;
  cancelled: string[];
  webSocket: () => HandedOver;
  /** The replica's END. */
  end(trailers: [string, string][]): void;
  open(first?: string): Promise<Socket>;
}

async function start(): Promise<Handed> {
  const child = spawn(process.execPath, ["-e", ECHO], { stdio: ["ignore", "pipe", "inherit", "ipc"] });
  await once(child.stdout as NonNullable<typeof child.stdout>, "data");
  const lines: { [name: string]: unknown }[] = [];
  const log = {
    debug: () => {},
    info: (line: object) => void lines.push({ ...line }),
    warn: () => {},
    error: () => {},
  };
  const channel = new SocketChannel(child);
  const closed = Promise.withResolvers<void>();
  const cancelled: string[] = [];
  const call = {
    trailers: [] as [string, string][],
    closed: closed.promise,
    cancel: (reason: string) => {
      cancelled.push(reason);
      closed.resolve();
    },
    send: async () => true,
    giveSocket: (socket: Socket, early: Buffer) =>
      channel.give({ stream: 1, early: early.toString("base64") }, socket, () => call.cancel("failed")),
  };
  let webSocket: HandedOver | null = null;
  const listener = new Listener({
    log,
    accessLog: new AccessLog({ log, share: 1, proxies: new TrustedProxies("none") }),
    handle: (x) => {
      const { socket, rest } = (x.upgrade as Upgrade).take();
      webSocket = new HandedOver({
        client: socket,
        early: rest,
        head: HEAD,
        call: call as Partial<HttpCall> as HttpCall,
        carried: (carried) => {
          x.carried = carried;
        },
      });
    },
  });
  const port = await listener.listen({ host: "127.0.0.1", port: 0 });
  return {
    listener,
    lines,
    child,
    cancelled,
    webSocket: () => webSocket ?? assert.fail("none"),
    end: (trailers) => {
      call.trailers = trailers;
      closed.resolve();
    },
    open: async (first = "") => {
      const socket = connect(port, "127.0.0.1");
      socket.on("error", () => {});
      socket.write(REQUEST + first);
      await until(socket, HEAD + first);
      return socket;
    },
    [Symbol.asyncDispose]: async () => {
      await listener.close({ graceMs: 0 });
      if (child.exitCode === null && child.signalCode === null) {
        child.kill("SIGKILL");
        await once(child, "exit");
      }
    },
  };
}

/** Reads until it has come. */
async function until(socket: Socket, text: string): Promise<void> {
  let got = "";
  while (got.length < text.length) got += String((await once(socket, "data"))[0]);
  assert.equal(got, text);
}

test("its bytes go past this process, which counts it until its call ends, and logs what it bore", async () => {
  await using handed = await start();
  const socket = await handed.open();
  socket.write("later");
  await until(socket, "later");
  assert.equal(handed.lines.length, 0);
  let isClosed = false;
  const listenerClosed = handed.listener.close({ graceMs: 1_000_000 }).then(() => {
    isClosed = true;
  });
  socket.write("still");
  await until(socket, "still");
  assert.equal(isClosed, false);
  handed.end([
    ["bytes-in", "10"],
    ["bytes-out", "15"],
  ]);
  await Promise.all([handed.webSocket().done, listenerClosed]);
  const [line] = handed.lines;
  assert.deepEqual([line?.status, line?.outcome, line?.bytes_in, line?.bytes_out], [101, "ok", 10, HEAD.length + 15]);
});

for (const taken of [true, false]) {
  test(`where the other process dies, ${taken ? "" : "even before it has taken it, "}the connection ends`, async () => {
    await using handed = await start();
    if (!taken) handed.child.kill("SIGSTOP");
    const socket = await handed.open();
    const closed = once(socket, "close");
    if (taken) {
      socket.write("taken");
      await until(socket, "taken");
    }
    handed.child.kill("SIGKILL");
    await once(handed.child, "exit");
    handed.end([]);
    await Promise.all([handed.webSocket().done, closed]);
    assert.deepEqual([handed.lines[0]?.bytes_in, handed.lines[0]?.bytes_out], [null, null]);
  });
}

test("what its client has sent early comes first", async () => {
  await using handed = await start();
  const socket = await handed.open("early");
  socket.write("later");
  await until(socket, "later");
  handed.end([]);
  await handed.webSocket().done;
  socket.destroy();
});

test("a listener that ends its connections cancels the call, which is what cuts it", async () => {
  await using handed = await start();
  await using undo = new AsyncDisposableStack();
  const socket = await handed.open();
  undo.defer(() => void socket.destroy());
  await handed.listener.close({ graceMs: 0 });
  await handed.webSocket().done;
  assert.deepEqual(handed.cancelled, ["disconnected"]);
});

test("where there is no way to the other process any more, the client is cut", async () => {
  await using handed = await start();
  handed.child.disconnect();
  const socket = await handed.open();
  if (!socket.destroyed) await once(socket, "close");
  await handed.webSocket().done;
  assert.equal(handed.cancelled[0], "failed");
});
