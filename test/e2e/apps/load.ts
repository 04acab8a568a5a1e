import { createServer } from "node:http";
import { App } from "athanor";
import { WebSocketServer } from "ws";

const app = new App("load");

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export const endpoint = app.endpoint(
  "/endpoint",
  { methods: ["GET", "POST"], maxReplicas: 2, minReplicas: 2, concurrency: 8 },
  async () => {
    await pause(5);
    return { pid: process.pid };
  },
);

export const web = app.fetch({ maxReplicas: 2, minReplicas: 2, concurrency: 8 }, () => async () => {
  await pause(5);
  return Response.json({ pid: process.pid });
});

export const node = app.node({ maxReplicas: 2, minReplicas: 2, concurrency: 8 }, () =>
  createServer((_req, res) => setTimeout(() => res.end(JSON.stringify({ pid: process.pid })), 5)),
);

/** Takes uploads, and says how long they were. */
export const sink = app.node({ concurrency: 10_000 }, () => {
  const server = createServer((req, res) => {
    if (req.url === "/stream") {
      res.write("begun\n");
      return;
    }
    let bytes = 0;
    req.on("data", (piece: Buffer) => {
      bytes += piece.length;
    });
    req.on("end", () => res.end(JSON.stringify({ bytes })));
  });
  new WebSocketServer({ server, perMessageDeflate: false }).on("connection", (socket) =>
    socket.on("message", (data) => socket.send(data)),
  );
  return server;
});

export const sinkWeb = app.fetch({ concurrency: 10_000 }, () => async (request: Request) => {
  let bytes = 0;
  for await (const piece of request.body ?? []) bytes += piece.length;
  return Response.json({ bytes });
});
