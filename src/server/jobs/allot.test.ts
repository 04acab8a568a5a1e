import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { allot } from "./allot.ts";

describe("allot", () => {
  it("gives to the least loaded first", () => {
    assert.deepEqual(allot([0], 1, 5), [1]);
    assert.deepEqual(allot([2, 0, 1], 10, 3), [0, 2, 1]);
    assert.deepEqual(allot([], 1, 5), []);
  });

  it("uses all the room there is, and no more", () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(6), { maxLength: 6 }),
        fc.integer({ min: 1, max: 5 }),
        fc.nat(30),
        (loads, concurrency, due) => {
          const given = allot(loads, concurrency, due);
          const room = loads.reduce((sum, load) => sum + Math.max(0, concurrency - load), 0);
          assert.equal(
            given.reduce((sum, n) => sum + n, 0),
            Math.min(due, room),
          );
          for (const [index, n] of given.entries()) if (n > 0) assert.ok(Number(loads[index]) + n <= concurrency);
        },
      ),
    );
  });
});
