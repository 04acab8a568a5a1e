import assert from "node:assert/strict";
import { it } from "node:test";
import { byteRange } from "./http-range.ts";

it("a range is taken where it makes sense, refused where it lies outside, else ignored", () => {
  assert.deepEqual(byteRange("bytes=0-3", 10), { from: 0, to: 3 });
  assert.deepEqual(byteRange("bytes=4-", 10), { from: 4, to: 9 });
  assert.deepEqual(byteRange("bytes=-3", 10), { from: 7, to: 9 });
  assert.deepEqual(byteRange("bytes=-30", 10), { from: 0, to: 9 });
  assert.deepEqual(byteRange("bytes=5-99", 10), { from: 5, to: 9 });
  assert.equal(byteRange("bytes=10-", 10), "unsatisfiable");
  assert.equal(byteRange("bytes=-0", 10), "unsatisfiable");
  for (const ignored of [null, "bytes=-", "bytes=3-1", "bytes=0-1,4-5", "lines=1-2", "bytes=a-b"])
    assert.equal(byteRange(ignored, 10), null);
});
