import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { DemandHistory } from "./demand.ts";

const WINDOWS = { stableWindowMs: 60_000, panicWindowMs: 6000 };
const close = (actual: number, expected: number): void =>
  assert.ok(Math.abs(actual - expected) <= 1e-6 * Math.max(1, expected), `${actual} is not ${expected}`);

describe("DemandHistory", () => {
  it("gives what is there while nothing else is known, and the average of what it has seen from then on", () => {
    const history = new DemandHistory(WINDOWS, 500);
    history.set(4, 500);
    assert.deepEqual(history.read(500), { stable: 4, panic: 4, peak: 4 });
    history.set(0, 1500);
    close(history.read(2500).stable, 2);
    close(history.read(4500).stable, 1);
    assert.equal(history.read(4500).peak, 4);
  });

  it("forgets what is older than the window, the shorter one sooner", () => {
    const history = new DemandHistory(WINDOWS, 0);
    history.set(12, 0);
    history.set(0, 6000);
    close(history.read(6000).panic, 12);
    close(history.read(9000).panic, 6);
    close(history.read(12_000).panic, 0);
    close(history.read(60_000).stable, 1.2);
    close(history.read(63_000).stable, 0.6);
    const after = history.read(67_000);
    close(after.stable, 0);
    assert.equal(after.peak, 0);
  });

  it("counts a level that lasts, however seldom it is told", () => {
    const history = new DemandHistory(WINDOWS, 0);
    history.set(3, 0);
    assert.deepEqual(history.read(3_600_000), { stable: 3, panic: 3, peak: 3 });
    history.set(0, 3_600_000);
    assert.equal(history.read(7_200_000).stable, 0);
    assert.equal(history.read(7_200_000).peak, 0);
  });

  it("begins anew where the clock was set back", () => {
    const history = new DemandHistory(WINDOWS, 1_000_000);
    history.set(9, 1_000_000);
    history.set(2, 500_000);
    const { stable, peak } = history.read(505_000);
    close(stable, 2);
    assert.equal(peak, 9, "what was there as it was set");
    assert.equal(history.read(570_000).peak, 2);
  });

  it("is the integral over each window, whatever happens when", () => {
    const step = fc.record({ afterMs: fc.nat(9000), level: fc.nat(50) });
    fc.assert(
      fc.property(fc.nat(5000), fc.array(step, { minLength: 1, maxLength: 60 }), (begin, steps) => {
        const history = new DemandHistory(WINDOWS, begin);
        const levels: { from: number; level: number }[] = [{ from: begin, level: 0 }];
        let now = begin;
        for (const { afterMs, level } of steps) {
          now += afterMs;
          levels.push({ from: now, level });
          history.set(level, now);
        }
        now += 777;
        const seen = history.read(now);
        for (const [windowMs, value] of [
          [60_000, seen.stable],
          [6000, seen.panic],
        ] as const) {
          // The oldest bucket is known as a whole only: the truth lies between windows a bucket longer and shorter.
          const top = Math.max(...levels.map(({ level }) => level));
          const error = (top * 1000) / Math.min(windowMs, now - begin);
          assert.ok(Math.abs(value - average(levels, now - windowMs, now)) <= error + 1e-6);
        }
        assert.ok(seen.peak >= Math.max(...levels.map(({ level, from }) => (from > now - 60_000 ? level : 0))));
        assert.ok(seen.stable <= seen.peak + 1e-6);
      }),
    );
  });
});

function average(levels: { from: number; level: number }[], begin: number, now: number): number {
  const from = Math.max(begin, levels[0]?.from ?? begin);
  let area = 0;
  for (const [index, { from: start, level }] of levels.entries()) {
    const end = levels[index + 1]?.from ?? now;
    area += level * Math.max(0, Math.min(end, now) - Math.max(start, from));
  }
  return area / (now - from);
}
