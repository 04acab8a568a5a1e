import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect, type IncomingHttpHeaders } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { selfSigned } from "../../../test/harness/certificate.ts";
import { HTTP_DEFAULTS } from "../../protocol/defaults.ts";
import { sendJson } from "./answer.ts";
import { readBytes } from "./body.ts";
import { Listener } from "./listener.ts";
import { TlsKeyPair } from "./tls.ts";

test("over HTTP/2 a body that stalls is refused, its connection goes on, and closing waits for what is under way", async () => {
  await using undo = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "athanor-http2-"));
  undo.defer(() => rm(folder, { recursive: true, force: true }));
  const pair = selfSigned();
  const files = { cert: join(folder, "cert.pem"), key: join(folder, "key.pem") };
  await writeFile(files.cert, pair.cert);
  await writeFile(files.key, pair.key, { mode: 0o600 });
  const faults: unknown[] = [];
  const log = {
    debug: () => {},
    info: () => {},
    warn: (f: object) => faults.push(f),
    error: (f: object) => faults.push(f),
  };
  const taken = Promise.withResolvers<void>();
  const held = Promise.withResolvers<void>();
  const finish = Promise.withResolvers<void>();
  const listener = new Listener({
    log,
    tls: new TlsKeyPair(files, log),
    handle: async (x) => {
      if (x.path === "/stalls") taken.resolve();
      if (x.path === "/held") {
        held.resolve();
        await finish.promise;
      } else await readBytes(x, 1000);
      sendJson(x, 200, {});
    },
  });
  const port = await listener.listen({ host: "127.0.0.1", port: 0 });
  undo.defer(() => listener.close({ graceMs: 0 }));
  const session = connect(`https://127.0.0.1:${port}`, { ca: pair.cert });
  undo.defer(() => session.destroy());
  const ask = async (path: string, body?: string): Promise<number> => {
    const stream = session.request({ ":method": "POST", ":path": path });
    if (body === undefined) stream.write("a");
    else stream.end(body);
    const [head] = (await once(stream, "response")) as [IncomingHttpHeaders & { ":status": number }];
    await once(stream.resume(), "close");
    return head[":status"];
  };
  const stalled = ask("/stalls");
  await taken.promise;
  listener.checkSlow(1);
  listener.checkSlow(1 + HTTP_DEFAULTS.bodyTimeoutMs);
  assert.equal(await stalled, 408);
  assert.equal(await ask("/whole", "abc"), 200);
  const last = ask("/held", "");
  await held.promise;
  const closed = listener.close({ graceMs: 60_000 });
  finish.resolve();
  assert.equal(await last, 200);
  await closed;
  assert.deepEqual(faults, []);
});
