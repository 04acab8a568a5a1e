import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { JobRecord } from "../store/store.ts";
import { type WaitingFacts, waitingOf } from "./waiting.ts";

const facts = (changes: Partial<WaitingFacts>, runAfter: number | null = null): WaitingFacts => ({
  record: { statusSince: 1000, runAfter } as JobRecord,
  position: 1,
  noCapacity: null,
  ready: true,
  now: 5000,
  ...changes,
});
const since = "1970-01-01T00:00:01.000Z";

describe("waitingOf", () => {
  it("names the first thing that would have to change", () => {
    assert.deepEqual(waitingOf(facts({})), { reason: "concurrency", position: 1, since });
    assert.deepEqual(waitingOf(facts({ ready: false })), { reason: "cold_start", position: 1, since });
    assert.deepEqual(waitingOf(facts({ ready: false, position: 3 })), { reason: "position", position: 3, since });
    assert.deepEqual(waitingOf(facts({ ready: false, noCapacity: "it threw" })), {
      reason: "no_capacity",
      position: 1,
      detail: "it threw",
      since,
    });
    assert.deepEqual(waitingOf(facts({ noCapacity: "it threw" }, 6000)), { reason: "retry_delay", position: 1, since });
    assert.deepEqual(waitingOf(facts({}, 5000)), { reason: "concurrency", position: 1, since });
  });
});
