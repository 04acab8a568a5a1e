import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { WAITING_REASONS } from "../../protocol/job.ts";
import type { JobRecord } from "../store/store.ts";
import { type WaitingFacts, waitingOf } from "./waiting.ts";

const NOTHING_KNOWN = { meanMs: null, places: 0, rate: null };
const facts = (changes: Partial<WaitingFacts>, record: Partial<JobRecord> = {}): WaitingFacts => ({
  record: {
    statusSince: 1000,
    runAfter: null,
    attempt: 0,
    keyWaits: false,
    concurrencyKey: null,
    ...record,
  } as JobRecord,
  position: 1,
  paused: false,
  running: 0,
  concurrency: null,
  heldUntil: 0,
  noCapacity: null,
  ready: true,
  pace: NOTHING_KNOWN,
  now: 5000,
  ...changes,
});
const since = "1970-01-01T00:00:01.000Z";
const key = { keyWaits: true, concurrencyKey: { key: "user-17", limit: 2 } };

describe("waitingOf", () => {
  it("names the first thing that would have to change", () => {
    const cases: [ReturnType<typeof facts>, string, RegExp | null][] = [
      [facts({}), "concurrency", null],
      [facts({ ready: false }), "cold_start", null],
      [facts({ ready: false, position: 3 }), "position", /the first waits for: cold_start/],
      [facts({ ready: false, noCapacity: "it threw", position: 3 }), "no_capacity", /it threw/],
      [facts({ position: null }), "position", null],
      [facts({ running: 2, concurrency: 2, ready: false }), "concurrency", /2 run, .* concurrency is 2/],
      [facts({ running: 1, concurrency: 2, ready: false }), "cold_start", null],
      [facts({ heldUntil: 6000 }), "rate_limit", /1970-01-01T00:00:06/],
      [facts({ heldUntil: 5000 }), "concurrency", null],
      [facts({}, key), "concurrency_key", /2 at a time of the key "user-17"/],
      [facts({ paused: true, noCapacity: "it threw" }, key), "paused", null],
      [facts({ paused: true }, { runAfter: 6000 }), "delayed", /until 1970-01-01T00:00:06/],
      [facts({}, { runAfter: 6000, attempt: 1 }), "retry_delay", null],
      [facts({}, { runAfter: 5000, attempt: 1 }), "concurrency", null],
    ];
    const seen = new Set<string>();
    for (const [given, reason, detail] of cases) {
      const waiting = waitingOf(given);
      assert.deepEqual([waiting.reason, waiting.position ?? null, waiting.since], [reason, given.position, since]);
      if (detail !== null) assert.match(waiting.detail ?? "", detail);
      seen.add(reason);
    }
    assert.deepEqual(
      [...WAITING_REASONS].filter((reason) => !seen.has(reason)),
      [],
    );
  });

  it("estimates from how long jobs ran, how many run at a time, and the rate limit", () => {
    const estimate = (changes: Partial<WaitingFacts>, record: Partial<JobRecord> = {}) =>
      waitingOf(facts(changes, record)).estimated_wait_s;
    assert.equal(estimate({ position: 10 }), undefined);
    assert.equal(estimate({ position: 10, pace: { meanMs: 2000, places: 4, rate: null } }), 5);
    assert.equal(estimate({ position: 10, pace: { meanMs: 2000, places: 0, rate: null } }), 20);
    assert.equal(estimate({ position: 10, pace: { meanMs: 1, places: 4, rate: { limit: 3, perS: 60 } } }), 180);
    assert.equal(estimate({ position: 1, heldUntil: 7500 }), 2.5);
    assert.equal(estimate({}, { runAfter: 8000 }), 3);
    assert.equal(estimate({ paused: true, pace: { meanMs: 2000, places: 4, rate: null } }), undefined);
  });
});
