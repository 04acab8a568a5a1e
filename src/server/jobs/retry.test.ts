import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { retryDelayMs } from "./retry.ts";

const spec = { max: 10, delayS: 1, backoff: 2, maxDelayS: 10, jitter: 0 };

describe("retryDelayMs", () => {
  it("grows by the factor up to the maximum", () => {
    assert.deepEqual(
      [1, 2, 3, 4, 5, 50].map((n) => retryDelayMs(spec, n, 0.5)),
      [1000, 2000, 4000, 8000, 10_000, 10_000],
    );
  });

  it("stays even with a factor of 1, and may be nothing", () => {
    assert.equal(retryDelayMs({ ...spec, backoff: 1 }, 7, 0.5), 1000);
    assert.equal(retryDelayMs({ ...spec, delayS: 0 }, 7, 0.5), 0);
    assert.equal(retryDelayMs({ ...spec, delayS: 0, backoff: 100 }, 1001, 0.5), 0);
  });

  it("spreads by the jitter", () => {
    const jittered = { ...spec, jitter: 0.1 };
    assert.deepEqual(
      [0, 0.5, 1].map((random) => retryDelayMs(jittered, 1, random)),
      [900, 1000, 1100],
    );
  });

  it("is a whole number within 0 and maxDelayS, whatever the spec", () => {
    const specs = fc.record({
      max: fc.nat(1000),
      delayS: fc.double({ min: 0, max: 86_400, noNaN: true }),
      backoff: fc.double({ min: 1, max: 100, noNaN: true }),
      maxDelayS: fc.double({ min: 0, max: 2_592_000, noNaN: true }),
      jitter: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    fc.assert(
      fc.property(
        specs,
        fc.integer({ min: 1, max: 1001 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (any, failed, random) => {
          const delay = retryDelayMs(any, failed, random);
          assert.ok(Number.isInteger(delay) && delay >= 0 && delay <= Math.ceil(any.maxDelayS * 1000));
        },
      ),
    );
  });
});
