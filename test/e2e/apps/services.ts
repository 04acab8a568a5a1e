import { createServer } from "node:http";
import { App } from "athanor";

const app = new App("shop");

export const home = app.endpoint("/api/exact", { methods: ["GET"] }, () => ({ endpoint: true }));

export const api = app.fetch({ maxReplicas: 2 }, () => async (request: Request) => {
  const { pathname, search } = new URL(request.url);
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
