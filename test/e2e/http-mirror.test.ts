/** What the gateway takes a request for is what the service behind it gets: the corpus again, with services that answer with what reached them. */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { build } from "../../src/build/index.ts";
import { type Answer, parseAnswers } from "../fuzz/exchange.ts";
import { startTestServer, type TestServer } from "../harness/server.ts";
import { bytesOf, type Case, CORPUS } from "./http-corpus.ts";

interface Mirrored {
  method: string;
  url: string;
  rawHeaders: string[];
  body: string;
}

let server: TestServer;
let port: number;

before(async () => {
  // So that the corpus's host, web.test, is the app's.
  server = await startTestServer({ domain: "test" });
  port = Number(new URL(server.url).port);
  await server.api.deploy(await build({ entry: join(import.meta.dirname, "apps/mirror.ts") }));
});
after(() => server?.[Symbol.asyncDispose]());

/** The answers, once there are so many, or the server closes the connection. */
function send(bytes: Buffer, count: number): Promise<Answer[]> {
  return new Promise((resolve) => {
    let received = Buffer.alloc(0);
    const socket = connect({ port, host: "127.0.0.1" });
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      const whole = wholeAnswers(received);
      if (whole.length >= count) socket.destroy();
    });
    socket.once("close", () => resolve(wholeAnswers(received)));
    socket.write(bytes);
  });
}

function wholeAnswers(received: Buffer): Answer[] {
  try {
    return parseAnswers(received);
  } catch {
    // The last is not whole yet.
    return [];
  }
}

/** With another Host; null where its own is what it is about, or where its body is of that length. */
function at(host: string, item: Case): Case | null {
  if (host === "web.test") return item;
  return /in a body|host/i.test(item.name) ? null : { ...item, bytes: item.bytes.replaceAll("web.test", host) };
}

const isForApp = ({ expect }: Case): boolean =>
  "refused" in expect || (expect.read.path !== "*" && /^web\.test(?::80)?$/.test(expect.read.host ?? "web.test"));

for (const [kind, host] of [
  ["a Node service", "web.test"],
  ["a fetch service", "web--web.test"],
] as const) {
  describe(`the corpus before ${kind}`, () => {
    for (const original of CORPUS.filter(isForApp)) {
      const item = at(host, original);
      if (item === null) continue;
      it(item.name, async () => {
        const { expect } = item;
        if ("refused" in expect) {
          const answers = await send(bytesOf(item), Number.POSITIVE_INFINITY);
          assert.equal(answers.length, 1);
          assert.ok((answers[0]?.status ?? 0) >= 400);
          return;
        }
        const { read, answers: count = 1 } = expect;
        const answers = await send(bytesOf(item), count);
        assert.deepEqual(
          answers.map(({ status }) => status),
          Array.from({ length: count }, () => 200),
        );
        const seen = JSON.parse(answers.at(-1)?.body.toString() ?? "") as Mirrored;
        assert.equal(seen.method, read.method);
        const [path = "", search = ""] = split(seen.url);
        assert.equal(decodeURIComponent(path.replaceAll(/%(?=2f|5c)/gi, "%25")), read.path);
        if (read.search !== undefined) assert.equal(decodeURIComponent(search), read.search);
        // A Web request with GET has no body.
        if (read.body !== undefined && (kind === "a Node service" || read.method !== "GET"))
          assert.equal(seen.body.replaceAll("\r\n", "\n"), read.body);
        const names = seen.rawHeaders.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase());
        assert.equal(names.filter((name) => name === "host").length, 1);
        for (const name of ["http2-settings", "upgrade", "keep-alive"]) assert.ok(!names.includes(name), name);
      });
    }
  });
}

const split = (url: string): [string, string] => {
  const at = url.indexOf("?");
  return at < 0 ? [url, ""] : [url.slice(0, at), url.slice(at + 1)];
};

describe("what is refused", () => {
  it("hides no request that reaches a service", async () => {
    for (const item of CORPUS) if ("refused" in item.expect) await send(bytesOf(item), Number.POSITIVE_INFINITY);
    const [answer] = await send(Buffer.from("GET /count HTTP/1.1\r\nHost: web.test\r\n\r\n"), 1);
    assert.equal(answer?.body.toString(), "0");
  });
});

describe("fields that a client may not set", () => {
  it("are the server's own, whatever the Connection field names", async () => {
    const lines = [
      "GET /a HTTP/1.1",
      "Host: web.test",
      "Connection: close, X-Forwarded-For, X-Request-Id, Host, Authorization, Traceparent, X-Drop",
      "Authorization: Bearer own",
      "X-Forwarded-For: 6.6.6.6",
      "X_Forwarded_For: 6.6.6.6",
      "X-Forwarded-Proto: https",
      "X-Forwarded-Prefix: /evil",
      "Forwarded: for=6.6.6.6",
      "X-Real-Ip: 6.6.6.6",
      "Proxy: http://evil.test",
      "X-Drop: 1",
      "Traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
      "Tracestate: a=1",
    ];
    const [answer] = await send(Buffer.from(`${lines.join("\r\n")}\r\n\r\n`), 1);
    const { rawHeaders } = JSON.parse(answer?.body.toString() ?? "") as Mirrored;
    const pairs = rawHeaders.flatMap((name, index) =>
      index % 2 === 0 ? [[name.toLowerCase(), rawHeaders[index + 1]]] : [],
    );
    const { "x-request-id": id, ...seen } = Object.fromEntries(pairs) as Record<string, string>;
    assert.equal(pairs.length, Object.keys(seen).length + 1, "none is there twice");
    assert.match(id ?? "", /^[0-9a-f-]{36}$/);
    assert.deepEqual(seen, {
      host: "web.test",
      authorization: "Bearer own",
      "x-forwarded-for": "127.0.0.1",
      "x-forwarded-host": "web.test",
      "x-forwarded-proto": "http",
      "x-forwarded-prefix": "",
      traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
      tracestate: "a=1",
      ...(seen.connection === undefined ? {} : { connection: seen.connection }),
    });
  });
});
