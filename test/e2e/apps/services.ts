import { createServer } from "node:http";
import { App, upgradeWebSocket } from "athanor";
import { WebSocketServer } from "ws";

const app = new App("shop");

export const home = app.endpoint("/api/exact", { methods: ["GET"] }, () => ({ endpoint: true }));

export const api = app.fetch({ maxReplicas: 2 }, () => async (request: Request) => {
  const { pathname, search } = new URL(request.url);
  if (pathname === "/socket") {
    const { socket, response } = upgradeWebSocket(request, { protocol: "b" });
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => socket.send(data);
    return response;
  }
  if (pathname === "/echo") return new Response(request.body, { headers: { "x-method": request.method } });
  return Response.json({ pathname, search, prefix: request.headers.get("x-forwarded-prefix") });
});

export const legacy = app.node(() => (req: { url: string; method: string }, res: { end(text: string): void }) => {
  res.end(JSON.stringify({ url: req.url, method: req.method }));
});

export const server = app.webServer(8701, ({ port, host }) =>
  createServer((req, res) => {
    req.pipe(res);
  }).listen(port, host),
);

export const chat = app.node(() => {
  const server = createServer();
  const wss = new WebSocketServer({ server, perMessageDeflate: { threshold: 0 } });
  wss.on("connection", (socket) => socket.on("message", (data, binary) => socket.send(data, { binary })));
  return server;
});
