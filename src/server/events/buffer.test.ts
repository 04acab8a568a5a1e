import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { NewJobEvent } from "../../protocol/event.ts";
import { EventBuffer, PROGRESS_GAP_MS } from "./buffer.ts";

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

describe("EventBuffer", () => {
  it("gives back what it took, in order, once", () => {
    const buffer = new EventBuffer(1, 1, { events: 10, bytes: 1_000_000_000 });
    buffer.add([line("a"), chunk(0)], 0);
    buffer.add([line("b")], 0);
    assert.deepEqual(show(buffer.take(0, false)), ["a", 0, "b"]);
    assert.deepEqual(buffer.take(0, true), []);
    assert(buffer.isEmpty);
  });

  it("gives up older lines first, and says how many", () => {
    const buffer = new EventBuffer(1, 1, { events: 4, bytes: 1_000_000_000 });
    buffer.add([chunk(0), chunk(1)], 0);
    for (let i = 0; i < 1000; i++) buffer.add([line(`line ${i}`)], 0);
    assert.deepEqual(show(buffer.take(0, false)), [dropped(999), 0, 1, "line 999"]);
    assert(!buffer.hasDropped);
    buffer.add([line("next")], 0);
    assert.deepEqual(show(buffer.take(0, false)), ["next"]);
  });

  it("gives up chunks where there are no lines left, and never the newest progress", () => {
    const buffer = new EventBuffer(1, 1, { events: 3, bytes: 1_000_000_000 });
    buffer.add([progress(0.5)], 0);
    for (let i = 0; i < 100; i++) buffer.add([chunk(i)], 0);
    assert.deepEqual(show(buffer.take(0, false)), [dropped(99), 0.5, 99]);
  });

  it("holds no more bytes than its limit, but always the newest event", () => {
    const buffer = new EventBuffer(1, 1, { events: 1000, bytes: 1_000_000_000 });
    const long = "x".repeat(1024 * 1024);
    for (let i = 0; i < 100; i++) buffer.add([line(long)], 0);
    const taken = buffer.take(0, false);
    assert(taken.length <= 5 && taken.length >= 2, `${taken.length}`);
    buffer.add([line(long.repeat(9))], 0);
    assert.equal(buffer.take(0, false).length, 1);
  });

  it("lets progress through at its rate, and the last in the end", () => {
    const buffer = new EventBuffer(1, 1, { events: 100, bytes: 1_000_000_000 });
    const seen: (string | number)[] = [];
    for (let ms = 0; ms <= 100; ms += 10) {
      buffer.add([progress(ms / 1000)], ms);
      seen.push(...show(buffer.take(ms, false)));
    }
    assert.deepEqual(seen, [0, PROGRESS_GAP_MS / 1000, 0.1]);
    buffer.add([progress(0.111), progress(0.112)], 101);
    assert(!buffer.isEmpty);
    assert.deepEqual(buffer.take(102, false), []);
    assert.deepEqual(show(buffer.take(102, true)), [0.112]);
    assert(buffer.isEmpty);
  });

  it("keeps what the store refused, before what came since", () => {
    const buffer = new EventBuffer(1, 1, { events: 100, bytes: 1_000_000_000 });
    buffer.add([line("a"), progress(0.3), chunk(1)], 0);
    const refused = buffer.take(0, false);
    buffer.add([line("b")], 0);
    buffer.refuse(refused, "storage_full");
    assert.deepEqual(show(buffer.take(0, false)), ["a", 0.3, 1, "b"]);
  });

  it("tells how much of what the store refused is more than the window keeps, once", () => {
    const buffer = new EventBuffer(1, 1, { events: 3, bytes: 1_000_000_000 });
    const full = (count: number) =>
      `[athanor] ${count} earlier events of this job were dropped: the server's disk was full`;
    buffer.add([line("a"), line("b"), chunk(1)], 0);
    const refused = buffer.take(0, false);
    buffer.add([line("c"), line("d")], 0);
    buffer.refuse(refused, "storage_full");
    buffer.refuse(buffer.take(0, false), "storage_full");
    assert.deepEqual(show(buffer.take(0, false)), [full(3), 1, "d"]);
  });
});
