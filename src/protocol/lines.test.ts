import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { LineSplitter, NewestBuffer, newestLines } from "./lines.ts";

function split(pieces: string[], maxLineChars = 100): string[] {
  const lines: string[] = [];
  const splitter = new LineSplitter((line) => lines.push(line), maxLineChars);
  for (const piece of pieces) splitter.push(piece);
  splitter.end();
  return lines;
}

describe("lines", () => {
  it("are the same in whatever pieces the text comes", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: fc.constantFrom("a", "\n", "é") })), (pieces) => {
        const expected = pieces.join("").split("\n");
        if (expected.at(-1) === "") expected.pop();
        assert.deepEqual(split(pieces), expected);
      }),
    );
  });

  it("lose a carriage return, and what is over their limit", () => {
    assert.deepEqual(split(["one\r\ntwo"]), ["one", "two"]);
    assert.deepEqual(split(["a".repeat(70), "b".repeat(70), "\nnext"]), [
      `${"a".repeat(70)}${"b".repeat(30)}… [40 more characters]`,
      "next",
    ]);
  });

  it("are kept newest first out, within number and weight", () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat({ max: 10 }), { maxLength: 200 }),
        fc.integer({ min: 1, max: 20 }),
        (weights, max) => {
          const buffer = new NewestBuffer<number>(max, 50);
          for (const [i, weight] of weights.entries()) buffer.push(i, weight);
          const { items, dropped } = buffer.take();
          assert.equal(items.length + dropped, weights.length);
          assert.ok(items.length <= max);
          assert.deepEqual(items, weights.map((_, i) => i).slice(dropped));
          assert.deepEqual(buffer.take(), { items: [], dropped: 0 });
        },
      ),
    );
  });

  it("of one read are trimmed to the newest", () => {
    const { bytes, dropped } = newestLines(Buffer.from("1\n2\n3\n4\npart"), 2);
    assert.equal(Buffer.from(bytes).toString(), "3\n4\npart");
    assert.equal(dropped, 2);
    assert.equal(newestLines(Buffer.from("1\n"), 2).dropped, 0);
  });
});
