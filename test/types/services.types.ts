/** What the compiler must accept and refuse of services. Checked by tsc; nothing here runs. */
import { createServer } from "node:http";
import express from "express";
import { Hono } from "hono";
import { App, type Service, upgradeWebSocket } from "../../src/index.ts";
import { Client } from "../../src/sdk/client/index.ts";
import { expectSame } from "./equal.ts";

const app = new App("types");

export const api = app.fetch(() => new Hono());
app.fetch(
  { path: "/", cors: true },
  async () => (request) => Response.json({ url: request.url, signal: request.signal.aborted }),
);
app.fetch(() => ({
  fetch: (request: Request, env: object, context: { waitUntil(p: Promise<unknown>): void }) =>
    new Response(`${request.url}${env}${context}`),
}));
app.fetch(() => (request) => upgradeWebSocket(request, { protocol: "chat" }).response);
app.node({ healthPath: "/up", startupTimeoutS: 60 }, () => express());
app.node(async () => createServer());
app.webServer(8000, { startupTimeoutS: 5 }, ({ port, host }) => createServer().listen(port, host));
app.webServer(8000, { command: ["./bin/server"], maxReplicas: 2 });
expectSame<typeof api, Service>();
app.asgi("main:app");
app.asgi({ target: "main:make()", dir: "backend", requirements: "live.txt", pythonVersion: "3.12", healthPath: "/up" });
expectSame<typeof wsgi, Service>();
export const wsgi = app.wsgi("main:app", { packages: ["flask>=3"], workers: 2, concurrency: 16 });
// @ts-expect-error uvicorn runs one process
app.asgi("main:app", { workers: 2 });
// @ts-expect-error what it is to run
app.wsgi({ packages: ["flask"] });

// @ts-expect-error the factory makes the handler, it is not the handler
app.fetch((request: Request) => new Response(request.url));
// @ts-expect-error a handler answers with a Response
app.fetch(() => () => "text");
// @ts-expect-error a service runs no jobs
app.fetch({ queue: {} }, () => new Hono());
// @ts-expect-error a service is not scheduled
app.node({ schedule: "* * * * *" }, () => express());
// @ts-expect-error a service has no methods of its own
app.node({ methods: ["GET"] }, () => express());
// @ts-expect-error a fetch service has no port to be asked
app.fetch({ healthPath: "/" }, () => new Hono());
// @ts-expect-error a program or a start function
app.webServer(8000, {});
// @ts-expect-error it is called over HTTP
api.remote();

export async function fromElsewhere(): Promise<void> {
  const types = new Client({ url: "http://localhost", token: "t" }).app<{ api: typeof api }>("types");
  const url: string = await types.api.getWebUrl();
  // @ts-expect-error it is called over HTTP
  await types.api.remote(url);
}
