import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ReplicaExit } from "../../engines/engine.ts";
import { type Attempt, type AttemptEnd, outcomeOf } from "./outcome.ts";

const exit = (changes: Partial<ReplicaExit> = {}): ReplicaExit => ({
  code: 3,
  signal: null,
  reason: "self",
  memoryMb: null,
  lastStderr: ["boom"],
  ...changes,
});
const attempt = (end: AttemptEnd, changes: Partial<Attempt> = {}): Attempt => ({
  end,
  stopping: null,
  attempt: 1,
  maxAttempts: 1,
  crashes: 0,
  retries: { max: 0, delayS: 1, backoff: 2, maxDelayS: 60, jitter: 0 },
  timeoutS: 5,
  now: 1000,
  random: 0.5,
  ...changes,
});
const result: AttemptEnd = { type: "result", result: "1", resultBlobs: [] };
const thrown: AttemptEnd = { type: "error", error: { code: "handler_error", message: "no" }, retryable: true };

describe("outcomeOf", () => {
  it("takes a result", () => {
    assert.deepEqual(outcomeOf(attempt(result)), { type: "succeed", result: "1", resultBlobs: [] });
  });

  it("retries a thrown error while attempts are left, later each time", () => {
    assert.equal(outcomeOf(attempt(thrown)).type, "fail");
    assert.deepEqual(outcomeOf(attempt(thrown, { maxAttempts: 3 })), {
      type: "retry",
      error: { code: "handler_error", message: "no" },
      runAfter: 2000,
    });
    const second = outcomeOf(attempt(thrown, { maxAttempts: 3, attempt: 2 }));
    assert.deepEqual(second.type === "retry" && second.runAfter, 3000);
    assert.equal(outcomeOf(attempt(thrown, { maxAttempts: 3, attempt: 3 })).type, "fail");
  });

  it("does not retry what would fail again", () => {
    assert.equal(outcomeOf(attempt({ ...thrown, retryable: false }, { maxAttempts: 9 })).type, "fail");
  });

  it("ends a stopped job as the stop says, whatever the code did then", () => {
    for (const end of [
      result,
      thrown,
      { type: "lost", exit: exit({ reason: "stopped" }), alone: true },
    ] satisfies AttemptEnd[]) {
      assert.equal(outcomeOf(attempt(end, { stopping: "cancelled", maxAttempts: 9 })).type, "cancel");
      assert.equal(outcomeOf(attempt(end, { stopping: "timeout", maxAttempts: 9 })).type, "timeOut");
    }
  });

  it("blames a job that was alone on a replica that died", () => {
    const end: AttemptEnd = { type: "lost", exit: exit(), alone: true };
    const failed = outcomeOf(attempt(end));
    assert.equal(failed.type, "fail");
    assert.deepEqual(failed.type === "fail" && failed.error, {
      code: "replica_crashed",
      message: "The replica died with exit code 3. Its last lines of stderr:\nboom",
    });
    assert.equal(outcomeOf(attempt(end, { maxAttempts: 2 })).type, "retry");
    const memory = outcomeOf(attempt({ ...end, exit: exit({ reason: "memory", memoryMb: 300 }) }));
    assert.equal(memory.type === "fail" && memory.error.code, "out_of_memory");
  });

  it("requeues jobs that were among others, until it has happened maxLost times", () => {
    const end: AttemptEnd = { type: "lost", exit: exit({ code: null, signal: "SIGSEGV" }), alone: false };
    assert.equal(outcomeOf(attempt(end, { crashes: 1 })).type, "lose");
    assert.equal(outcomeOf(attempt(end, { crashes: 2 })).type, "lose");
    const third = outcomeOf(attempt(end, { crashes: 3, maxAttempts: 9 }));
    assert.equal(third.type, "fail");
    assert.match(third.type === "fail" ? third.error.message : "", /^3 replicas died .* signal SIGSEGV/);
  });

  it("blames nobody for a replica that the server stopped", () => {
    const end: AttemptEnd = { type: "lost", exit: exit({ reason: "stopped" }), alone: true };
    assert.equal(outcomeOf(attempt(end, { crashes: 9 })).type, "lose");
    assert.equal(outcomeOf(attempt({ type: "notRun", why: "gone" })).type, "lose");
  });
});
