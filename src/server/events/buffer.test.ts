import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { NewJobEvent } from "../../protocol/event.ts";
import { EventBuffer } from "./buffer.ts";
import { ProgressLimit } from "./progress-limit.ts";

const line = (text: string): NewJobEvent => ({
  event: "job.log",
  data: { stream: "stdout", line: text, at: "2026-01-01T00:00:00.000Z" },
});
const chunk = (index: number): NewJobEvent => ({ event: "job.chunk", data: { index, value: index } });
const progress = (share: number): NewJobEvent => ({ event: "job.progress", data: { progress: share, message: null } });

/** What was taken, in short: lines by their text, chunks and progress by their number. */
function show(events: NewJobEvent[]): (string | number)[] {
  return events.map((event) => {
    if (event.event === "job.log") return event.data.line;
    if (event.event === "job.chunk") return event.data.index;
    return event.event === "job.progress" ? event.data.progress : event.event;
  });
}

const dropped = (count: number) =>
  `[athanor] ${count} earlier events of this job were dropped: they came faster than they could be stored`;

const given = (events: number, bytes = 1_000_000_000): EventBuffer => new EventBuffer(1, 1, { events, bytes });

/** How many log lines were given up, as what was taken says. */
function told(events: NewJobEvent[]): number {
  const counts = events.flatMap((event) => {
    const match = event.event === "job.log" ? /^\[athanor\] (\d+) earlier/.exec(event.data.line) : null;
    return match ? [Number(match[1])] : [];
  });
  return counts.reduce((sum, count) => sum + count, 0);
}

const isLine = ({ event, data }: NewJobEvent): boolean =>
  event === "job.log" && !("line" in data && data.line.startsWith("["));

describe("EventBuffer", () => {
  it("gives back what it took, in order, once", () => {
    const buffer = given(10);
    buffer.add([line("a"), chunk(0)], 0);
    buffer.add([line("b")], 0);
    assert.deepEqual(show(buffer.take(0, null)), ["a", 0, "b"]);
    assert.deepEqual(buffer.take(0, "job"), []);
    assert(buffer.isEmpty);
  });

  it("gives up older lines first, and says how many", () => {
    const buffer = given(4);
    buffer.add([chunk(0), chunk(1)], 0);
    for (let i = 0; i < 1000; i++) buffer.add([line(`line ${i}`)], 0);
    assert.deepEqual(show(buffer.take(0, null)), [dropped(999), 0, 1, "line 999"]);
    assert(!buffer.hasDropped);
    buffer.add([line("next")], 0);
    assert.deepEqual(show(buffer.take(0, null)), ["next"]);
  });

  it("gives up chunks where there are no lines left, and never the newest progress", () => {
    const buffer = given(3);
    buffer.add([progress(0.5)], 0);
    for (let i = 0; i < 100; i++) buffer.add([chunk(i)], 0);
    assert.deepEqual(show(buffer.take(0, null)), [dropped(99), 0.5, 99]);
  });

  it("holds no more bytes than its limit, but always the newest event", () => {
    const buffer = given(1000);
    const long = "x".repeat(1024 * 1024);
    for (let i = 0; i < 100; i++) buffer.add([line(long)], 0);
    const taken = buffer.take(0, null);
    assert(taken.length <= 5 && taken.length >= 2, `${taken.length}`);
    buffer.add([line(long.repeat(9))], 0);
    assert.equal(buffer.take(0, null).length, 1);
  });

  it("lets progress through at its rate, and the last in the end", () => {
    const buffer = given(100);
    const seen: (string | number)[] = [];
    for (let ms = 0; ms <= 110; ms += 10) {
      buffer.add([progress(ms / 1000)], ms);
      seen.push(...show(buffer.take(ms, null)));
    }
    assert.deepEqual(seen, [0, 0.06]);
    assert(!buffer.isEmpty);
    buffer.add([progress(0.111), progress(0.112)], 111);
    assert.deepEqual(buffer.take(112, null), []);
    assert.deepEqual(show(buffer.take(112, "job")), [0.112]);
    assert(buffer.isEmpty);
  });

  it("keeps what the store refused, before what came since", () => {
    const buffer = given(100);
    buffer.add([line("a"), progress(0.3), chunk(1)], 0);
    const refused = buffer.take(0, null);
    buffer.add([line("b")], 0);
    buffer.refuse(refused, "storage_full", 0);
    assert.deepEqual(show(buffer.take(0, null)), ["a", 0.3, 1, "b"]);
  });

  it("tells how much of what the store refused is more than the window keeps, once", () => {
    const buffer = given(3);
    const full = (count: number) =>
      `[athanor] ${count} earlier events of this job were dropped: the server's disk was full`;
    buffer.add([line("a"), line("b"), chunk(1)], 0);
    const refused = buffer.take(0, null);
    buffer.add([line("c"), line("d")], 0);
    buffer.refuse(refused, "storage_full", 0);
    buffer.refuse(buffer.take(0, null), "storage_full", 0);
    assert.deepEqual(show(buffer.take(0, null)), [full(3), 1, "d"]);
  });

  it("holds no more bytes than its job's window", () => {
    const buffer = given(1000, 10_000);
    for (let i = 0; i < 1000; i++) buffer.add([line(`${i} ${"x".repeat(900)}`)], 0);
    const taken = buffer.take(0, null);
    const lines = taken.filter(isLine);
    assert.equal(lines.length, 9, "a thousand bytes each, and the line that tells of the loss");
    assert.equal(told(taken), 991);
  });

  it("says where lines are missing that were lost on their way, and counts them on when it gives up more", () => {
    const buffer = given(10);
    buffer.add([line("a")], 0, 5);
    buffer.add([line("b")], 0, 7);
    assert.deepEqual(show(buffer.take(0, null)), [dropped(5), "a", dropped(7), "b"]);
    buffer.add([line("a")], 0, 5);
    for (let i = 0; i < 30; i++) buffer.add([line(`${i}`)], 0, 1);
    const taken = buffer.take(0, null);
    assert.equal(told(taken) + taken.filter(isLine).length, 5 + 1 + 30 * 2);
    assert.equal(show(taken).at(-1), "29");
  });

  it("accounts for every line, whatever comes and is taken or refused in whatever order", () => {
    const step = fc.oneof(
      fc.record({ lines: fc.integer({ min: 1, max: 8 }), lost: fc.integer({ min: 0, max: 3 }) }),
      fc.constantFrom("take" as const, "refuse" as const),
    );
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 1, max: 2000 }),
        fc.array(step),
        (window, bytes, steps) => {
          const buffer = given(window, bytes);
          let logged = 0;
          let accounted = 0;
          for (const each of [...steps, { lines: 1, lost: 0 }, "take" as const]) {
            if (typeof each === "object") {
              logged += each.lines + each.lost;
              const lines = Array.from({ length: each.lines }, (_, i) => line(`${logged - each.lines + i}`));
              for (const [i, one] of lines.entries()) buffer.add([one], 0, i === 0 ? each.lost : 0);
              continue;
            }
            const taken = buffer.take(0, null);
            assert(taken.length <= window + 1, "no more than the window, and the line that tells of the loss");
            if (each === "refuse") buffer.refuse(taken, "failed", 0);
            else accounted += told(taken) + taken.filter(isLine).length;
            if (each === "take" && taken.length > 0)
              assert.equal(show(taken).at(-1), `${logged - 1}`, "the newest is kept");
          }
          assert.equal(accounted, logged);
        },
      ),
    );
  });
});

describe("ProgressLimit", () => {
  it("stores at most 20 reports in any second, over all attempts and the end", () => {
    const report = fc.record({
      afterMs: fc.integer({ min: 0, max: 120 }),
      over: fc.constantFrom(null, null, null, "attempt" as const),
    });
    fc.assert(
      fc.property(fc.array(report, { maxLength: 300 }), (reports) => {
        const limit = new ProgressLimit();
        const stored: number[] = [];
        let now = 0;
        for (const { afterMs, over } of reports) {
          now += afterMs;
          if (!limit.allows(now, over)) continue;
          limit.stored(now);
          stored.push(now);
        }
        assert(limit.allows(now, "job"), "the last of all always may");
        stored.push(now);
        for (const time of stored) {
          const within = stored.filter((other) => other >= time && other < time + 1000).length;
          assert(within <= 20, `${within} within a second of ${time}`);
        }
      }),
    );
  });

  it("lets nobody wait longer than it must", () => {
    const limit = new ProgressLimit();
    let stored = 0;
    for (let now = 0; now < 10_000; now++) {
      if (!limit.allows(now, null)) continue;
      limit.stored(now);
      stored++;
    }
    assert.equal(stored, 189, "19 a second, with the twentieth place kept for the end");
    assert(limit.isIdle(11_000) && !limit.isIdle(10_500));
    assert(limit.allows(5, null), "after the clock was set back");
  });
});
