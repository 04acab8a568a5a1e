import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isFinal, JOB_STATUSES, JOB_TRANSITIONS, type JobStatus, type JobTransition, transition } from "./job.ts";

describe("the state machine of a job", () => {
  it("has exactly the arrows of the interface", () => {
    const arrows = Object.entries(JOB_TRANSITIONS).flatMap(([from, by]) =>
      Object.entries(by).map(([name, to]) => `${from} --${name}--> ${to}`),
    );
    assert.deepEqual(arrows.sort(), [
      "queued --cancel--> cancelled",
      "queued --expire--> expired",
      "queued --start--> running",
      "running --cancel--> cancelled",
      "running --fail--> failed",
      "running --lose--> queued",
      "running --retry--> queued",
      "running --succeed--> succeeded",
      "running --timeOut--> timed_out",
    ]);
  });

  it("ends where no arrow leaves", () => {
    assert.deepEqual(JOB_STATUSES.filter(isFinal).sort(), ["cancelled", "expired", "failed", "succeeded", "timed_out"]);
  });

  it("can reach every status from queued, and no way out of an ended one", () => {
    const reached = new Set<JobStatus>(["queued"]);
    for (const from of reached) for (const to of Object.values(JOB_TRANSITIONS[from])) reached.add(to);
    assert.deepEqual([...reached].sort(), [...JOB_STATUSES].sort());
    const names = JOB_STATUSES.flatMap((status) => Object.keys(JOB_TRANSITIONS[status])) as JobTransition[];
    for (const status of JOB_STATUSES.filter(isFinal))
      for (const name of names) assert.equal(transition(status, name), null);
  });
});
