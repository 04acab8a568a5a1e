import assert from "node:assert/strict";
import { test } from "node:test";
import { SERVER_DEFAULTS } from "../../protocol/defaults.ts";
import { type ServerSentEvent, sendEventStream } from "./event-stream.ts";
import { Listener } from "./listener.ts";

const log = { debug() {}, info() {}, warn() {}, error() {} };

test("a silent stream has a comment every 15 s, which is no event", async (t) => {
  t.mock.timers.enable({ apis: ["setInterval"] });
  const said = Promise.withResolvers<void>();
  async function* events(): AsyncGenerator<ServerSentEvent> {
    await said.promise;
    yield { id: 1, event: "job.end", data: { status: "succeeded" } };
  }
  const never = new AbortController().signal;
  const listener = new Listener({ handle: (x) => sendEventStream(x, events(), never), log });
  const port = await listener.listen({ host: "127.0.0.1", port: 0 });
  try {
    const response = await fetch(`http://127.0.0.1:${port}/`);
    assert.equal(response.headers.get("content-type"), "text/event-stream; charset=utf-8");
    const reader = (response.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream()).getReader();
    for (let beat = 0; beat < 2; beat++) {
      t.mock.timers.tick(SERVER_DEFAULTS.sseHeartbeatMs);
      assert.equal((await reader.read()).value, ":\n\n");
    }
    said.resolve();
    assert.equal((await reader.read()).value, 'id: 1\nevent: job.end\ndata: {"status":"succeeded"}\n\n');
    assert.equal((await reader.read()).done, true);
  } finally {
    await listener.close({ graceMs: 0 });
  }
});
