import assert from "node:assert/strict";
import { once } from "node:events";
import { get } from "node:http";
import { Readable } from "node:stream";
import { after, before, describe, it } from "node:test";
import { WebSocket } from "ws";
import { ReplicaHarness } from "./harness.ts";
import { RunningService, type ServiceSource, startService } from "./service.ts";

describe("a fetch service", { timeout: 240_000 }, () => {
  let harness: ReplicaHarness;
  before(async () => {
    harness = await ReplicaHarness.start();
  });
  after(() => harness[Symbol.asyncDispose]());

  const start = (p: ServiceSource) => RunningService.start(harness, p);
  const handshake = (path: string, version: string) =>
    harness.openHttp("service", {
      method: "GET",
      url: `http://x${path}`,
      upgrade: "websocket",
      headers: [
        ["host", "x"],
        ["sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="],
        ["sec-websocket-version", version],
      ],
    });

  const FRAMEWORKS: Record<string, ServiceSource> = {
    Hono: {
      packages: ["hono"],
      code: `
        import { Hono } from "hono";
        import { streamText } from "hono/streaming";
        const api = new Hono<{ Bindings: { GREETING: string } }>();
        api.get("/users/:id", (c) => c.json({ id: c.req.param("id"), q: c.req.query("q"), greeting: c.env.GREETING }));
        api.post("/echo", async (c) => c.text(await c.req.text(), 201));
        api.get("/stream", (c) => streamText(c, async (s) => { for (const word of ["a", "b", "c"]) await s.writeln(word); }));
        export const service = app.fetch({ env: { GREETING: "hi" } }, () => api);`,
    },
    H3: {
      packages: ["h3"],
      code: `
        import { H3 } from "h3";
        const api = new H3();
        api.get("/users/:id", (event) => ({ id: event.context.params!.id, q: event.url.searchParams.get("q"), greeting: process.env.GREETING }));
        api.post("/echo", async (event) => { event.res.status = 201; return event.req.text(); });
        api.get("/stream", () => ReadableStream.from(["a\\n", "b\\n", "c\\n"]).pipeThrough(new TextEncoderStream()));
        export const service = app.fetch({ env: { GREETING: "hi" } }, () => api);`,
    },
    Elysia: {
      packages: ["elysia"],
      code: `
        import { Elysia } from "elysia";
        const api = new Elysia()
          .get("/users/:id", ({ params, query }) => ({ id: params.id, q: query.q, greeting: process.env.GREETING }))
          .post("/echo", async ({ request, set }) => { set.status = 201; return await request.text(); }, { parse: "none" })
          .get("/stream", async function* () { for (const word of ["a", "b", "c"]) yield word + "\\n"; });
        export const service = app.fetch({ env: { GREETING: "hi" } }, () => api);`,
    },
  };

  for (const [name, source] of Object.entries(FRAMEWORKS)) {
    it(`serves an app of ${name}`, async () => {
      await using service = await start(source);
      const user = await service.fetch("/users/7?q=x");
      assert.deepEqual([user.status, await user.json()], [200, { id: "7", q: "x", greeting: "hi" }]);
      const echoed = await service.fetch("/echo", {
        method: "POST",
        body: "ahoy",
        headers: { "content-type": "text/plain" },
      });
      assert.deepEqual([echoed.status, await echoed.text()], [201, "ahoy"]);
      assert.equal(await service.text("/stream"), "a\nb\nc\n");
      assert.equal((await service.fetch("/nowhere")).status, 404);
    });
  }

  describe("streams", () => {
    let service: RunningService;
    before(async () => {
      service = await start({
        code: `
          import { upgradeWebSocket } from "athanor";
          const encoder = new TextEncoder();
          let finish = () => {};
          async function handler(request: Request, _env: unknown, context: { requestId: string; waitUntil(p: Promise<unknown>): void }) {
            const { pathname } = new URL(request.url);
            if (pathname === "/double") return new Response(request.body!.pipeThrough(new TransformStream({ transform(chunk, c) { c.enqueue(chunk); c.enqueue(chunk); } })));
            if (pathname === "/cookies") return new Response(null, { status: 204, headers: [["set-cookie", "a=1"], ["set-cookie", "b=2"]] });
            if (pathname === "/idle") {
              request.signal.addEventListener("abort", () => console.log("aborted: " + request.signal.reason.message));
              return new Response(new ReadableStream({ start(c) { c.enqueue(encoder.encode("first")); }, cancel() { console.log("cancelled"); } }));
            }
            if (pathname === "/later") {
              context.waitUntil(new Promise((resolve) => setTimeout(resolve, 20)).then(() => console.log("later")));
              return new Response(context.requestId.slice(0, 1));
            }
            if (pathname === "/works-on") {
              context.waitUntil(new Promise<void>((resolve) => { finish = resolve; }));
              return new Response("answered");
            }
            if (pathname === "/finish") {
              finish();
              return new Response("finished");
            }
            if (pathname === "/fails-later") {
              context.waitUntil(Promise.reject(new Error("it failed later")));
              await new Promise((resolve) => setImmediate(resolve));
              return new Response("answered");
            }
            if (pathname === "/unending") return new Response(new ReadableStream({ cancel: () => new Promise(() => {}) }));
            if (pathname === "/socket") return upgradeWebSocket(request).response;
            if (pathname === "/broken") return new Response(new ReadableStream({ start(c) { c.enqueue(encoder.encode("half")); }, pull() { throw new Error("broken off"); } }));
            if (pathname === "/nothing") return undefined as never;
            if (pathname === "/throws") throw new TypeError("a secret");
            return new Response(request.method + " " + (request.body === null), { headers: { "content-length": String((request.method + " true").length) } });
          }
          export const service = app.fetch(() => handler);`,
      });
    });
    after(() => service[Symbol.asyncDispose]());

    it("a body both ways at a time", async () => {
      const sent = new TransformStream<Uint8Array, Uint8Array>();
      const writer = sent.writable.getWriter();
      const answer = await Promise.all([
        service.fetch("/double", { method: "POST", body: sent.readable, duplex: "half" } as RequestInit),
        writer.write(new TextEncoder().encode("a")),
      ]).then(([response]) => response);
      const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
      const read = async (length: number): Promise<string> => {
        let text = "";
        while (text.length < length) text += (await reader?.read())?.value ?? "";
        return text;
      };
      assert.equal(await read(2), "aa");
      await writer.write(new TextEncoder().encode("b"));
      assert.equal(await read(2), "bb");
      await writer.close();
      assert.equal((await reader?.read())?.done, true);
    });

    it("more than any window holds", async () => {
      const bytes = Buffer.alloc(5 * 2 ** 20, "x");
      const answer = await service.fetch("/double", { method: "POST", body: bytes });
      assert.equal((await answer.arrayBuffer()).byteLength, 2 * bytes.length);
    });

    it("until the client leaves, and tells the code", async () => {
      const lines: string[] = [];
      const { promise, resolve } = Promise.withResolvers<void>();
      service.session.onLog(({ line }) => {
        lines.push(line);
        if (lines.length === 2) resolve();
      });
      const leaving = new AbortController();
      const answer = await service.fetch("/idle", { signal: leaving.signal });
      await answer.body?.getReader().read();
      leaving.abort();
      await promise;
      assert.deepEqual(lines.toSorted(), ["aborted: the client disconnected", "cancelled"]);
    });

    it("and breaks off an answer that fails on its way", async () => {
      await assert.rejects(service.text("/broken"));
    });

    it("answers HEAD without a body, and keeps each cookie", async () => {
      const head = await service.fetch("/", { method: "HEAD" });
      assert.deepEqual([head.headers.get("content-length"), await head.text()], ["9", ""]);
      const { status, headers } = await service.fetch("/cookies");
      assert.deepEqual([status, headers.getSetCookie()], [204, ["a=1", "b=2"]]);
    });

    it("keeps a call open for what it should wait for", async () => {
      const logged = new Promise((resolve) => service.session.onLog(({ line }) => line === "later" && resolve(line)));
      assert.equal(await service.text("/later"), "r");
      assert.equal(await logged, "later");
    });

    it("ends its answer while it works on, and the call once it has done", async () => {
      const call = service.session.openHttp(
        harness.openHttp("service", { url: "http://x/works-on", headers: [] }),
        null,
      );
      await call.head;
      const body: Uint8Array[] = [];
      for await (const bytes of call.body) body.push(bytes);
      assert.equal(Buffer.concat(body).toString(), "answered");
      assert.equal(service.session.requests, 1);
      assert.equal(await service.text("/finish"), "finished");
      await call.closed;
    });

    it("answers although what it should wait for fails first, and logs that", async () => {
      const logged = new Promise((resolve) =>
        service.session.onLog(({ line }) => line.includes("it failed later") && resolve(line)),
      );
      assert.equal(await service.text("/fails-later"), "answered");
      assert.match(String(await logged), /^Error/);
      assert.equal((await service.fetch("/")).status, 200);
    });

    it("answers HEAD although the body takes no end", async () => {
      assert.equal((await service.fetch("/unending", { method: "HEAD" })).status, 200);
      const call = service.session.openHttp(
        harness.openHttp("service", { method: "HEAD", url: "http://x/unending", headers: [] }),
        null,
      );
      await call.closed;
    });

    it("takes methods in lower case as the standard's Request does", async () => {
      for (const [method, expected] of [
        ["trace", 405],
        ["get", 200],
      ] as const) {
        const open = harness.openHttp("service", { method, url: "http://x/", headers: [], hasBody: true });
        const call = service.session.openHttp(open, Readable.from([Buffer.from("x")]));
        assert.equal((await call.head).status, expected);
        await call.closed;
      }
    });

    it("tells a client whose WebSocket handshake is none so, and no log", async () => {
      const lines: string[] = [];
      service.session.onLog(({ line }) => lines.push(line));
      const call = service.session.openHttp(handshake("/socket", "12"), null);
      const { status, headers } = await call.head;
      assert.deepEqual([status, new Headers(headers).get("sec-websocket-version")], [400, "13"]);
      await call.closed;
      assert.deepEqual(lines, []);
    });

    it("tells the client of a fault no more than that there is one", async () => {
      for (const [path, code] of [
        ["/nothing", "output_invalid"],
        ["/throws", "handler_error"],
      ] as const) {
        const answer = await service.fetch(path);
        const problem = (await answer.json()) as { code: string; detail: string };
        assert.deepEqual([answer.status, problem.code, problem.detail.includes("secret")], [500, code, false]);
      }
    });
  });

  const UNUSABLE: [what: string, code: string, message: RegExp][] = [
    ["nothing", "app.fetch(() => undefined as never)", /returned undefined, but must return a function/],
    [
      "a handler in place of a factory",
      "app.fetch((() => new Response()) as never)",
      /returned an object of class Response/,
    ],
    [
      "an app of Node's",
      "app.fetch(() => ({ listen() {}, use() {} }) as never)",
      /returned an object with listen, use/,
    ],
    ["what throws", "app.fetch(() => { throw new Error('no database') })", /no database.*app\.ts:3/],
    [
      "what is not there in time",
      "app.fetch({ startupTimeoutS: 0.05 }, () => new Promise<never>(() => {}))",
      /0\.05 s, the factory of service has not returned/,
    ],
  ];
  for (const [what, code, message] of UNUSABLE) {
    it(`does not start from ${what}`, async () => {
      const session = await startService(harness, { code: `export const service = ${code};` });
      await assert.rejects(session.ready, message);
      await session.ended;
    });
  }

  describe("becomes a WebSocket", () => {
    let service: RunningService;
    before(async () => {
      service = await start({
        packages: ["hono"],
        code: `
          import { upgradeWebSocket as accept } from "athanor";
          import { Hono } from "hono";
          import { defineWebSocketHelper, WSContext } from "hono/ws";
          const upgradeWebSocket = defineWebSocketHelper((c, events, options?: { protocol?: string }) => {
            if (c.req.header("upgrade") !== "websocket") return;
            const { socket, response } = accept(c.req.raw, options);
            const ws = new WSContext({
              raw: socket,
              get readyState() { return socket.readyState as 0 | 1 | 2 | 3; },
              get protocol() { return socket.protocol; },
              send: (data) => socket.send(data),
              close: (code, reason) => socket.close(code, reason),
            });
            socket.addEventListener("open", (event) => events.onOpen?.(event, ws));
            socket.addEventListener("message", (event) => events.onMessage?.(event, ws));
            socket.addEventListener("close", (event) => events.onClose?.(event, ws));
            return response;
          });
          const api = new Hono();
          api.use(async (c, next) => { c.res.headers.set("x-before", "1"); await next(); c.header("x-after", "2"); });
          api.get("/hono", upgradeWebSocket(() => ({ onOpen: (_, ws) => ws.send("hello"), onMessage: ({ data }, ws) => ws.send("got " + data) })));
          api.get("/echo", (c) => {
            const { socket, response } = accept(c.req.raw, { protocol: c.req.query("protocol"), perMessageDeflate: true });
            socket.binaryType = "arraybuffer";
            socket.onmessage = ({ data }) => socket.send(data);
            socket.onclose = ({ code, reason }) => console.log("closed " + code + " " + reason);
            return response;
          });
          api.get("/refused", (c) => { accept(c.req.raw); return c.text("no", 403); });
          api.get("/slow", async (c) => {
            const { response } = accept(c.req.raw);
            const left = new Promise((resolve) => c.req.raw.signal.addEventListener("abort", resolve));
            console.log("accepted");
            await left;
            return response;
          });
          api.get("/cuts", async (c) => {
            const { socket, response } = accept(c.req.raw);
            (socket as unknown as { terminate(): void }).terminate();
            await new Promise((resolve) => setImmediate(resolve));
            return response;
          });
          api.get("/closes", (c) => {
            const { socket, response } = accept(c.req.raw);
            socket.onopen = () => socket.close(4001, "enough");
            return response;
          });
          export const service = app.fetch(() => api);`,
      });
    });
    after(() => service[Symbol.asyncDispose]());

    const dial = (path: string, protocols: string[] = []) =>
      new WebSocket(`ws://127.0.0.1:${service.port}${path}`, protocols);

    it("whose call is open until it is closed", async () => {
      const socket = dial("/echo");
      await once(socket, "open");
      assert.equal(service.session.requests, 1);
      socket.terminate();
    });

    it("in Hono, by its own helper", async () => {
      const socket = dial("/hono");
      const heads: Record<string, unknown>[] = [];
      socket.once("upgrade", ({ headers }) => heads.push(headers));
      assert.equal(String((await once(socket, "message"))[0]), "hello");
      assert.deepEqual([heads[0]?.["x-before"], heads[0]?.["x-after"]], ["1", "2"]);
      socket.send("this");
      assert.equal(String((await once(socket, "message"))[0]), "got this");
      socket.close();
      await once(socket, "close");
    });

    it("that takes texts, bytes, fragments, large and compressed messages, and pings", async () => {
      const socket = dial("/echo?protocol=b", ["a", "b"]);
      await once(socket, "open");
      assert.deepEqual([socket.protocol, socket.extensions], ["b", "permessage-deflate"]);
      socket.send("text ☃");
      assert.deepEqual((await once(socket, "message")).map(String), ["text ☃", "false"]);
      const bytes = Buffer.alloc(3 * 2 ** 20, 7);
      socket.send(bytes);
      assert.deepEqual(await once(socket, "message"), [bytes, true]);
      socket.send("a", { fin: false });
      socket.send("b", { fin: true });
      assert.equal(String((await once(socket, "message"))[0]), "ab");
      socket.ping("beat");
      assert.equal(String((await once(socket, "pong"))[0]), "beat");
      const closed = new Promise((resolve) =>
        service.session.onLog(({ line }) => line.startsWith("closed") && resolve(line)),
      );
      socket.close(4000, "bye");
      assert.deepEqual((await once(socket, "close")).map(String), ["4000", "bye"]);
      assert.equal(await closed, "closed 4000 bye");
    });

    it("and is told when the connection breaks", async () => {
      const socket = dial("/echo");
      await once(socket, "open");
      const closed = new Promise((resolve) =>
        service.session.onLog(({ line }) => line.startsWith("closed") && resolve(line)),
      );
      socket.terminate();
      assert.equal(await closed, "closed 1006 ");
    });

    it("and may close it first", async () => {
      const socket = dial("/closes");
      assert.deepEqual((await once(socket, "close")).map(String), ["4001", "enough"]);
    });

    it("and its call ends where the client has left before the answer", async () => {
      const accepted = new Promise((resolve) =>
        service.session.onLog(({ line }) => line === "accepted" && resolve(line)),
      );
      const call = service.session.openHttp(handshake("/slow", "13"), null);
      call.head.catch(() => {});
      await accepted;
      call.cancel("disconnected");
      await call.closed;
    });

    it("and its call ends where the code has cut it before the answer", async () => {
      const call = service.session.openHttp(handshake("/cuts", "13"), null);
      await call.closed;
    });

    it("and outlives a client that breaks the protocol's rules", async () => {
      const upgrade = { "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==", "sec-websocket-version": "13" };
      const [, connection] = await once(
        get(`${service.url}/echo`, { headers: { ...upgrade, connection: "Upgrade", upgrade: "websocket" } }),
        "upgrade",
      );
      const closed = new Promise((resolve) =>
        service.session.onLog(({ line }) => line.startsWith("closed") && resolve(line)),
      );
      const RESERVED_OPCODE = Buffer.from([0x83, 0x80, 0, 0, 0, 0]);
      connection.resume().end(RESERVED_OPCODE);
      await once(connection, "close");
      assert.equal(await closed, "closed 1006 ");
      const socket = dial("/echo");
      await once(socket, "open");
      socket.terminate();
    });

    it("unless it answers otherwise, or the client does not offer the protocol", async () => {
      for (const [path, status] of [
        ["/refused", 403],
        ["/echo?protocol=z", 500],
      ] as const) {
        const [, response] = await once(dial(path), "unexpected-response");
        assert.equal(response.statusCode, status);
        response.destroy();
      }
      assert.equal((await service.fetch("/echo")).status, 500);
    });
  });
});
