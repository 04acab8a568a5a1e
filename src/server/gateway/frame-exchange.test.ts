import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectHttp2, constants, type IncomingHttpHeaders } from "node:http2";
import { connect } from "node:net";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { startGateway, type TestGateway } from "../../../test/harness/gateway.ts";
import { endpointSpec, serviceSpec } from "../../../test/harness/specs.ts";
import { tlsForTests } from "../../../test/harness/tls.ts";
import type { TlsKeyPair } from "../http/tls.ts";
import type { HttpCall } from "../replicas/session.ts";

type Pairs = [string, string][];

/** What a replica answers in frames; the framework's own runtime would not make it say some of this. */
interface Answer {
  headers: Pairs;
  status?: number;
  whole?: string;
  pieces?: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
  trailers?: Pairs;
  cancelled?: () => void;
}

const SERVICE = serviceSpec("api", "fetch", {}, { concurrency: 1000 });
const ENDPOINT = endpointSpec("api", { concurrency: 1000 }, { methods: ["GET", "POST"] });

function before(answer: () => Answer, tls: TlsKeyPair | null = null, fn = SERVICE): Promise<TestGateway> {
  return startGateway(
    [fn],
    (replica) => {
      replica.openHttp = () => {
        const { status = 200, headers, whole, pieces = [], trailers = [], cancelled } = answer();
        const closed = Promise.withResolvers<void>();
        return {
          head: Promise.resolve({ status, headers }),
          whole: () => (whole === undefined ? null : Buffer.from(whole)),
          body: pieces,
          trailers,
          closed: closed.promise,
          cancel: () => {
            cancelled?.();
            closed.resolve();
          },
        } as unknown as HttpCall;
      };
      return null;
    },
    tls,
  );
}

async function raw(port: number, bytes: string): Promise<string> {
  const socket = connect(port, "127.0.0.1").setEncoding("latin1");
  let all = "";
  socket.on("data", (text: string) => {
    all += text;
  });
  socket.on("error", () => {});
  socket.write(bytes);
  await once(socket, "close");
  return all;
}

test("an answer of another length than it says, before the request is read, cuts its connection alone", async () => {
  for (const answer of [{ whole: "short" }, { pieces: [Buffer.from("short")] }]) {
    await using gateway = await before(() => ({ headers: [["content-length", "10"]], ...answer }));
    const got = await raw(
      gateway.port,
      "POST /demo/api HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabcGET /x HTTP/1.1\r\n\r\n",
    );
    assert.equal(got.match(/HTTP\/1\.1/g)?.length, 1, got);
    assert.equal((await fetch(`${gateway.url}/nothing`)).status, 404);
  }
});

test("a stream of events of a declared length is waited for when the server stops", async () => {
  const more = Promise.withResolvers<void>();
  async function* pieces(): AsyncGenerator<Uint8Array> {
    yield Buffer.from("data: 1\n\n");
    await more.promise;
    yield Buffer.from("data: 2\n\n");
  }
  await using gateway = await before(() => ({
    headers: [
      ["content-type", "text/event-stream"],
      ["content-length", "18"],
    ],
    pieces: pieces(),
  }));
  const response = await fetch(`${gateway.url}/api`);
  gateway.stop.abort();
  more.resolve();
  assert.equal(await response.text(), "data: 1\n\ndata: 2\n\n");
});

test("of what a superseded deployment answers, the events of a GET end after drainTimeoutS, and all else is waited for", async () => {
  for (const [method, type, whole] of [
    ["GET", "text/event-stream", "1"],
    ["POST", "text/event-stream", "12"],
    ["GET", "application/x-ndjson", "12"],
  ]) {
    const more = Promise.withResolvers<void>();
    async function* pieces(): AsyncGenerator<Uint8Array> {
      yield Buffer.from("1");
      await more.promise;
      yield Buffer.from("2");
    }
    await using gateway = await before(() => ({ headers: [["content-type", String(type)]], pieces: pieces() }));
    const response = await fetch(`${gateway.url}/api`, { method: String(method) });
    const [group] = gateway.scheduler.groups();
    gateway.scheduler.retire(1);
    group?.ending.now();
    more.resolve();
    assert.equal(await response.text(), whole, `${method} ${type}`);
  }
});

test("headers that HTTP cannot carry, and lengths that are none, are left out", async () => {
  await using gateway = await before(() => ({
    headers: [
      ["x-bad", "a\x01b"],
      ["x-good", "1"],
      ["content-length", "two"],
      ["content-length", "2"],
      ["content-length", "7"],
    ],
    whole: "ok",
  }));
  const response = await fetch(`${gateway.url}/api`);
  assert.deepEqual([response.status, await response.text()], [200, "ok"]);
  assert.deepEqual(
    ["x-bad", "x-good", "content-length"].map((name) => response.headers.get(name)),
    [null, "1", "2"],
  );
  assert.deepEqual(gateway.logged, []);
});

test("over HTTP/2 trailers that belong to one connection are left out, and those of one name joined", async () => {
  await using undo = new AsyncDisposableStack();
  const { tls, ca } = await tlsForTests(undo);
  await using gateway = await before(
    () => ({
      headers: [],
      pieces: [Buffer.from("ok")],
      trailers: [
        ["a", "1"],
        ["a", "2"],
        ["etag", "1"],
        ["etag", "2"],
        ["proxy-connection", "x"],
        ["http2-settings", "y"],
        ["x-bad", "a\x01b"],
      ],
    }),
    tls,
  );
  const session = connectHttp2(`https://127.0.0.1:${gateway.port}`, { ca });
  undo.defer(() => session.destroy());
  const stream = session.request({ ":path": "/demo/api" });
  const trailers = once(stream, "trailers");
  await once(stream.resume(), "close");
  const [got] = (await trailers) as [IncomingHttpHeaders];
  assert.deepEqual(Object.entries(got), [
    ["a", "1, 2"],
    ["etag", "1, 2"],
  ]);
});

for (const [what, fn] of [
  ["a service", SERVICE],
  ["an endpoint", ENDPOINT],
] as const)
  test(`what clients of HTTP/2 ask ${what} and reset as soon as it is sent takes no place for longer`, async () => {
    await using undo = new AsyncDisposableStack();
    const { tls, ca } = await tlsForTests(undo);
    let opened = 0;
    let cancelled = 0;
    const never = new Promise<void>(() => {});
    async function* pieces(): AsyncGenerator<Uint8Array> {
      yield Buffer.from("x");
      await never;
    }
    await using gateway = await before(
      () => {
        opened++;
        return { headers: [], pieces: pieces(), cancelled: () => cancelled++ };
      },
      tls,
      fn,
    );
    const session = connectHttp2(`https://127.0.0.1:${gateway.port}`, { ca });
    undo.defer(() => session.destroy());
    await once(session, "connect");
    const first = session.request({ ":path": "/demo/api" });
    await once(
      first.on("error", () => {}),
      "response",
    );
    first.close(constants.NGHTTP2_CANCEL);
    for (let i = 0; i < 100; i++) {
      const stream = session.request({ ":method": "POST", ":path": "/demo/api" }).on("error", () => {});
      stream.end("ab");
      stream.close(constants.NGHTTP2_CANCEL);
    }
    const [alive] = (await once(session.request({ ":path": "/demo/nothing" }), "response")) as [IncomingHttpHeaders];
    assert.equal(alive[":status"], 404);
    while (cancelled < opened) await turn();
    while ([...gateway.scheduler.groups()].some(({ load }) => load > 0)) await turn();
    assert.equal(gateway.starter.replicas.length, 1);
  });

test("over HTTP/2 a stream of events of a declared length is waited for when the server stops, and another is ended", async () => {
  await using undo = new AsyncDisposableStack();
  const { tls, ca } = await tlsForTests(undo);
  for (const length of ["18", null]) {
    const more = Promise.withResolvers<void>();
    async function* pieces(): AsyncGenerator<Uint8Array> {
      yield Buffer.from("data: 1\n\n");
      await more.promise;
      yield Buffer.from("data: 2\n\n");
    }
    const headers: Pairs = [
      ["content-type", "text/event-stream"],
      ...(length === null ? [] : ([["content-length", length]] as Pairs)),
    ];
    await using gateway = await before(() => ({ headers, pieces: pieces() }), tls);
    const session = connectHttp2(`https://127.0.0.1:${gateway.port}`, { ca });
    undo.defer(() => session.destroy());
    const stream = session.request({ ":path": "/demo/api" }).setEncoding("utf8");
    let text = "";
    stream.on("data", (piece: string) => {
      text += piece;
    });
    await once(stream, "data");
    gateway.stop.abort();
    more.resolve();
    await once(stream, "close");
    assert.equal(text, length === null ? "data: 1\n\n" : "data: 1\n\ndata: 2\n\n");
    assert.equal(stream.rstCode, constants.NGHTTP2_NO_ERROR);
    assert.deepEqual(gateway.logged, []);
  }
});
