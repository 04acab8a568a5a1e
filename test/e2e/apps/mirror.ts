/** Services that answer with what reached them, for http-mirror.test.ts, and a WebSocket that does. */
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { App, upgradeWebSocket } from "athanor";

const app = new App("web");

let smuggled = 0;

export const plain = app.node({ path: "/" }, () => async (req: IncomingMessage, res: ServerResponse) => {
  if (req.url === "/count") {
    res.end(String(smuggled));
    return;
  }
  if (req.url?.includes("smuggled")) smuggled++;
  if (req.url === "/all") {
    res.writeEarlyHints({ link: "</style.css>; rel=preload" });
    res.writeHead(200, {
      trailer: "x-sum",
      "set-cookie": ["a=1", "b=2"],
      connection: "keep-alive",
      "keep-alive": "timeout=9",
    });
    res.write("body");
    res.addTrailers({ "x-sum": "7" });
    res.end();
    return;
  }
  const chunks: Buffer[] = [];
  req.on("data", (chunk: Buffer) => chunks.push(chunk));
  try {
    await once(req, "end");
  } catch {
    // The body broke off, and with it the request.
    return;
  }
  const { method, url, rawHeaders } = req;
  res.end(JSON.stringify({ method, url, rawHeaders, body: Buffer.concat(chunks).toString("latin1") }));
});

export const web = app.fetch({ path: "/fetched" }, () => async (request: Request) => {
  if (new URL(request.url).pathname === "/socket") {
    const { socket, response } = upgradeWebSocket(request);
    socket.onmessage = ({ data }) => socket.send(data);
    return response;
  }
  const body = Buffer.from(await request.arrayBuffer()).toString("latin1");
  const { pathname, search } = new URL(request.url);
  const rawHeaders = [...request.headers].flat();
  return Response.json({ method: request.method, url: pathname + search, rawHeaders, body });
});
