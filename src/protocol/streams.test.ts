import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { FrameError } from "./frames.ts";
import { DATA_CHUNK_BYTES, FrameType, WINDOW_BYTES } from "./replica.ts";
import { Credit, Inflow, Outflow, type StreamConnection } from "./streams.ts";

/** A sender and a receiver of one stream, joined with no wire between them. */
function joined() {
  const ends: { out?: Outflow; into?: Inflow } = {};
  const sizes: number[] = [];
  const connection: StreamConnection = {
    backlogged: false,
    drained: () => Promise.resolve(),
    bytes(type, _stream, payload) {
      assert.equal(type, FrameType.DATA);
      sizes.push(payload.length);
      ends.into?.push(Buffer.from(payload));
    },
    u32(type, _stream, value) {
      assert.equal(type, FrameType.WINDOW);
      ends.out?.give(value);
    },
  };
  ends.out = new Outflow(connection, 1);
  ends.into = new Inflow(connection, 1);
  return { out: ends.out, into: ends.into, sizes };
}

async function collect(into: Inflow): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of into) parts.push(part);
  return Buffer.concat(parts);
}

describe("a stream", () => {
  it("carries bytes of any sizes in order through its window", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat({ max: 3 * DATA_CHUNK_BYTES }), { maxLength: 30 }), async (lengths) => {
        const { out, into, sizes } = joined();
        const sent = lengths.map((length, i) => Buffer.alloc(length, i + 1));
        const received = collect(into);
        for (const bytes of sent) assert.equal(await out.write(bytes), true);
        into.end();
        assert.ok((await received).equals(Buffer.concat(sent)));
        assert.ok(sizes.every((size) => size <= DATA_CHUNK_BYTES));
      }),
      { numRuns: 30 },
    );
  });

  it("makes the sender wait for a reader that does not read", async () => {
    const { out, into, sizes } = joined();
    const writing = out.write(new Uint8Array(4 * WINDOW_BYTES));
    await new Promise(setImmediate);
    assert.equal(
      sizes.reduce((sum, size) => sum + size, 0),
      WINDOW_BYTES,
    );
    assert.equal(out.offer(new Uint8Array(1)), false);
    const received = collect(into);
    assert.equal(await writing, true);
    into.end();
    assert.equal((await received).length, 4 * WINDOW_BYTES);
  });

  it("frees a waiting sender when the reader wants no more", async () => {
    const { out, into } = joined();
    const writing = out.write(new Uint8Array(8 * WINDOW_BYTES));
    await new Promise(setImmediate);
    into.discard();
    assert.equal(await writing, true);
    const { out: closing } = joined();
    const stuck = closing.write(new Uint8Array(8 * WINDOW_BYTES));
    await new Promise(setImmediate);
    closing.close();
    assert.equal(await stuck, false);
  });

  it("gives what came, then the error, when its connection is lost", async () => {
    const { out, into } = joined();
    await out.write(Buffer.from("part"));
    into.fail(new Error("gone"));
    const seen: string[] = [];
    await assert.rejects(async () => {
      for await (const part of into) seen.push(Buffer.from(part).toString());
    }, /gone/);
    assert.deepEqual(seen, ["part"]);
  });

  it("refuses a sender that overruns its window, and credit that was never spent", () => {
    const quiet: StreamConnection = { backlogged: false, drained: () => Promise.resolve(), bytes() {}, u32() {} };
    const credit = new Credit(quiet, 1);
    credit.arrived(WINDOW_BYTES);
    assert.throws(() => credit.arrived(1), FrameError);
    assert.throws(() => new Outflow(quiet, 1).give(1), FrameError);
    const ended = new Inflow(quiet, 1);
    ended.end();
    assert.throws(() => ended.push(Buffer.alloc(1)), FrameError);
  });
});
