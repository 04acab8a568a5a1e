import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Meter, retryAfterS } from "./meter.ts";

describe("Meter", () => {
  it("knows how long attempts ran in the last minutes, of each function for itself", () => {
    const meter = new Meter(300_000);
    assert.equal(meter.meanMs("demo", "f", 0), null);
    meter.ran("demo", "f", 1000, 10_000);
    meter.ran("demo", "f", 3000, 11_000);
    meter.ran("demo", "g", 50, 11_000);
    assert.equal(meter.meanMs("demo", "f", 12_000), 2000);
    meter.ran("demo", "f", 8000, 200_000);
    assert.equal(meter.meanMs("demo", "f", 200_000), 4000);
    assert.equal(meter.meanMs("demo", "f", 320_000), 8000);
    assert.equal(meter.meanMs("demo", "f", 600_000), null);
  });

  it("overwrites what is too old", () => {
    const meter = new Meter(300_000);
    meter.ran("demo", "f", 1000, 5000);
    meter.ran("demo", "f", 9000, 305_000);
    assert.equal(meter.meanMs("demo", "f", 305_000), 9000);
  });
});

describe("retryAfterS", () => {
  it("is the time in which one place comes free, from 1 to 300 s", () => {
    assert.equal(retryAfterS({ meanMs: 5, places: 1, rate: null }), 1);
    assert.equal(retryAfterS({ meanMs: 60_000, places: 4, rate: null }), 15);
    assert.equal(retryAfterS({ meanMs: 3_600_000, places: 1, rate: null }), 300);
    assert.equal(retryAfterS({ meanMs: 5, places: 10, rate: { limit: 3, perS: 60 } }), 20);
    assert.equal(retryAfterS({ meanMs: null, places: 1, rate: null }), 5);
  });
});
