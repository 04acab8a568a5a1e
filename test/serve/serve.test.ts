/** `app.serve()`: an app's endpoints and fetch services in the test's own process, as a server answers them. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { cp, mkdir, mkdtemp, readdir, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { type IncomingMessage, request } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { duplexPair } from "node:stream";
import { after, before, describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import type { App, ServedApp } from "athanor";
import { WebSocket } from "ws";
import { build } from "../../src/build/index.ts";
import { TestHost } from "../../src/testing/host.ts";
import { startTestServer, type TestServer } from "../harness/server.ts";
import { app, closed, state } from "./apps/served.ts";

const APP = path.join(import.meta.dirname, "apps/served.ts");

describe("app.serve()", () => {
  let served: ServedApp;
  let server: TestServer;
  before(async () => {
    served = await app.serve({ token: "token-of-the-test" });
    server = await startTestServer();
    await server.api.deploy(await build({ entry: APP }));
  });
  after(async () => {
    await served.close();
    await server[Symbol.asyncDispose]();
  });

  const post = (body: unknown, headers: Record<string, string> = {}): RequestInit => ({
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });

  /** What tells two answers apart, but for what is of one process or moment. */
  const shown = async (response: Response) => {
    const kept = ["content-type", "allow", "vary", "access-control-allow-origin", "www-authenticate", "x-own"];
    const headers = Object.fromEntries(kept.map((name) => [name, response.headers.get(name)]));
    const text = await response.text();
    assert.match(response.headers.get("x-request-id") ?? "", /./);
    return { status: response.status, headers, text: text.replaceAll("/served/", "/").replaceAll("/served", "") };
  };

  const unworded = (answer: { status: number; headers: object; text: string }) => {
    const { detail: _, hint: __, ...problem } = JSON.parse(answer.text) as { detail: string; hint: string };
    return { ...answer, text: problem };
  };

  const CASES: [string, string, RequestInit?][] = [
    ["a query", "/hello?name=Ada&times=2"],
    ["an invalid query", "/hello?name=&times=x"],
    ["HEAD", "/hello?name=Ada", { method: "HEAD" }],
    ["a JSON body", "/sum", post({ numbers: [1, 2, 3] })],
    ["PUT", "/sum", { ...post({ numbers: [] }), method: "PUT" }],
    ["an invalid body", "/sum", post({ numbers: ["1"] })],
    ["an unknown parameter", "/sum", post({ numbers: [], more: 1 })],
    ["malformed JSON", "/sum", { ...post(null), body: "{" }],
    ["another media type", "/sum", { ...post(null, { "content-type": "text/plain" }), body: "1" }],
    [
      "a urlencoded form",
      "/sum",
      {
        method: "POST",
        body: new URLSearchParams([
          ["numbers", "1"],
          ["numbers", "2"],
        ]),
      },
    ],
    ["a large body", "/sum", post({ numbers: Array.from({ length: 100_000 }, (_, n) => n) })],
    ["a method that is not allowed", "/sum", { method: "DELETE" }],
    ["OPTIONS", "/sum", { method: "OPTIONS" }],
    ["a request of another origin", "/hello?name=Ada", { headers: { origin: "https://example.com" } }],
    [
      "a preflight",
      "/hello",
      { method: "OPTIONS", headers: { origin: "https://example.com", "access-control-request-method": "GET" } },
    ],
    ["an endpoint that throws", "/fails", post({})],
    ["an endpoint that breaks its word", "/wrong", post({})],
    ["a generator", "/stream?to=3"],
    ["a generator as events", "/stream?to=2", { headers: { accept: "text/event-stream" } }],
    ["a raw request", "/raw", { method: "POST", body: "text" }],
    ["a call past its time", "/slow", post({})],
    ["an endpoint for holders of the token", "/secret"],
    ["a path that is not there", "/nothing"],
    ["a fetch service", "/api/some/path?x=1"],
    ["a wish for a job, which need not be heeded", "/openapi.json"],
  ];
  for (const [what, at, init] of CASES) {
    it(`answers as a server does: ${what}`, async () => {
      const here = await shown(await fetch(`${served.url}${at}`, init));
      const there = await shown(await fetch(`${server.url}/served${at}`, init));
      if (at === "/openapi.json") {
        const [a, b] = [here, there].map(({ text }) => JSON.parse(text) as { paths: object; components: object });
        assert.deepEqual([a?.paths, a?.components], [b?.paths, b?.components]);
        return;
      }
      // Whose token it is, and where its index is, is each one's own.
      const isWorded = here.status === 401 || here.status === 404;
      assert.deepEqual(isWorded ? unworded(here) : here, isWorded ? unworded(there) : there);
    });
  }

  it("runs the code that this process has imported", async () => {
    const { greeted } = state;
    await (await fetch(`${served.url}/hello?name=Ada`)).text();
    assert.equal(state.greeted, greeted + 1);
  });

  it("has the docs, and an index of what it serves", async () => {
    const docs = await fetch(`${served.url}/docs`);
    assert.deepEqual([docs.status, docs.headers.get("content-type")], [200, "text/html; charset=utf-8"]);
    const index = (await (await fetch(served.url)).json()) as { functions: { url: string }[] };
    assert.ok(index.functions.some(({ url }) => url === "/hello"));
  });

  it("opens what is for holders of the token to them", async () => {
    const ask = (token: string) => fetch(`${served.url}/secret`, { headers: { authorization: `Bearer ${token}` } });
    assert.equal((await ask("token-of-the-test")).status, 200);
    assert.equal((await ask("another")).status, 401);
  });

  it("says that it keeps no jobs", async () => {
    for (const [at, init] of [
      ["/queued", post({ n: 1 })],
      ["/sum", post({ numbers: [] }, { "idempotency-key": "once" })],
    ] as const) {
      const response = await fetch(`${served.url}${at}`, init);
      assert.deepEqual(
        [response.status, ((await response.json()) as { code: string }).code],
        [501, "jobs_unavailable"],
      );
    }
  });

  describe("a WebSocket of a fetch service", () => {
    const dial = (to: ServedApp, target = "/api/echo", protocols: string[] = []): WebSocket =>
      new WebSocket(`${to.url.replace("http", "ws")}${target}`, protocols);
    const message = async (socket: WebSocket): Promise<unknown> => {
      const [data, isBinary] = (await once(socket, "message")) as [Buffer, boolean];
      return isBinary ? data : data.toString();
    };

    it("has texts, bytes, long and compressed ones, pings, its protocol, and headers that were added", async () => {
      const socket = dial(served, "/api/echo?protocol=b", ["a", "b"]);
      const greeted = message(socket);
      const [answer] = (await once(socket, "upgrade")) as [IncomingMessage];
      assert.equal(answer.headers["x-added"], "1");
      assert.match(answer.headers["x-request-id"] as string, /./);
      assert.equal(await greeted, "/api");
      assert.deepEqual([socket.protocol, socket.extensions], ["b", "permessage-deflate"]);
      for (const sent of ["hello", Buffer.from([0, 255]), "x".repeat(500_000), Buffer.alloc(300_000, 7)]) {
        const echoed = message(socket);
        socket.send(sent);
        assert.deepEqual(await echoed, sent);
      }
      const echoed = message(socket);
      socket.send("in ", { fin: false });
      socket.send("pieces", { fin: true });
      assert.equal(await echoed, "in pieces");
      const ponged = once(socket, "pong");
      socket.ping("p");
      assert.equal(String((await ponged)[0]), "p");
      const over = once(socket, "close");
      socket.close(4000, "enough");
      assert.deepEqual((await over)[0], 4000);
      while (closed.length === 0) await turn();
      assert.deepEqual(closed.splice(0), [[4000, "enough"]]);
    });

    it("is closed with 1009 by a message that is too long", async () => {
      const socket = dial(served);
      await message(socket);
      const over = once(socket, "close");
      socket.send("x".repeat(1_000_001));
      assert.equal((await over)[0], 1009);
      while (closed.length === 0) await turn();
      closed.length = 0;
    });

    it("is told to its code as broken where the client only goes", async () => {
      const socket = dial(served);
      await message(socket);
      socket.terminate();
      while (closed.length === 0) await turn();
      assert.deepEqual(closed.splice(0), [[1006, ""]]);
    });

    it("is refused by the code, by what is no service, and where the handshake is none", async () => {
      for (const [target, status, headers] of [
        ["/api/echo?refuse", 403, {}],
        ["/api/else", 203, {}],
        ["/hello?name=Ada", 200, {}],
        ["/nothing", 404, {}],
        ["/api/echo", 400, { "sec-websocket-version": "12" }],
      ] as const) {
        const sent = request(`${served.url}${target}`, {
          headers: {
            connection: "upgrade",
            upgrade: "websocket",
            "sec-websocket-version": "13",
            "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
            ...headers,
          },
        }).end();
        const [response] = (await once(sent, "response")) as [IncomingMessage];
        assert.equal(response.statusCode, status, target);
        await once(response.resume(), "close");
      }
      closed.length = 0;
    });

    it("is no switch behind an answer that is still due on its connection", async () => {
      const connection = connect(served.port, "127.0.0.1").setEncoding("latin1");
      const head = "Host: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
      connection.write(`GET /hello?name=Ada HTTP/1.1\r\nHost: x\r\n\r\nGET /api/else HTTP/1.1\r\n${head}`);
      let text = "";
      for await (const piece of connection) text += piece;
      assert.deepEqual(text.match(/HTTP\/1\.1 \d+/g), ["HTTP/1.1 200", "HTTP/1.1 203"]);
    });

    it("is told 1001 when its app is closed, and cut where it does not answer", async () => {
      const other = await app.serve();
      const socket = dial(other);
      await message(socket);
      const deaf = dial(other);
      await message(deaf);
      deaf.pause();
      const told = once(socket, "close");
      const ended = other.close();
      const [code, reason] = (await told) as [number, Buffer];
      assert.deepEqual([code, String(reason)], [1001, "the server stops"]);
      await ended;
      deaf.terminate();
      while (closed.length < 2) await turn();
      assert.deepEqual(
        closed
          .splice(0)
          .map(([code]) => code)
          .sort(),
        [1001, 1006],
      );
    });
  });

  it("is closed twice, and takes no more then", async () => {
    const other = await app.serve();
    const { url, port } = other;
    assert.equal(url, `http://127.0.0.1:${port}`);
    await other.close();
    await other.close();
    await assert.rejects(fetch(`${url}/hello?name=Ada`));
    await assert.rejects(app.serve({ port: Number(new URL(served.url).port) }), { code: "config_invalid" });
  });
});

describe("app.serve() of other files", () => {
  let dir: string;
  before(async () => {
    dir = await realpath(await mkdtemp(path.join(tmpdir(), "athanor-serve-test-")));
    await mkdir(path.join(dir, "node_modules/@types"), { recursive: true });
    await symlink(path.join(import.meta.dirname, "../.."), path.join(dir, "node_modules/athanor"));
    await symlink(
      path.join(import.meta.dirname, "../../node_modules/@types/node"),
      path.join(dir, "node_modules/@types/node"),
    );
    await writeFile(path.join(dir, "package.json"), '{ "type": "module" }');
  });
  after(() => rm(dir, { recursive: true, force: true }));

  const load = async (name: string, text: string): Promise<{ app: App }> => {
    await writeFile(path.join(dir, name), text);
    return import(pathToFileURL(path.join(dir, name)).href);
  };
  const HEAD = 'import { App } from "athanor";\nexport const app = new App("other");\n';

  it("keeps what was built until a file that decided it changes", async () => {
    const source = `${HEAD}export const f = app.endpoint("/f", { methods: ["GET"] }, (n: number) => n);\n`;
    const cache = path.join(dir, "node_modules/.cache/athanor");
    const { app: first } = await load("a.ts", source);
    await (await first.serve()).close();
    const [kept = ""] = (await readdir(cache)).filter((name) => name.endsWith(".json"));
    await cp(path.join(cache, kept), path.join(dir, "kept.json"));
    await using again = await first.serve();
    assert.equal((await fetch(`${again.url}/f?n=x`)).status, 422);
    // The same code, other types: what this process has imported is tied to the new ones.
    await writeFile(path.join(dir, "a.ts"), source.replace("n: number", "n: string"));
    await using changed = await first.serve();
    assert.equal(await (await fetch(`${changed.url}/f?n=x`)).text(), '"x"');
  });

  it("does not call what a client has asked for that has left", async () => {
    const host = await TestHost.open(app as never, { entry: APP });
    const before = state.summed;
    const [client, connection] = duplexPair();
    host.server.emit("connection", connection);
    client.write("POST /sum HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 14\r\n\r\n");
    client.write('{"numbers":[]}');
    const [request] = await once(host.server, "request");
    request.socket.destroy();
    // The body is read in the next turn of the event loop, and the function called in the one after it, if it is.
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(state.summed, before);
    await host.close();
  });

  it("says what is wrong: with the types, with the entry, with what is registered", async () => {
    const { app: unfit } = await load("b.ts", `${HEAD}export const f = app.endpoint("/f", (g: () => void) => 1);\n`);
    await assert.rejects(unfit.serve(), { code: "type_not_serialisable" });
    await assert.rejects(unfit.serve({ entry: path.join(dir, "none.ts") }), {
      code: "usage",
      detail: /none\.ts, is not there/,
    });
    const { app: more } = await load("c.ts", `${HEAD}export const f = app.function(() => 1);\n`);
    more.function(() => 2);
    await assert.rejects(more.serve(), {
      code: "usage",
      detail: /registered 2 functions of the app other, and .*c\.ts has 1/,
    });
    await assert.rejects(more.serve({ entry: APP }), { code: "usage", detail: /makes the app served, not other/ });
  });
});
