import assert from "node:assert/strict";
import { test } from "node:test";
import { Holds } from "./holds.ts";

const WINDOW = { events: 8, bytes: 1000 };
const NEVER = new Promise<void>(() => {});
const SOON_MS = 5;

/** Stores chunks from `from` on until the function is held; the index of the chunk at whose yield it waits, and its waiting. */
function runAhead(holds: Holds, from: number, p: { bytes?: number; over?: Promise<void> } = {}) {
  for (let index = from; index < from + 100; index++) {
    const room = holds.room(1, { index, bytes: p.bytes ?? 1 }, WINDOW, p.over ?? NEVER);
    if (room !== null) return { index, room };
  }
  return { index: Number.POSITIVE_INFINITY, room: NEVER };
}

test("without a reader nothing is held", () => {
  assert.equal(runAhead(new Holds(), 0).index, Number.POSITIVE_INFINITY);
});

test("a function is held a quarter of its window ahead of its reader, and goes on as that takes chunks", async () => {
  const holds = new Holds();
  const reader = holds.join(1);
  const first = runAhead(holds, 0);
  assert.equal(first.index, 2);
  reader.took(0);
  await first.room;
  const second = runAhead(holds, 3);
  assert.equal(second.index, 3);
  reader.took(3);
  await second.room;
  assert.equal(runAhead(holds, 4).index, 6);
});

test("a reader that begins after what is stored has nothing of it to read", async () => {
  const holds = new Holds();
  holds.expect(1);
  const { index, room } = runAhead(holds, 0);
  assert.equal(index, 2);
  holds.join(1).caughtUp();
  await room;
  assert.equal(runAhead(holds, 3).index, 5);
});

test("large chunks are held by their bytes, but never one alone", () => {
  const holds = new Holds();
  holds.join(1);
  assert.equal(runAhead(holds, 0, { bytes: 900 }).index, 1);
});

test("the slowest of several readers counts", async () => {
  const holds = new Holds();
  const [fast, slow] = [holds.join(1), holds.join(1)];
  fast.took(99);
  const { index, room } = runAhead(holds, 0);
  assert.equal(index, 2);
  slow.leave();
  await room;
});

test("a reader that is announced is waited for, and so is one whose connection broke; none for ever", async () => {
  const holds = new Holds(SOON_MS);
  holds.expect(1);
  const first = runAhead(holds, 0);
  assert.equal(first.index, 2);
  const reader = holds.join(1);
  reader.took(2);
  await first.room;
  const second = runAhead(holds, 3);
  reader.leave();
  reader.leave();
  await second.room;
  assert.equal(runAhead(holds, second.index + 1).index, Number.POSITIVE_INFINITY);
});

test("an attempt that is over, and a job that has ended, wait for nobody", async () => {
  const holds = new Holds();
  holds.join(1);
  const over = Promise.withResolvers<void>();
  const first = runAhead(holds, 0, { over: over.promise });
  over.resolve();
  await first.room;
  const second = runAhead(holds, 3);
  holds.forget(1);
  await second.room;
});

test("another attempt begins again", async () => {
  const holds = new Holds();
  const reader = holds.join(1);
  runAhead(holds, 0);
  const again = runAhead(holds, 0);
  assert.equal(again.index, 2);
  reader.took(2);
  await again.room;
});
