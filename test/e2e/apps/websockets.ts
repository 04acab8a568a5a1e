/** The same service of WebSockets in three shapes: of two the connection is handed over to the replica's process, the third is a program's own port. */
import { createServer, type IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { App, upgradeWebSocket } from "athanor";
import { Server } from "socket.io";
import { WebSocketServer, type WebSocket as WsSocket } from "ws";

const app = new App("sockets");
const options = { concurrency: 100, maxReplicas: 1, drainTimeoutS: 0.1 };
const messages: unknown[] = [];
process.on("message", (message) => messages.push(message));

/** What the newest connection but one has in its hands. */
const open: WsSocket[] = [];

/** Half of a message of this size goes out by itself, the other half when it is asked for, and one more behind it. */
const HALVED_BYTES = 100_000;
const HALVED_HEAD = Buffer.from([0x82, 127, 0, 0, 0, 0, 0, 1, 0x86, 0xa0]);

function talk(socket: WsSocket): void {
  open.push(socket);
  const raw = (socket as unknown as { _socket: Socket })._socket;
  const half = Buffer.alloc(HALVED_BYTES / 2, "a");
  const commands: { [name: string]: (argument: string) => void } = {
    pid: () => socket.send(String(process.pid)),
    ipc: () => socket.send(JSON.stringify([typeof process.send, Object.keys(process).includes("channel"), messages])),
    close: (argument) => socket.close(Number(argument.slice(0, 4)), argument.slice(5)),
    say: (argument) => console.log(argument),
    cut: () => socket.terminate(),
    flood: (argument) => {
      for (let left = Number(argument); left > 0; left--) socket.send(Buffer.alloc(1024 * 1024, "f"));
    },
    buffered: () => socket.send(String(open.at(-2)?.bufferedAmount)),
    half: () => raw.write(Buffer.concat([HALVED_HEAD, half])),
    rest: () => raw.write(Buffer.concat([half, Buffer.from([0x81, 1, 98])])),
  };
  socket.on("message", (data, isBinary) => {
    const [, name = "", argument = ""] = /^!(\w+) ?(.*)/s.exec(isBinary ? "" : String(data)) ?? [];
    if (commands[name]) commands[name](argument);
    else socket.send(data, { binary: isBinary });
  });
}

function echoServer() {
  const server = createServer((_req, res) => {
    res.end("plain");
  });
  const verifyClient = (
    { req }: { req: IncomingMessage },
    done: (ok: boolean, code?: number, message?: string, headers?: { [name: string]: string }) => void,
  ): void => {
    if (req.url === "/deny") done(false, 403, "not you", { "x-why": "1" });
    else done(true);
  };
  const wss = new WebSocketServer({ server, verifyClient, perMessageDeflate: { threshold: 1024 }, maxPayload: 0 });
  wss.on("connection", talk);
  server.prependListener("upgrade", (req, socket) => {
    if (req.url === "/nonsense") socket.end("this is no HTTP\r\n\r\n");
  });
  return server;
}

export const node = app.node(options, echoServer);

export const fetched = app.fetch(options, () => (request: Request) => {
  const { pathname } = new URL(request.url);
  if (pathname === "/deny") return new Response("not you", { status: 403, headers: { "x-why": "1" } });
  if (request.headers.get("upgrade") === null) return new Response("plain");
  const { socket, response } = upgradeWebSocket(request, { perMessageDeflate: true });
  talk(socket as unknown as WsSocket);
  return response;
});

export const rooms = app.node(options, () => {
  const server = createServer();
  new Server(server).on("connection", (socket) => {
    socket.on("shout", (text: string, answer: (text: string) => void) =>
      answer(`${text.toUpperCase()} by ${socket.conn.transport.name}`),
    );
  });
  return server;
});

export const port = app.webServer(8713, { ...options, maxReplicas: 1 }, ({ port, host }) =>
  echoServer().listen(port, host),
);
