/** Services that do not do what they should; each fails in a way of its own, and must keep it to itself. */
import { createServer, type Server } from "node:http";
import { App } from "athanor";

const app = new App("bad");

export const good = app.fetch(() => () => new Response("good"));

export const never = app.webServer(8711, { startupTimeoutS: 0.3 }, () => {});

export const exits = app.webServer(8712, {
  command: ["sh", "-c", "echo the last words >&2; exit 3"],
});

export const elsewhere = app.webServer(8713, { startupTimeoutS: 0.5 }, ({ host }) =>
  createServer().listen({ host, port: 18_713, exclusive: true }),
);

export const raw = app.node({ timeoutS: 1, maxReplicas: 2 }, () =>
  createServer((req, res) => {
    const path = req.url ?? "";
    if (path === "/ok") res.end("ok");
    else if (path === "/midway") {
      res.writeHead(200, { "content-length": 100 });
      res.write("half");
      setImmediate(() => res.destroy());
    } else if (path === "/nothing") req.socket.destroy();
    else if (path === "/garbage") req.socket.end("this is not HTTP\r\n\r\n");
    else if (path === "/two-lengths")
      req.socket.end("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabcde");
    else if (path === "/huge") req.socket.end(`HTTP/1.1 200 OK\r\nX: ${"x".repeat(100_000)}\r\n\r\n`);
    else if (path === "/exit") process.exit(7);
    else if (path === "/spin") for (;;);
    // What is left never answers.
  }),
);

export const deaf = app.node(() => {
  const server: Server = createServer((_req, res) => {
    res.setHeader("connection", "close");
    // Before the answer: who has it must find nobody.
    server.close();
    res.end("the last answer");
  });
  return server;
});
