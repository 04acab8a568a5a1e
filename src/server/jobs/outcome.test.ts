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
  crashCount: 0,
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
      { type: "lost", exit: exit({ reason: "stopped" }), blameless: false },
    ] satisfies AttemptEnd[]) {
      assert.equal(outcomeOf(attempt(end, { stopping: "cancelled", maxAttempts: 9 })).type, "cancel");
      assert.equal(outcomeOf(attempt(end, { stopping: "timeout", maxAttempts: 9 })).type, "timeOut");
    }
  });

  it("gives a job whose replica died another chance, and fails it where three have died under it", () => {
    const end: AttemptEnd = { type: "lost", exit: exit(), blameless: false };
    const first = outcomeOf(attempt(end));
    assert.deepEqual(first, {
      type: "lose",
      crashed: true,
      error: {
        code: "replica_crashed",
        message: "The replica died with exit code 3. Its last lines of stderr:\nboom",
      },
    });
    assert.equal(outcomeOf(attempt(end, { crashCount: 1 })).type, "lose");
    const third = outcomeOf(attempt(end, { crashCount: 2, maxAttempts: 9 }));
    assert.equal(third.type, "fail");
    assert.match(
      third.type === "fail" ? third.error.message : "",
      /^3 replicas died while they ran this job.* exit code 3/,
    );
    const memory = outcomeOf(attempt({ ...end, exit: exit({ reason: "memory", memoryMb: 300 }) }, { crashCount: 2 }));
    assert.equal(memory.type === "fail" && memory.error.code, "out_of_memory");
    const frozen = outcomeOf(attempt({ ...end, exit: exit({ code: null, signal: "SIGKILL", reason: "frozen" }) }));
    assert.match(frozen.type === "lose" ? frozen.error.message : "", /stopped by a signal for over 10 s/);
  });

  it("does not blame a job where another is known to be the cause", () => {
    const end: AttemptEnd = { type: "lost", exit: exit(), blameless: true };
    const lost = outcomeOf(attempt(end, { crashCount: 9 }));
    assert.deepEqual(lost.type === "lose" && lost.crashed, false);
  });

  it("blames nobody for a replica that the server stopped", () => {
    const end: AttemptEnd = { type: "lost", exit: exit({ reason: "stopped" }), blameless: false };
    const stopped = outcomeOf(attempt(end, { crashCount: 9 }));
    assert.equal(stopped.type === "lose" && stopped.crashed, false);
    assert.equal(outcomeOf(attempt({ type: "notRun", why: "gone" })).type, "lose");
  });
});
