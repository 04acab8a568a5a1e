import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import fc from "fast-check";
import { FrameConnection } from "./frame-connection.ts";
import { FrameDecoder, FrameEncoder, FrameError, parsePayload } from "./frames.ts";
import { FrameType, MAX_FRAME_BYTES } from "./replica.ts";

interface Seen {
  type: FrameType;
  stream: number;
  payload: Buffer;
}

function decodeAll(pieces: Buffer[]): Seen[] {
  const seen: Seen[] = [];
  const decoder = new FrameDecoder((type, stream, payload) => seen.push({ type, stream, payload }));
  for (const piece of pieces) decoder.push(piece);
  return seen;
}

function cutAt(bytes: Buffer, cuts: number[]): Buffer[] {
  const at = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  return [...at, bytes.length].map((end, i) => bytes.subarray(i === 0 ? 0 : at[i - 1], end));
}

const frameArbitrary = fc.record({
  type: fc.constantFrom(...Object.values(FrameType)),
  stream: fc.nat({ max: 0xffffffff }),
  payload: fc.oneof(
    fc.uint8Array({ maxLength: 64 }),
    fc.integer({ min: 8000, max: 40_000 }).map((length) => new Uint8Array(length).fill(length)),
  ),
});

describe("frames", () => {
  it("come out as they went in, in whatever pieces the bytes arrive", () => {
    fc.assert(
      fc.property(
        fc.array(frameArbitrary, { maxLength: 12 }),
        fc.array(fc.nat(), { maxLength: 20 }),
        (frames, cuts) => {
          const encoder = new FrameEncoder();
          for (const frame of frames) encoder.bytes(frame.type, frame.stream, frame.payload);
          const seen = decodeAll(cutAt(Buffer.concat(encoder.take()), cuts));
          assert.equal(seen.length, frames.length);
          for (const [i, frame] of frames.entries()) {
            assert.equal(seen[i]?.type, frame.type);
            assert.equal(seen[i]?.stream, frame.stream);
            assert.ok(seen[i]?.payload.equals(frame.payload));
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  it("carry JSON of any size and script, bare frames and numbers", () => {
    const encoder = new FrameEncoder();
    const values = ["", "ünïcode \u{1f600}", { a: [1, null, "x".repeat(50_000)] }, "é".repeat(11_000)];
    for (const value of values) encoder.json(FrameType.LOG, 0, value);
    encoder.bare(FrameType.END, 7);
    encoder.u32(FrameType.WINDOW, 8, 0xdeadbeef);
    const seen = decodeAll([Buffer.concat(encoder.take())]);
    assert.deepEqual(
      seen.slice(0, values.length).map((frame) => parsePayload(frame.payload)),
      values,
    );
    assert.equal(seen.at(-2)?.payload.length, 0);
    assert.equal(seen.at(-1)?.payload.readUInt32BE(), 0xdeadbeef);
  });

  it("of many small answers share one buffer", () => {
    const encoder = new FrameEncoder();
    for (let i = 0; i < 100; i++) encoder.json(FrameType.HEAD, i, { kind: "http", status: 200, headers: [] });
    assert.equal(encoder.take().length, 1);
    assert.equal(encoder.take().length, 0);
  });

  it("that no sender may send are refused", () => {
    const header = (length: number, type: number) =>
      Buffer.from([length >>> 24, length >>> 16, length >>> 8, length, type, 0, 0, 0, 0]);
    assert.throws(() => decodeAll([header(MAX_FRAME_BYTES + 1, 1)]), FrameError);
    assert.throws(() => decodeAll([header(4, 1)]), FrameError);
    assert.throws(() => decodeAll([header(5, 99)]), FrameError);
    assert.throws(() => parsePayload(Buffer.from("{nope")), FrameError);
    assert.throws(() => new FrameEncoder().bytes(FrameType.DATA, 1, new Uint8Array(MAX_FRAME_BYTES)), FrameError);
  });

  it("of garbage never do anything but decode or be refused, and never hold more than a frame", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 }), (pieces) => {
        const decoder = new FrameDecoder(() => {});
        decoder.maxFrameBytes = 4096;
        try {
          for (const piece of pieces) decoder.push(Buffer.from(piece));
        } catch (error) {
          assert.ok(error instanceof FrameError);
        }
      }),
    );
  });
});

describe("a frame connection", () => {
  async function pair(): Promise<{ near: Socket; far: Socket; [Symbol.asyncDispose](): Promise<void> }> {
    const dir = await mkdtemp(join(tmpdir(), "athanor-frames-"));
    const server = createServer().listen(join(dir, "s"));
    await once(server, "listening");
    const near = connect(join(dir, "s"));
    const [far] = (await once(server, "connection")) as [Socket];
    return {
      near,
      far,
      async [Symbol.asyncDispose]() {
        near.destroy();
        far.destroy();
        server.close();
        await rm(dir, { recursive: true });
      },
    };
  }

  it("writes a turn's frames in one go, and both ends learn of the close", async () => {
    await using ends = await pair();
    const got = Promise.withResolvers<string[]>();
    const closed = [Promise.withResolvers<Error | null>(), Promise.withResolvers<Error | null>()] as const;
    const texts: string[] = [];
    let reads = 0;
    ends.far.on("data", () => reads++);
    new FrameConnection(ends.far, {
      frame: (_type, _stream, payload) => {
        texts.push(parsePayload(payload));
        if (texts.length === 50) got.resolve(texts);
      },
      closed: (error) => closed[0].resolve(error),
    });
    const connection = new FrameConnection(ends.near, { frame: () => {}, closed: (error) => closed[1].resolve(error) });
    for (let i = 0; i < 50; i++) connection.json(FrameType.LOG, 0, `line ${i}`);
    assert.equal((await got.promise)[49], "line 49");
    assert.equal(reads, 1);
    connection.close();
    assert.deepEqual(await Promise.all(closed.map((c) => c.promise)), [null, null]);
    connection.json(FrameType.LOG, 0, "too late");
    connection.flush();
  });

  it("cuts off a peer that breaks the protocol", async () => {
    await using ends = await pair();
    const closed = Promise.withResolvers<Error | null>();
    new FrameConnection(ends.far, { frame: () => {}, closed: closed.resolve });
    ends.near.write("GET / HTTP/1.1\r\n\r\n");
    assert.ok((await closed.promise) instanceof FrameError);
    ends.near.resume();
    await once(ends.near, "close");
  });

  it("tells a producer to wait while the peer does not read", async () => {
    await using ends = await pair();
    ends.far.pause();
    const connection = new FrameConnection(ends.near, { frame: () => {}, closed: () => {} });
    const bytes = new Uint8Array(1024 * 1024);
    for (let i = 0; i < 8; i++) connection.bytes(FrameType.DATA, 1, bytes);
    connection.flush();
    assert.ok(connection.backlogged);
    const drained = connection.drained();
    ends.far.resume();
    await drained;
    await connection.settle();
    assert.ok(!connection.backlogged);
  });
});
