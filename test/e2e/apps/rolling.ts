/** For rolling.test.ts: versions of it differ in the text of their bundle. Each effect is a line of a file, so that one that is doubled shows. */
import { appendFileSync } from "node:fs";
import { createServer } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { App } from "athanor";
import { WebSocketServer } from "ws";

const app = new App("rolling");
const version = () => Number("version 0".split(" ")[1]);

export const get = app.endpoint("/get", { methods: ["GET"] }, (n: number) => ({ n, version: version() }));

export const effect = app.endpoint("/effect", (file: string, id: string) => {
  appendFileSync(file, `${id}\n`);
  return { id, version: version() };
});

/** Longer than a switch takes. */
export const slow = app.endpoint("/slow", { methods: ["GET"] }, async (n: number) => {
  await delay(400);
  return { n, version: version() };
});

export const stream = app.endpoint("/stream", { methods: ["GET"] }, async function* (n: number) {
  for (let i = 0; i < n; i++) {
    yield i;
    await delay(20);
  }
});

/** A replica for each call, so that calls are held while there is none. */
export const rare = app.endpoint("/rare", { methods: ["GET"], memoryMb: 512, keepWarmS: 0 }, (n: number) => ({
  n,
  version: version(),
}));

/** The gateway connects to it, and keeps its connections. Echoes what sockets send. */
export const chat = app.node({ drainTimeoutS: 2 }, () => {
  const server = createServer(async (req, res) => {
    let body = "";
    for await (const chunk of req) body += chunk;
    const { file, id } = JSON.parse(body) as { file: string; id: string };
    appendFileSync(file, `${id}\n`);
    res.setHeader("content-type", "application/json").end(JSON.stringify({ id, version: version() }));
  });
  const sockets = new WebSocketServer({ server });
  sockets.on("connection", (socket) => {
    socket.on("message", (data) => socket.send(`${version()} ${data}`));
  });
  return server;
});

export const work = app.function({ queue: { maxWorkers: 4 } }, async (file: string, id: string) => {
  appendFileSync(file, `${id}\n`);
  await delay(10);
  return id;
});
