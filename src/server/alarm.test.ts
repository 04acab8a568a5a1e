import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Alarm } from "./alarm.ts";

const YEAR_MS = 365 * 24 * 3_600_000;

describe("Alarm", () => {
  it("rings at the earliest time that was asked for, once, and can be set again", async () => {
    const start = Date.now();
    let rang = Promise.withResolvers<void>();
    let rings = 0;
    const alarm = new Alarm({
      now: Date.now,
      ring: () => {
        rings++;
        rang.resolve();
      },
    });
    alarm.at(start + YEAR_MS);
    alarm.at(start + 5);
    alarm.at(start + 2 * YEAR_MS);
    await rang.promise;
    rang = Promise.withResolvers();
    alarm.at(start - 1);
    await rang.promise;
    assert.equal(rings, 2);
  });

  it("is silent once it is cleared, and keeps nothing alive then", () => {
    const alarm = new Alarm({ now: Date.now, ring: () => assert.fail("it rang") });
    alarm.at(Date.now() + YEAR_MS);
    alarm.clear();
    alarm.clear();
  });
});
