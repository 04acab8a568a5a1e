import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { JobEvent, NewJobEvent } from "../../src/protocol/event.ts";
import { type FinalJob, type History, violations } from "./history.ts";

const numbered = (events: NewJobEvent[]): JobEvent[] => events.map((event, index) => ({ id: index + 1, ...event }));
const queued: NewJobEvent = { event: "job.queued", data: { position: 1 } };
const running = (attempt: number): NewJobEvent => ({
  event: "job.running",
  data: { attempt, replica_id: "replicas:1" },
});
const retrying: NewJobEvent = {
  event: "job.retrying",
  data: { attempt: 1, delay_s: 0, error: { code: "replica_crashed", message: "" } },
};
const result = (value: number): NewJobEvent => ({ event: "job.result", data: { value } });
const end: NewJobEvent = { event: "job.end", data: { status: "succeeded" } };

const good = (changes: Partial<FinalJob> = {}): FinalJob => ({
  job: "jobs:1",
  input: 4,
  status: "succeeded",
  result: 8,
  events: numbered([queued, running(1), retrying, queued, running(2), result(8), end]),
  ...changes,
});
const history = (changes: Partial<History> = {}): History => ({
  acknowledged: [{ job: "jobs:1", input: 4 }],
  sent: [4, 5],
  observed: [{ job: "jobs:1", status: "succeeded", result: 8 }],
  final: [good()],
  orphans: [],
  ...changes,
});
const expected = (input: number) => ({ status: "succeeded" as const, result: input * 2 });
const withLog = (events: NewJobEvent[]): History => history({ final: [good({ events: numbered(events) })] });

describe("the history checker", () => {
  it("finds nothing in a good history", () => {
    assert.deepEqual(violations(history(), expected), []);
  });

  it("allows a job whose acknowledgement was lost", () => {
    const unknown = good({
      job: "jobs:2",
      input: 5,
      result: 10,
      events: numbered([queued, running(1), result(10), end]),
    });
    assert.deepEqual(violations(history({ final: [good(), unknown] }), expected), []);
  });

  const bad: [string, History, RegExp][] = [
    ["a lost job", history({ final: [], observed: [] }), /is lost/],
    [
      "a number given twice",
      history({
        acknowledged: [
          { job: "jobs:1", input: 4 },
          { job: "jobs:1", input: 4 },
        ],
      }),
      /two requests/,
    ],
    [
      "a job with another's input",
      history({ acknowledged: [{ job: "jobs:1", input: 5 }] }),
      /acknowledged for input 5/,
    ],
    ["a job listed twice", history({ sent: [4, 4], final: [good(), good()] }), /listed twice/],
    ["a job made twice of one request", history({ final: [good(), good({ job: "jobs:2" })] }), /not so often/],
    ["a job that nobody sent", history({ sent: [5] }), /not sent/],
    ["a job that hangs", history({ observed: [], final: [good({ status: "running" })] }), /has not ended/],
    ["a wrong end", history({ observed: [], final: [good({ status: "failed" })] }), /is failed instead of succeeded/],
    ["a wrong result", history({ observed: [], final: [good({ result: 9 })] }), /the result 9 instead of 8/],
    [
      "an end that changed",
      history({ observed: [{ job: "jobs:1", status: "succeeded", result: 7 }] }),
      /was seen succeeded with 7/,
    ],
    [
      "an ended job that vanished",
      history({ observed: [{ job: "jobs:3", status: "failed", result: null }] }),
      /is gone/,
    ],
    [
      "a gap in a log",
      history({ final: [good({ events: good().events.filter(({ id }) => id !== 3) })] }),
      /event 4 in place 3/,
    ],
    [
      "a doubled event",
      history({ final: [good({ events: [...good().events.slice(0, 2), ...good().events.slice(1)] })] }),
      /event 2 in place 3/,
    ],
    ["two results", withLog([queued, running(1), result(8), result(8), end]), /2 job\.result/],
    ["another result in the log", withLog([queued, running(1), result(9), end]), /another result/],
    ["no result", withLog([queued, running(1), end]), /0 job\.result/],
    ["no end", withLog([queued, running(1), result(8)]), /0 job\.end.*ends with job\.result/s],
    ["two ends", withLog([queued, running(1), result(8), end, end]), /2 job\.end/],
    ["something after the end", withLog([queued, running(1), result(8), end, queued]), /ends with job\.queued/],
    [
      "another end in the log",
      withLog([queued, running(1), result(8), { event: "job.end", data: { status: "failed" } }]),
      /its log says failed/,
    ],
    ["an empty log", withLog([]), /begins with undefined/],
    ["two attempts at once", withLog([queued, running(1), running(2), result(8), end]), /while it was not queued/],
    ["an attempt twice", withLog([queued, running(1), queued, running(1), result(8), end]), /attempt 1 after 1/],
    ["two places in the queue", withLog([queued, queued, running(1), result(8), end]), /queued twice/],
    ["an orphan", history({ orphans: [{ pid: 7, command: "node runtime" }] }), /process 7 outlived/],
  ];
  for (const [what, wrong, message] of bad) {
    it(`finds ${what}`, () => {
      const found = violations(wrong, expected);
      assert.match(found.join("\n"), message);
    });
  }
});
