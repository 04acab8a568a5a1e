import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { endpointSpec, functionSpec } from "../../../test/harness/specs.ts";
import type { FunctionSpec } from "../../protocol/spec.ts";
import { NO_OPTIONS, newJob, type SpawnOptions } from "./new-job.ts";

const NOW = 1_000_000;
const made = (fn: FunctionSpec, options: Partial<SpawnOptions> = {}) =>
  newJob({
    deployment: { app: "demo", number: 7 },
    fn,
    input: { payload: "{}", blobs: [] },
    options: { ...NO_OPTIONS, ...options },
    idempotency: null,
    retryOf: null,
    traceparent: null,
    now: NOW,
  });

describe("newJob", () => {
  it("takes from the function what the call does not say, also of a queued endpoint", () => {
    const changes = { priority: 3, expireS: 30, queue: { size: 9, maxWorkers: 2, ttlS: 60 } };
    for (const fn of [functionSpec("f", changes), endpointSpec("f", changes)]) {
      const job = made(fn);
      assert.deepEqual(
        [job.priority, job.expiresAt, job.queueSize, job.ttlS, job.concurrencyKey, job.runAfter],
        [3, NOW + 30_000, 9, 60, null, null],
      );
      const own = made(fn, { priority: -1, expireS: 5, ttlS: 0 });
      assert.deepEqual([own.priority, own.expiresAt, own.ttlS], [-1, NOW + 5000, 0]);
    }
  });

  it("counts the time to start from when it is due", () => {
    const fn = functionSpec("f", { expireS: 30 });
    assert.deepEqual(
      [made(fn, { delayMs: 500 }).runAfter, made(fn, { delayMs: 500 }).expiresAt],
      [NOW + 500, NOW + 30_500],
    );
    assert.equal(made(fn, { runAt: NOW + 9000 }).runAfter, NOW + 9000);
    const past = made(fn, { runAt: NOW - 1 });
    assert.deepEqual([past.runAfter, past.expiresAt], [null, NOW + 30_000]);
    assert.equal(made(fn, { delayMs: 0 }).runAfter, null);
  });

  it("gives a key the limit of its function", () => {
    const fn = functionSpec("f", { limits: { concurrency: null, keyConcurrency: 4, rate: null } });
    assert.deepEqual(made(fn, { concurrencyKey: "user-17" }).concurrencyKey, { key: "user-17", limit: 4 });
  });
});
