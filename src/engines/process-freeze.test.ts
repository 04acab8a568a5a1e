import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Freeze } from "./process-freeze.ts";

describe("Freeze", () => {
  it("is too long once a process was seen stopped for so long without a break", () => {
    const freeze = new Freeze(1000);
    assert.equal(freeze.saw(true, 0), false);
    assert.equal(freeze.saw(true, 900), false);
    assert.equal(freeze.saw(false, 950), false);
    assert.equal(freeze.saw(true, 1000), false);
    assert.equal(freeze.saw(true, 1900), false);
    assert.equal(freeze.saw(true, 2000), true);
    assert.equal(freeze.isTooLong, true);
  });

  it("does not count time in which nobody looked", () => {
    const freeze = new Freeze(10_000);
    freeze.saw(true, 0);
    assert.equal(freeze.saw(true, 3_600_000), false);
    for (let at = 3_601_000; at < 3_608_000; at += 1000) assert.equal(freeze.saw(true, at), false);
    assert.equal(freeze.saw(true, 3_608_000), true);
  });
});
