import assert from "node:assert/strict";
import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { describe, it, type TestContext } from "node:test";
import { SERVER_DEFAULTS } from "../../protocol/defaults.ts";
import { AthanorError } from "../../protocol/errors.ts";
import { cursorFrame, EventStreams, type FrameSource, frame } from "./event-stream.ts";
import type { Exchange } from "./exchange.ts";
import { Listener } from "./listener.ts";

const log = { debug() {}, info() {}, warn() {}, error() {} };

/** A source that a test fills. */
class Source implements FrameSource {
  readonly frames: Uint8Array[] = [];
  loading = false;
  over = false;
  closed = false;
  error: unknown = null;
  taken = 0;
  next: Uint8Array | null = null;
  wake: () => void = () => {};

  take(): Uint8Array | null {
    const next = this.frames.shift() ?? null;
    if (next !== null) this.taken++;
    return next;
  }

  mark(): Uint8Array | null {
    const { next } = this;
    this.next = null;
    return next;
  }

  close(): void {
    this.closed = true;
  }

  say(...frames: Uint8Array[]): void {
    this.frames.push(...frames);
    this.wake();
  }

  end(error: unknown = null): void {
    this.error = error;
    this.over = true;
    this.wake();
  }
}

class Given implements AsyncDisposable {
  readonly stopping = new AbortController();
  readonly streams = new EventStreams({ log, stopping: this.stopping.signal });
  readonly sources: Source[] = [];
  /** What a new source is like. */
  make = (): Source => new Source();
  readonly #listener: Listener;
  #url = "";
  #opened = Promise.withResolvers<Source>();

  private constructor() {
    this.#listener = new Listener({ handle: (x) => this.#send(x), log });
  }

  static async start(): Promise<Given> {
    const given = new Given();
    given.#url = `http://127.0.0.1:${await given.#listener.listen({ host: "127.0.0.1", port: 0 })}/`;
    return given;
  }

  #send(x: Exchange): void {
    const source = this.make();
    this.sources.push(source);
    this.streams.send(x, (wake) => {
      source.wake = wake;
      return source;
    });
    this.#opened.resolve(source);
  }

  async connect(init: RequestInit = {}): Promise<{ response: Promise<Response>; source: Source }> {
    this.#opened = Promise.withResolvers();
    const response = fetch(this.#url, init);
    return { response, source: await this.#opened.promise };
  }

  /** A client that reads only when it is told to. */
  async connectIdle(): Promise<{ message: IncomingMessage; source: Source }> {
    this.#opened = Promise.withResolvers();
    const request = get(this.#url);
    const [[message], source] = await Promise.all([once(request, "response"), this.#opened.promise]);
    return { message: message as IncomingMessage, source };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#listener.close({ graceMs: 0 });
  }
}

async function readerOf(response: Promise<Response>): Promise<ReadableStreamDefaultReader<string>> {
  const { body, headers } = await response;
  assert.equal(headers.get("content-type"), "text/event-stream; charset=utf-8");
  return (body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream()).getReader();
}

const end = frame({ id: 1, event: "job.end", data: { status: "succeeded" } });

function beats(t: TestContext): () => void {
  t.mock.timers.enable({ apis: ["setInterval"] });
  return () => t.mock.timers.tick(SERVER_DEFAULTS.sseHeartbeatMs);
}

describe("an event stream", () => {
  it("has a comment every 15 s where it is silent, which is no event", async (t) => {
    const beat = beats(t);
    await using given = await Given.start();
    const { response, source } = await given.connect();
    const reader = await readerOf(response);
    for (let n = 0; n < 3; n++) {
      beat();
      assert.equal((await reader.read()).value, ":\n\n");
    }
    source.say(end);
    assert.equal((await reader.read()).value, 'id: 1\nevent: job.end\ndata: {"status":"succeeded"}\n\n');
    beat();
    source.next = cursorFrame(9);
    beat();
    assert.equal((await reader.read()).value, ":9\nid: 9\n\n", "none where it was not silent, and what the source has");
    source.end();
    assert.equal((await reader.read()).done, true);
    assert.equal(given.streams.size, 0);
  });

  it("is answered as a problem where it fails before its first frame, and cut where it fails later", async () => {
    await using given = await Given.start();
    given.make = () => Object.assign(new Source(), { loading: true });
    const early = await given.connect();
    early.source.end(new AthanorError("job_not_found", "There is no jobs:1."));
    const response = await early.response;
    assert.deepEqual([response.status, ((await response.json()) as { code: string }).code], [404, "job_not_found"]);
    const late = await given.connect();
    late.source.say(end);
    const { body } = await late.response;
    late.source.end(new Error("the store is gone"));
    await assert.rejects(Array.fromAsync(body ?? []), TypeError);
    assert.equal(given.streams.size, 0);
  });

  it("is answered with 204 where it is over before it had anything to say", async () => {
    await using given = await Given.start();
    given.make = () => Object.assign(new Source(), { loading: true });
    const { response, source } = await given.connect();
    source.end();
    assert.equal((await response).status, 204);
    assert.equal(given.streams.size, 0);
  });

  it("has only a head for HEAD", async () => {
    await using given = await Given.start();
    const { response, source } = await given.connect({ method: "HEAD" });
    assert.equal((await response).headers.get("content-type"), "text/event-stream; charset=utf-8");
    assert.ok(source.closed);
  });

  it("takes no more frames than the client's connection has room for, and goes on when it has read", async () => {
    await using given = await Given.start();
    const { message, source } = await given.connectIdle();
    const bytes = 1024 * 1024;
    const frames = 64;
    for (let n = 0; n < frames; n++) source.say(frame({ event: "job.log", data: "x".repeat(bytes) }));
    assert.ok(source.taken < frames, `${source.taken} were taken of a client that does not read`);
    given.sources[0]?.wake();
    let read = 0;
    for await (const chunk of message) {
      read += (chunk as Buffer).length;
      if (source.frames.length === 0 && !source.over) source.end();
    }
    assert.ok(read > frames * bytes);
    assert.equal(source.taken, frames);
  });

  it("leaves nothing behind when clients leave or the server stops", async () => {
    await using given = await Given.start();
    const left = new AbortController();
    const gone = await given.connect({ signal: left.signal });
    await gone.response;
    const staying = await given.connect();
    const reader = await readerOf(staying.response);
    assert.equal(given.streams.size, 2);
    left.abort();
    while (!gone.source.closed) await new Promise(setImmediate);
    assert.equal(given.streams.size, 1);
    given.stopping.abort();
    assert.equal((await reader.read()).done, true);
    assert.ok(staying.source.closed);
    assert.equal(given.streams.size, 0);
  });
});
