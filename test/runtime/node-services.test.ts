import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, describe, it } from "node:test";
import { io } from "socket.io-client";
import ts from "typescript";
import { WebSocket } from "ws";
import { ReplicaHarness } from "./harness.ts";
import { RunningService, type ServiceSource, startService } from "./service.ts";

describe("a node service", { timeout: 240_000 }, () => {
  let harness: ReplicaHarness;
  before(async () => {
    harness = await ReplicaHarness.start();
  });
  after(() => harness[Symbol.asyncDispose]());

  const start = (p: ServiceSource) => RunningService.start(harness, p);

  const APPS: Record<string, ServiceSource> = {
    "a (request, response) listener": {
      code: `
        import { text } from "node:stream/consumers";
        import type { IncomingMessage, ServerResponse } from "node:http";
        export const service = app.node(() => async (request: IncomingMessage, response: ServerResponse) => {
          if (request.method === "POST") return void response.writeHead(201).end(await text(request));
          const { pathname, searchParams } = new URL(request.url!, "http://localhost");
          if (!pathname.startsWith("/users/")) return void response.writeHead(404).end();
          response.setHeader("content-type", "application/json").end(JSON.stringify({ id: pathname.slice(7), q: searchParams.get("q") }));
        });`,
    },
    Express: {
      packages: ["express"],
      code: `
        import express from "express";
        export const service = app.node(async () => {
          const api = express();
          api.get("/users/:id", (request: any, response: any) => response.json({ id: request.params.id, q: request.query.q }));
          api.post("/echo", express.text(), (request: any, response: any) => response.status(201).send(request.body));
          return api;
        });`,
    },
    Koa: {
      packages: ["koa"],
      code: `
        import Koa from "koa";
        import { text } from "node:stream/consumers";
        const api = new Koa();
        api.use(async (ctx: any) => {
          const [, id] = /^\\/users\\/(\\w+)$/.exec(ctx.path) ?? [];
          if (id) ctx.body = { id, q: ctx.query.q };
          else if (ctx.path === "/echo") { ctx.status = 201; ctx.body = await text(ctx.req); }
        });
        export const service = app.node(() => api);`,
    },
    Fastify: {
      packages: ["fastify"],
      code: `
        import fastify from "fastify";
        export const service = app.node(() => {
          const api = fastify();
          api.get("/users/:id", async (request: any) => ({ id: request.params.id, q: request.query.q }));
          api.post("/echo", async (request, reply) => { reply.status(201); return request.body; });
          api.addHook("onClose", async () => console.log("closed in order"));
          return api;
        });`,
    },
    NestJS: {
      packages: ["@nestjs/core", "@nestjs/common", "@nestjs/platform-express", "reflect-metadata", "rxjs"],
      files: { "dist/main.js": nestOutput() },
      code: `
        // @ts-ignore: what the app's own compiler has written has no types here
        import { makeApp } from "./dist/main.js";
        export const service = app.node(() => makeApp());`,
    },
    "an http.Server": {
      code: `
        import { createServer } from "node:http";
        import { text } from "node:stream/consumers";
        export const service = app.node(() => createServer(async (request, response) => {
          if (request.method === "POST") return void response.writeHead(201).end(await text(request));
          const { pathname, searchParams } = new URL(request.url!, "http://localhost");
          if (!pathname.startsWith("/users/")) return void response.writeHead(404).end();
          response.setHeader("content-type", "application/json").end(JSON.stringify({ id: pathname.slice(7), q: searchParams.get("q") }));
        }));`,
    },
    "an http.Server that listens already": {
      packages: ["express"],
      code: `
        import express from "express";
        const api = express();
        api.get("/users/:id", (request: any, response: any) => response.json({ id: request.params.id, q: request.query.q }));
        api.post("/echo", express.text(), (request: any, response: any) => response.status(201).send(request.body));
        export const service = app.node(() => api.listen(0, "localhost"));`,
    },
  };

  for (const [name, source] of Object.entries(APPS)) {
    it(`serves ${name}`, async () => {
      await using service = await start(source);
      const user = await service.fetch("/users/7?q=x");
      assert.deepEqual([user.status, await user.json()], [200, { id: "7", q: "x" }]);
      const headers = { "content-type": "text/plain" };
      const echoed = await service.fetch("/echo", { method: "POST", body: "ahoy", headers });
      assert.deepEqual([echoed.status, await echoed.text()], [201, "ahoy"]);
      assert.equal((await service.fetch("/nowhere")).status, 404);
    });
  }

  it("closes the app in order", async () => {
    const service = await start(APPS.Fastify as ServiceSource);
    const lines: string[] = [];
    service.session.onLog(({ line }) => lines.push(line));
    await service[Symbol.asyncDispose]();
    assert.deepEqual([(await service.session.ended).reason, lines], ["stopped", ["closed in order"]]);
  });

  it("serves Socket.IO, by polling and by WebSocket", async () => {
    await using service = await start({
      packages: ["socket.io"],
      code: `
        import { createServer } from "node:http";
        import { Server } from "socket.io";
        export const service = app.node(() => {
          const server = createServer((_, response) => response.end("page"));
          new Server(server).on("connection", (socket) => {
            socket.on("shout", (text: string, answer: (text: string) => void) => answer(text.toUpperCase() + " by " + socket.conn.transport.name));
          });
          return server;
        });`,
    });
    assert.equal(await service.text("/"), "page");
    for (const transport of ["polling", "websocket"]) {
      const socket = io(service.url, { transports: [transport], reconnection: false });
      assert.equal(await socket.emitWithAck("shout", "ahoy"), `AHOY by ${transport}`);
      socket.disconnect();
    }
  });

  it("serves H3 with its own WebSocket handler", async () => {
    await using service = await start({
      packages: ["h3", "crossws"],
      code: `
        import { createServer } from "node:http";
        import crossws from "crossws/adapters/node";
        import { defineWebSocketHandler, H3 } from "h3";
        import { toNodeHandler } from "h3/node";
        const api = new H3();
        api.get("/", () => "page");
        api.get("/ws", defineWebSocketHandler({ open: (peer) => void peer.send("hello"), message: (peer, message) => void peer.send("got " + message.text()) }));
        export const service = app.node(() => {
          const server = createServer(toNodeHandler(api) as never);
          const sockets = crossws({ resolve: async (request) => ((await api.fetch(request as Request)) as any).crossws });
          server.on("upgrade", (request, socket, head) => void sockets.handleUpgrade(request, socket, head));
          return server;
        });`,
    });
    assert.equal(await service.text("/"), "page");
    const socket = new WebSocket(`ws://127.0.0.1:${service.port}/ws`);
    assert.equal(String((await once(socket, "message"))[0]), "hello");
    socket.send("this");
    assert.equal(String((await once(socket, "message"))[0]), "got this");
    socket.terminate();
  });

  const UNUSABLE: [what: string, code: string, message: RegExp][] = [
    [
      "nothing",
      "app.node(() => undefined as never)",
      /returned undefined, but must return a \(request, response\) listener/,
    ],
    ["a text", "app.node(() => 'app' as never)", /returned a string/],
    ["an object of another kind", "app.node(() => ({ fetch() {} }))", /returned an object with fetch/],
    ["what throws", "app.node(() => { throw new Error('no database') })", /no database.*app\.ts:3/],
    [
      "what is not there in time",
      "app.node({ startupTimeoutS: 0.05 }, () => new Promise<never>(() => {}))",
      /0\.05 s, the factory of service has not returned/,
    ],
    ["what exits", "app.node(() => process.exit(3))", /exited with code 3/],
  ];
  for (const [what, code, message] of UNUSABLE) {
    it(`does not start from ${what}`, async () => {
      const session = await startService(harness, { code: `export const service = ${code};` });
      await assert.rejects(session.ready, message);
      await session.ended;
    });
  }
});

/** An app of NestJS as its own compiler writes it: the parameters' types are in its metadata. */
function nestOutput(): string {
  const source = `
    import "reflect-metadata";
    import { Body, Controller, Get, Injectable, Module, Param, Post, Query } from "@nestjs/common";
    import { NestFactory } from "@nestjs/core";
    @Injectable()
    class Users { find(id: string, q: string) { return { id, q }; } }
    @Controller()
    class Api {
      constructor(private readonly users: Users) {}
      @Get("users/:id") user(@Param("id") id: string, @Query("q") q: string) { return this.users.find(id, q); }
      @Post("echo") echo(@Body() body: string) { return body; }
    }
    @Module({ controllers: [Api], providers: [Users] })
    class Main {}
    export const makeApp = async () => {
      const app = await NestFactory.create(Main, { logger: ["error"] });
      (app as any).useBodyParser("text");
      return app;
    };`;
  const { ESNext: target } = ts.ScriptTarget;
  const compilerOptions = {
    target,
    module: ts.ModuleKind.ESNext,
    experimentalDecorators: true,
    emitDecoratorMetadata: true,
  };
  return ts.transpileModule(source, { compilerOptions }).outputText;
}
