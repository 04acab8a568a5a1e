/** HTTPS and HTTP/2 on a real server: endpoints, the API, streams, certificates that change. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { type ClientHttp2Session, connect as connectHttp2, constants, type IncomingHttpHeaders } from "node:http2";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { after, before, describe, it } from "node:test";
import { connect as connectTls } from "node:tls";
import { build } from "../../src/build/index.ts";
import type { AthanorError } from "../../src/protocol/errors.ts";
import { resolveConfig } from "../../src/server/config.ts";
import { type RunningServer, startServer } from "../../src/server/main.ts";
import { selfSigned } from "../harness/certificate.ts";
import { ServerProcess } from "../harness/server.ts";
import { CliRun } from "./cli-process.ts";

const { cert, key } = selfSigned(["localhost", "web.localhost"]);
let folder: string;
let server: RunningServer;
let session: ClientHttp2Session;
const certFile = (): string => join(folder, "cert.pem");
const keyFile = (): string => join(folder, "key.pem");

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "athanor-tls-"));
  await writeFile(certFile(), cert);
  await writeFile(keyFile(), key, { mode: 0o600 });
  const flags = { port: 0, logLevel: "silent", data: join(folder, "data"), tlsCert: certFile(), tlsKey: keyFile() };
  server = await startServer(resolveConfig(flags, {}));
  session = connectHttp2(server.url, { ca: cert });
  const upload = await build({ entry: join(import.meta.dirname, "apps/http.ts") });
  const deployed = await ask("POST", "/v1/deployments", upload, { authorization: `Bearer ${server.token}` });
  assert.equal(deployed.status, 201, deployed.text);
});
after(async () => {
  session?.destroy();
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
}

async function ask(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const json = body === undefined ? {} : { "content-type": "application/json" };
  const stream = session.request(
    { ":method": method, ":path": path, ...json, ...headers },
    { endStream: body === undefined },
  );
  if (body !== undefined) stream.end(JSON.stringify(body));
  const [answer] = (await once(stream, "response")) as [IncomingHttpHeaders & { ":status": number }];
  let text = "";
  stream.setEncoding("utf8");
  for await (const chunk of stream) text += chunk;
  return { status: answer[":status"], headers: answer, text };
}

/** Over TLS and HTTP/1.1. */
async function ask1(path: string, host?: string): Promise<Answer & { protocol: string | false | null }> {
  const sent = request(`${server.url}${path}`, { ca: cert, headers: host === undefined ? {} : { host } }).end();
  const [response] = await once(sent, "response");
  const { alpnProtocol } = response.socket as { alpnProtocol: string | false | null };
  let text = "";
  for await (const chunk of response.setEncoding("utf8")) text += chunk;
  return { status: response.statusCode, headers: response.headers, text, protocol: alpnProtocol };
}

describe("HTTP/2 and HTTP/1.1 on one port with TLS", () => {
  it("serves endpoints, with bodies and without", async () => {
    assert.equal(new URL(server.url).protocol, "https:");
    const hello = await ask("GET", "/web/hello?name=ann");
    assert.deepEqual([hello.status, hello.text], [200, '{"message":"hello ann"}']);
    assert.ok(hello.headers["x-request-id"]);
    const echo = await ask("POST", "/web/echo", { text: "a", tags: ["b"] });
    assert.deepEqual([echo.status, JSON.parse(echo.text)], [200, { text: "a", count: null, tags: ["b"] }]);
    const one = await ask1("/web/hello?name=bob");
    assert.deepEqual([one.status, one.text], [200, '{"message":"hello bob"}']);
    assert.equal((await ask("HEAD", "/web/hello")).text, "");
    assert.equal((await ask("OPTIONS", "/web/hello")).status, 204);
    assert.equal((await ask("GET", "/healthz")).status, 200);
    const whole = await ask("OPTIONS", "*");
    assert.deepEqual([whole.status, whole.headers.allow], [204, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"]);
  });

  it("says https in what it tells of itself, and finds apps by host", async () => {
    const job = await ask("POST", "/web/work", { n: 1 });
    if (job.status === 202) assert.match(String(job.headers.location), /^https:\/\//);
    const document = JSON.parse((await ask("GET", "/web/openapi.json")).text) as { servers: { url: string }[] };
    assert.match(document.servers[0]?.url ?? "", /^https:\/\/127\.0\.0\.1:\d+\/web$/);
    const byHost = await ask1("/hello?name=host", `web.localhost:${server.port}`);
    assert.equal(byHost.text, '{"message":"hello host"}');
  });

  it("answers problems", async () => {
    const missing = await ask("GET", "/web/none");
    assert.deepEqual([missing.status, missing.headers["content-type"]], [404, "application/problem+json"]);
    assert.equal((await ask("POST", "/web/hello", {})).status, 405);
    assert.equal((await ask("GET", "/v1/jobs")).status, 401);
    assert.equal((await ask("GET", "/web/%2e%2e/x")).status, 400);
    assert.equal(
      (await ask("GET", "/web/hello", undefined, { ":authority": "localhost", host: "evil.test" })).status,
      400,
    );
    assert.equal((await ask("TRACE", "/web/hello")).status, 405);
    assert.equal((await ask("GET", `/web/${"a".repeat(9000)}`)).status, 414);
    assert.equal((await ask("POST", "/web/echo", { text: "a".repeat(11 << 20) })).status, 413);
  });

  it("streams events, and tells a handler that its client reset the stream", async () => {
    const authorization = `Bearer ${server.token}`;
    const events = session.request({ ":path": "/v1/events", authorization });
    const [head] = (await once(events, "response")) as [IncomingHttpHeaders];
    assert.match(String(head["content-type"]), /^text\/event-stream/);
    events.close(constants.NGHTTP2_CANCEL);
    await once(events, "close");
    const aborted = async (): Promise<number> => Number((await ask("GET", "/web/aborted")).text);
    const before = await aborted();
    const hang = session.request({ ":method": "GET", ":path": "/web/hang" });
    hang.on("error", () => {});
    while ((await inFlight()) === 0);
    hang.close(constants.NGHTTP2_CANCEL);
    while ((await aborted()) === before);
  });

  /** Calls of `hang` under way. */
  async function inFlight(): Promise<number> {
    const { text } = await ask("GET", "/v1/replicas", undefined, { authorization: `Bearer ${server.token}` });
    const { items } = JSON.parse(text) as { items: { requests: number }[] };
    return items.reduce((sum, { requests }) => sum + requests, 0);
  }

  /** Frames as bytes, of a client that keeps to no rule, until the server closes the connection. */
  async function flood(frames: Buffer): Promise<void> {
    const socket = connectTls({ port: server.port, host: "127.0.0.1", ca: cert, ALPNProtocols: ["h2"] });
    socket.on("error", () => {});
    await once(socket, "secureConnect");
    const closed = once(socket, "close");
    socket.resume().write(Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(4, 0, 0)]));
    for (let sent = 0; sent < 1000 && socket.writable; sent++) {
      if (!socket.write(frames)) await Promise.race([once(socket, "drain"), closed]);
    }
    await closed;
    assert.equal((await ask("GET", "/healthz")).status, 200);
  }

  function frame(type: number, flags: number, stream: number, payload = Buffer.alloc(0)): Buffer {
    const head = Buffer.alloc(9);
    head.writeUIntBE(payload.length, 0, 3);
    head[3] = type;
    head[4] = flags;
    head.writeUInt32BE(stream, 5);
    return Buffer.concat([head, payload]);
  }

  /** GET, https, `/`, for localhost. */
  const FIELDS = Buffer.concat([Buffer.from([0x82, 0x87, 0x84, 0x41, 9]), Buffer.from("localhost")]);

  it("ends a connection that opens and resets streams without end", async () => {
    const pairs: Buffer[] = [];
    for (let stream = 1; stream < 6000; stream += 2)
      pairs.push(frame(1, 5, stream, FIELDS), frame(3, 0, stream, Buffer.from([0, 0, 0, 8])));
    await flood(Buffer.concat(pairs));
  });

  it("ends a connection whose head goes on without end, or that pings and sets without end", async () => {
    const more = frame(9, 0, 1, Buffer.from("0001610162", "hex"));
    await flood(Buffer.concat([frame(1, 0, 1, FIELDS), ...Array.from({ length: 1000 }, () => more)]));
    await flood(Buffer.concat(Array.from({ length: 1000 }, () => frame(4, 0, 0, Buffer.from("000300000064", "hex")))));
  });

  it("takes nothing older than TLS 1.2, and no plain HTTP", async () => {
    const old = connectTls({
      port: server.port,
      host: "127.0.0.1",
      ca: cert,
      maxVersion: "TLSv1.1",
      minVersion: "TLSv1",
    });
    await assert.rejects(once(old, "secureConnect"));
    await assert.rejects(fetch(`http://127.0.0.1:${server.port}/healthz`));
  });
});

describe("services over TLS", () => {
  before(async () => {
    const upload = await build({ entry: join(import.meta.dirname, "apps/mirror.ts") });
    const deployed = await ask("POST", "/v1/deployments", upload, { authorization: `Bearer ${server.token}` });
    assert.equal(deployed.status, 201, deployed.text);
  });

  it("get requests of HTTP/2 as those of HTTP/1.1, with one host, one cookie field and their body", async () => {
    for (const [path, url] of [
      ["/web/x%2Fy?a=1", "/x%2Fy?a=1"],
      ["/web/fetched/x%2Fy?a=1", "/x%2Fy?a=1"],
    ] as const) {
      const stream = session.request({ ":method": "POST", ":path": path, cookie: ["a=1", "b=2"], "x-own": "1" });
      stream.write("one ");
      stream.end("two");
      const [head] = (await once(stream, "response")) as [IncomingHttpHeaders & { ":status": number }];
      let text = "";
      for await (const chunk of stream.setEncoding("utf8")) text += chunk;
      assert.equal(head[":status"], 200, text);
      const seen = JSON.parse(text) as { method: string; url: string; body: string; rawHeaders: string[] };
      assert.deepEqual([seen.method, seen.url, seen.body], ["POST", url, "one two"]);
      const fields = (name: string) => seen.rawHeaders.filter((_, i) => i % 2 === 1 && seen.rawHeaders[i - 1] === name);
      assert.deepEqual(["host", "cookie", "x-own", "x-forwarded-proto"].map(fields), [
        [`127.0.0.1:${server.port}`],
        ["a=1; b=2"],
        ["1"],
        ["https"],
      ]);
      assert.ok(!seen.rawHeaders.some((name) => name.startsWith(":")));
    }
  });

  it("answer over HTTP/2 with early hints, several cookies and trailers, and without fields of a connection", async () => {
    const stream = session.request({ ":path": "/web/all" });
    const hints = once(stream, "headers");
    const [head] = (await once(stream, "response")) as [IncomingHttpHeaders & { ":status": number }];
    const trailers = once(stream, "trailers");
    let text = "";
    for await (const chunk of stream.setEncoding("utf8")) text += chunk;
    const [hint] = (await hints) as [IncomingHttpHeaders & { ":status": number }];
    assert.deepEqual([hint[":status"], hint.link], [103, "</style.css>; rel=preload"]);
    assert.deepEqual([head[":status"], text, head["set-cookie"]], [200, "body", ["a=1", "b=2"]]);
    assert.deepEqual(
      [head.connection, head["keep-alive"], head["transfer-encoding"]],
      [undefined, undefined, undefined],
    );
    assert.equal(((await trailers) as [IncomingHttpHeaders])[0]["x-sum"], "7");
  });

  it("have WebSockets over HTTP/1.1", async () => {
    const key = Buffer.alloc(16).toString("base64");
    const headers = {
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-version": "13",
      "sec-websocket-key": key,
    };
    const sent = request(`${server.url}/web/fetched/socket`, { ca: cert, headers }).end();
    const [response, socket] = (await once(sent, "upgrade")) as [{ statusCode: number }, Duplex];
    assert.equal(response.statusCode, 101);
    // A masked text frame, and what comes back without a mask.
    socket.write(Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69]));
    const [echo] = (await once(socket, "data")) as [Buffer];
    assert.deepEqual([...echo], [0x81, 2, 0x68, 0x69]);
    socket.destroy();
  });
});

describe("the certificate", () => {
  const serialOf = async (): Promise<string> => {
    const socket = connectTls({ port: server.port, host: "127.0.0.1", rejectUnauthorized: false });
    await once(socket, "secureConnect");
    const { serialNumber } = socket.getPeerCertificate();
    socket.destroy();
    return serialNumber;
  };

  it("is read anew without a restart, and stays where the new files do not fit", async () => {
    const first = await serialOf();
    const next = selfSigned();
    await writeFile(certFile(), next.cert);
    server.reload();
    assert.equal(await serialOf(), first, "the key is still the old one");
    await writeFile(keyFile(), next.key);
    server.reload();
    const second = await serialOf();
    assert.notEqual(second, first);
    assert.equal((await ask("GET", "/healthz")).status, 200, "connections that are open go on");
  });

  it("that cannot be used stops the start, with what is wrong", async () => {
    const other = selfSigned();
    const file = async (name: string, text: string): Promise<string> => {
      await writeFile(join(folder, name), text, { mode: 0o600 });
      return join(folder, name);
    };
    const good = { tlsCert: await file("a.pem", other.cert), tlsKey: await file("a.key", other.key) };
    const cases: [{ tlsCert?: string; tlsKey?: string }, RegExp][] = [
      [{ tlsCert: good.tlsCert }, /there is no --tls-key/],
      [{ tlsKey: good.tlsKey }, /there is no --tls-cert/],
      [{ ...good, tlsCert: join(folder, "none") }, /--tls-cert .*none cannot be read: ENOENT/],
      [{ ...good, tlsKey: join(folder, "none") }, /--tls-key .*none cannot be read: ENOENT/],
      [{ ...good, tlsCert: good.tlsKey }, /holds no certificate in PEM/],
      [{ ...good, tlsKey: good.tlsCert }, /holds no private key in PEM/],
      [{ ...good, tlsKey: await file("b.key", selfSigned().key) }, /is not of the key/],
    ];
    for (const [tls, message] of cases) {
      const start = async (): Promise<RunningServer> =>
        startServer(resolveConfig({ port: 0, logLevel: "silent", data: join(folder, "other"), ...tls }, {}));
      await assert.rejects(start, (error: AthanorError) => {
        assert.equal(error.code, "config_invalid");
        assert.match(error.detail, message);
        return true;
      });
    }
  });

  it("is taken up on SIGHUP; a key that all may read is warned of; replicas and the CLI get by without an authority", async () => {
    const pair = selfSigned();
    const files = { cert: join(folder, "p.pem"), key: join(folder, "p.key") };
    await writeFile(files.cert, pair.cert);
    await writeFile(files.key, pair.key);
    await chmod(files.key, 0o644);
    const loaded = Promise.withResolvers<void>();
    const lines: string[] = [];
    await using child = await ServerProcess.start({
      dataDir: join(folder, "process"),
      args: ["--tls-cert", files.cert, "--tls-key", files.key, "--log-level", "info"],
      onStderr: (line) => {
        lines.push(line);
        if (line.includes("TLS certificate loaded")) loaded.resolve();
      },
    });
    assert.match(child.url, /^https:/);
    assert.ok(
      lines.some((line) => line.includes("every user of this machine may read the TLS key")),
      lines.join("\n"),
    );
    const { url } = JSON.parse(await readFile(join(folder, "process", "server.json"), "utf8")) as { url: string };
    assert.equal((await fetch(`${url}/healthz`)).status, 200, "programs on this machine have an address without TLS");
    const env = { ATHANOR_DATA: join(folder, "process"), ATHANOR_TOKEN: child.token };
    const cli = (...args: string[]) => new CliRun(["app", "list", ...args], { env }).ended;
    assert.equal((await cli()).status, 0);
    assert.equal((await cli("--url", child.url, "--ca", files.cert)).status, 0);
    const stranger = await cli("--url", child.url);
    assert.deepEqual(
      [stranger.status, /self-signed certificate.*--ca/s.test(stranger.stderr)],
      [3, true],
      stranger.stderr,
    );
    process.kill(child.pid, "SIGHUP");
    await loaded.promise;
    assert.equal(await child.stop(), 0);
  });
});
