import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { closeFrame, FrameTracker } from "./websocket.ts";

/** A frame as either side may send it. */
function frame(p: { opcode: number; payload: number; masked: boolean; fin: boolean }): Buffer {
  const length =
    p.payload < 126
      ? [p.payload]
      : p.payload < 65_536
        ? [126, p.payload >> 8, p.payload & 255]
        : [127, 0, 0, 0, 0, 0, (p.payload >> 16) & 255, (p.payload >> 8) & 255, p.payload & 255];
  const head = Buffer.from([(p.fin ? 0x80 : 0) | p.opcode, ...length]);
  if (p.masked) head[1] = (head[1] as number) | 0x80;
  // Payloads full of what would be a closing frame.
  return Buffer.concat([
    head,
    p.masked ? Buffer.from([0x88, 0x80, 0x88, 0x80]) : Buffer.alloc(0),
    Buffer.alloc(p.payload, 0x88),
  ]);
}

const frames = fc.record({
  opcode: fc.constantFrom(0, 1, 2, 9, 10),
  payload: fc.oneof(fc.nat({ max: 130 }), fc.constantFrom(125, 126, 127, 65_535, 65_536, 70_000)),
  masked: fc.boolean(),
  fin: fc.boolean(),
});

test("the end of every frame is known, in whatever pieces they come", () => {
  fc.assert(
    fc.property(
      fc.array(frames, { minLength: 1, maxLength: 6 }),
      fc.array(fc.nat(), { maxLength: 8 }),
      (list, seeds) => {
        const bytes = Buffer.concat(list.map(frame));
        const ends = new Set<number>([0]);
        let sum = 0;
        for (const one of list) {
          sum += frame(one).length;
          ends.add(sum);
        }
        const cuts = [...new Set(seeds.map((seed) => seed % (bytes.length + 1)))].sort((a, b) => a - b);
        const tracker = new FrameTracker();
        let at = 0;
        for (const cut of [...cuts, bytes.length]) {
          const firstEnd = [...ends].sort((a, b) => a - b).find((end) => end >= at && end <= cut);
          assert.equal(tracker.push(bytes.subarray(at, cut)), firstEnd === undefined ? -1 : firstEnd - at);
          assert.equal(tracker.atBoundary, ends.has(cut));
          at = cut;
        }
        assert.equal(tracker.closing, false);
      },
    ),
  );
});

test("a closing frame is seen, and made", () => {
  const bytes = closeFrame(1001, "bye");
  assert.deepEqual([...bytes], [0x88, 5, 0x03, 0xe9, 98, 121, 101]);
  const tracker = new FrameTracker();
  tracker.push(bytes);
  assert.deepEqual([tracker.closing, tracker.atBoundary], [true, true]);
});
