import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { JobEvent, NewJobEvent, WatchEvent } from "../../src/protocol/event.ts";
import { violations } from "./check.ts";
import type { Call, FinalJob, HandlerRecord, History, Watch } from "./history.ts";

const numbered = (events: NewJobEvent[], from = 1): JobEvent[] =>
  events.map((event, index) => ({ id: from + index, ...event }));
const queued: NewJobEvent = { event: "job.queued", data: { position: 1 } };
const running = (attempt: number): NewJobEvent => ({
  event: "job.running",
  data: { attempt, replica_id: "replicas:1" },
});
const retrying: NewJobEvent = {
  event: "job.retrying",
  data: { attempt: 1, delay_s: 0, error: { code: "handler_error", message: "" } },
};
const line = (attempt: number): NewJobEvent => ({
  event: "job.log",
  data: { stream: "stdout", line: `n=4 attempt=${attempt}`, at: "" },
});
const chunk = (attempt: number, index: number): NewJobEvent => ({
  event: "job.chunk",
  data: { index, value: { n: 4, attempt, index } },
});
const value = (n: number, attempt: number) => ({ n, attempt, value: n * 2 });
const result = (n: number, attempt: number): NewJobEvent => ({
  event: "job.result",
  data: { value: value(n, attempt) },
});
const end: NewJobEvent = { event: "job.end", data: { status: "succeeded" } };
const failedEnd: NewJobEvent = { event: "job.end", data: { status: "failed" } };
const cancelledEnd: NewJobEvent = { event: "job.end", data: { status: "cancelled" } };
const reset = (requested: number, earliest: number): WatchEvent => ({
  id: earliest - 1,
  event: "stream.reset",
  data: { requested, earliest, latest: 9, job: {} as never },
});

/** A job that failed once and succeeded then. */
const good = (changes: Partial<FinalJob> = {}): FinalJob => ({
  job: "jobs:1",
  function: "double",
  deployment: "deployments:1",
  status: "succeeded",
  result: value(4, 2),
  code: null,
  attempt: 2,
  progress: 1,
  parent: null,
  startedAt: 0,
  runAt: null,
  events: numbered([queued, running(1), line(1), retrying, queued, running(2), line(2), result(4, 2), end]),
  ...changes,
});
const goodCall = (changes: Partial<Call> = {}): Call => ({
  n: 4,
  function: "double",
  kind: "",
  key: "call-4",
  concurrencyKey: null,
  priority: 0,
  sentAt: 0,
  answers: [{ at: 1, job: "jobs:1" }],
  allowed: { statuses: ["succeeded"], codes: [], value: 8 },
  ...changes,
});
const note = (type: "start" | "end", job: string, attempt: number, at: number, key: string | null = null) =>
  ({ at, type, job, attempt, function: "double", n: 4, key, pid: 1 }) satisfies HandlerRecord;
const ran = (job: string, attempt: number, from: number, to: number, key: string | null = null) => [
  note("start", job, attempt, from, key),
  note("end", job, attempt, to, key),
];
const watch = (...connections: [after: number, events: WatchEvent[]][]): Watch => ({
  job: "jobs:1",
  connections: connections.map(([after, events]) => ({ at: 0, after, events })),
});
const history = (changes: Partial<History> = {}): History => ({
  functions: {},
  calls: [goodCall()],
  cancels: [],
  observed: [{ at: 9, job: "jobs:1", status: "succeeded", result: value(4, 2) }],
  pauses: [],
  watches: [watch([0, good().events])],
  records: [...ran("jobs:1", 1, 2, 3), ...ran("jobs:1", 2, 4, 5)],
  final: [good()],
  faults: [],
  hurtReplicas: [],
  refusals: [],
  orphans: [],
  exits: [0],
  storeFaults: [],
  ...changes,
});
const withLog = (events: NewJobEvent[], changes: Partial<FinalJob> = {}): History =>
  history({ final: [good({ events: numbered(events), ...changes })], watches: [] });

/** Two jobs of a function, each with one attempt, and when their handlers ran. */
const two = (p: {
  promise: History["functions"][string];
  first: [from: number, to: number];
  second: [from: number, to: number];
  keys?: [string, string];
  priorities?: [number, number];
  /** When the second was sent and acknowledged. */
  sent?: [number, number];
  secondLost?: boolean;
}): History => {
  const once = numbered([queued, running(1), result(4, 1), end]);
  const lost = numbered([queued, running(1), queued, running(2), result(4, 2), end]);
  const first = good({ attempt: 1, result: value(4, 1), events: once });
  const second = p.secondLost
    ? good({ job: "jobs:2", events: lost, startedAt: 5000 })
    : good({ job: "jobs:2", attempt: 1, result: value(4, 1), events: once, startedAt: 5000 });
  const [key1 = null, key2 = null] = p.keys ?? [];
  const [priority1 = 0, priority2 = 0] = p.priorities ?? [];
  const [sentAt, at] = p.sent ?? [2, 3];
  return history({
    functions: { double: p.promise },
    calls: [
      goodCall({ priority: priority1 }),
      goodCall({ n: 4, priority: priority2, sentAt, answers: [{ at, job: "jobs:2" }] }),
    ],
    records: [...ran("jobs:1", 1, ...p.first, key1), ...ran("jobs:2", 1, ...p.second, key2)],
    final: [first, second],
    observed: [],
    watches: [],
  });
};

/** While the first runs, a second of a higher priority comes, and a third that starts before it. */
function overtaken(): History {
  const base = two({ promise: { ordered: true }, first: [4, 5], second: [8, 9], priorities: [0, 1] });
  const events = numbered([queued, running(1), result(4, 1), end]);
  return {
    ...base,
    calls: [...base.calls, goodCall({ answers: [{ at: 1, job: "jobs:3" }] })],
    records: [...base.records, ...ran("jobs:3", 1, 6, 7)],
    final: [...base.final, good({ job: "jobs:3", attempt: 1, result: value(4, 1), events })],
  };
}

const fine: [string, History][] = [
  ["a good history", history()],
  [
    "a job whose acknowledgement was lost",
    history({
      calls: [goodCall(), goodCall({ n: 5, answers: [] })],
      final: [good(), good({ job: "jobs:2", result: value(5, 2), events: [] })].map((job) => ({
        ...job,
        events: numbered([queued, running(2), result(job.job === "jobs:1" ? 4 : 5, 2), end]),
      })),
      watches: [],
    }),
  ],
  [
    "one call that was answered twice",
    history({ calls: [goodCall({ answers: Array(2).fill({ at: 1, job: "jobs:1" }) })] }),
  ],
  [
    "a watcher that came back",
    history({ watches: [watch([0, good().events.slice(0, 3)], [3, good().events.slice(3)])] }),
  ],
  ["a watcher that was told of its gap", history({ watches: [watch([0, [reset(0, 7), ...good().events.slice(6)]])] })],
  [
    "a log whose window has moved on",
    history({ final: [good({ events: [reset(0, 7), ...good().events.slice(6)] })], watches: [] }),
  ],
  ["handlers one after the other", two({ promise: { concurrency: 1, ordered: true }, first: [4, 5], second: [6, 7] })],
  ["keys beside each other", two({ promise: { perKey: 1 }, first: [4, 9], second: [5, 7], keys: ["a", "b"] })],
  [
    "an attempt that was lost and went on",
    two({ promise: { concurrency: 1 }, first: [4, 9], second: [5, 7], secondLost: true }),
  ],
  [
    "jobs that were sent at once in either order",
    two({ promise: { ordered: true }, first: [6, 7], second: [4, 5], sent: [0, 1] }),
  ],
  [
    "starts that are far enough apart",
    two({ promise: { rate: { limit: 1, perMs: 5000 } }, first: [4, 5], second: [6, 7] }),
  ],
  [
    "starts that only look close together, since the clock was set between them",
    {
      ...two({ promise: { rate: { limit: 1, perMs: 5001 } }, first: [4, 5], second: [6, 7] }),
      faults: [{ at: 4.2, until: 5.5, fault: "skew clock (server=0, byMs=10000)" }],
    },
  ],
  [
    "a job that failed with a replica that was killed",
    {
      ...withLog([queued, running(1), failedEnd], {
        status: "failed",
        code: "replica_crashed",
        result: null,
        attempt: 1,
      }),
      hurtReplicas: ["replicas:1"],
      observed: [],
    },
  ],
];

const bad: [string, History, RegExp][] = [
  ["a lost job", history({ final: [], observed: [] }), /jobs:1 was acknowledged for call 4 and is lost/],
  [
    "a job given to two calls",
    history({ calls: [goodCall(), goodCall({ n: 5 })] }),
    /jobs:1 was acknowledged for two calls, 4 and 5/,
  ],
  [
    "a call that became two jobs",
    history({
      calls: [
        goodCall({
          answers: [
            { at: 1, job: "jobs:1" },
            { at: 1, job: "jobs:2" },
          ],
        }),
      ],
      final: [good(), good({ job: "jobs:2" })],
    }),
    /one idempotency key became jobs:1 and jobs:2/,
  ],
  [
    "a job of another function",
    history({ final: [good({ function: "halve" })] }),
    /is of halve and was sent to double/,
  ],
  ["a job listed twice", history({ final: [good(), good()] }), /listed twice/],
  [
    "a job that nobody sent",
    history({ final: [good(), good({ job: "jobs:2" })] }),
    /jobs:2 no call to double explains it/,
  ],
  ["a job that hangs", withLog([queued, running(1)], { status: "running" }), /has not ended/],
  [
    "a wrong end",
    withLog([queued, running(1), cancelledEnd], { status: "cancelled", result: null }),
    /is cancelled \(null\) instead of succeeded/,
  ],
  [
    "a wrong code",
    history({
      calls: [goodCall({ allowed: { statuses: ["failed"], codes: ["handler_error"] } })],
      final: [good({ status: "failed", code: "internal", events: [] })],
    }),
    /ended with the code internal/,
  ],
  [
    "a crash that nothing explains",
    withLog([queued, running(1), cancelledEnd], { status: "failed", code: "replica_crashed" }),
    /a replica that nothing was done to/,
  ],
  [
    "a job that expired after its start",
    history({ final: [good({ status: "expired" })] }),
    /expired, and its handler had started/,
  ],
  [
    "a job that started too soon",
    history({ final: [good({ attempt: 1, runAt: 100, startedAt: 90 })] }),
    /started 10 ms before its time/,
  ],
  [
    "a wrong result",
    history({ final: [good({ result: { n: 4, attempt: 2, value: 9 } })] }),
    /has the result .*9.* instead of .*8/,
  ],
  ["another call's result", history({ final: [good({ result: value(5, 2) })] }), /has the result/],
  [
    "a last progress that was lost",
    history({
      calls: [goodCall({ allowed: { statuses: ["succeeded"], codes: [], value: 8, progress: 1 } })],
      final: [good({ progress: 0.9 })],
    }),
    /progress of 0.9 instead of 1/,
  ],
  [
    "a chunk that is missing",
    history({
      calls: [goodCall({ allowed: { statuses: ["succeeded"], codes: [], value: 8, chunks: 2 } })],
      final: [good({ events: numbered([queued, running(2), chunk(2, 1), result(4, 2), end]) })],
    }),
    /has the chunks 1 instead of 0 to 1/,
  ],
  [
    "an end that changed",
    history({ observed: [{ at: 1, job: "jobs:1", status: "succeeded", result: 7 }] }),
    /was seen succeeded with 7 and is/,
  ],
  [
    "an ended job that vanished",
    history({ observed: [{ at: 1, job: "jobs:3", status: "failed", result: null }] }),
    /jobs:3 was seen failed and is gone/,
  ],
  [
    "a cancel that was lost",
    history({ cancels: [{ at: 1, job: "jobs:1" }] }),
    /attempt 2 started after its cancel was acknowledged/,
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
  ["two results", withLog([queued, running(2), result(4, 2), result(4, 2), end]), /2 job\.result/],
  ["another result in the log", withLog([queued, running(2), result(5, 2), end]), /another result/],
  ["no result", withLog([queued, running(2), end]), /0 job\.result/],
  ["no end", withLog([queued, running(2), result(4, 2)]), /0 job\.end.*ends with job\.result/s],
  ["two ends", withLog([queued, running(2), result(4, 2), end, end]), /2 job\.end/],
  ["something after the end", withLog([queued, running(2), result(4, 2), end, queued]), /ends with job\.queued/],
  ["another end in the log", withLog([queued, running(2), result(4, 2), cancelledEnd]), /its log says cancelled/],
  ["an empty log", withLog([]), /begins with undefined/],
  ["two attempts at once", withLog([queued, running(1), running(2), result(4, 2), end]), /while it was not queued/],
  ["an attempt twice", withLog([queued, running(2), queued, running(2), result(4, 2), end]), /attempt 2 after 2/],
  [
    "an attempt that the job does not know of",
    withLog([queued, running(3), result(4, 2), end]),
    /ran attempt 3 and says that it had 2/,
  ],
  ["two places in the queue", withLog([queued, queued, running(2), result(4, 2), end]), /queued twice/],
  [
    "a line of a fenced attempt",
    withLog([queued, running(1), queued, running(2), line(1), result(4, 2), end]),
    /event 5 \(job\.log\) is attempt 1's, in the time of attempt 2/,
  ],
  [
    "a chunk of a fenced attempt",
    withLog([queued, running(2), chunk(1, 0), result(4, 2), end]),
    /\(job\.chunk\) is attempt 1's/,
  ],
  [
    "a result of a fenced attempt",
    withLog([queued, running(2), result(4, 1), end], { result: value(4, 1) }),
    /the result is attempt 1's, and the job had 2/,
  ],
  [
    "a gap in a stream",
    history({ watches: [watch([0, good().events.filter(({ id }) => id !== 5)])] }),
    /was sent 6 .* after 4/,
  ],
  [
    "an event sent twice",
    history({ watches: [watch([0, good().events.slice(0, 3)], [3, good().events.slice(2)])] }),
    /was sent 3 .* after 3/,
  ],
  [
    "a stream that begins elsewhere",
    history({ watches: [watch([4, good().events.slice(4)])] }),
    /did not go on from 0/,
  ],
  [
    "a stream without its end",
    history({ watches: [watch([0, good().events.slice(0, 8)])] }),
    /last event is job\.result instead of job\.end/,
  ],
  [
    "a reset of what was not asked",
    history({ watches: [watch([0, [reset(2, 7), ...good().events.slice(6)]])] }),
    /reset for a request of 2 instead of 0/,
  ],
  [
    "a reset that hides nothing",
    history({ watches: [watch([0, [reset(0, 1), ...good().events]])] }),
    /was reset from 0 to 0/,
  ],
  [
    "a stream of other events",
    history({ watches: [watch([0, good().events.with(2, { ...line(2), id: 3 })])] }),
    /where the log has/,
  ],
  [
    "two at a time over a limit",
    two({ promise: { concurrency: 1 }, first: [4, 9], second: [5, 7] }),
    /2 of double ran at once, over the limit of 1/,
  ],
  [
    "two of a key at a time",
    two({ promise: { perKey: 1 }, first: [4, 9], second: [5, 7], keys: ["a", "a"] }),
    /2 of key a of double/,
  ],
  [
    "the later before the earlier",
    two({ promise: { ordered: true }, first: [6, 7], second: [4, 5] }),
    /jobs:2 started before jobs:1/,
  ],
  ["the lower priority before the higher", overtaken(), /jobs:3 started with priority 0 while jobs:2 waited with 1/],
  [
    "starts too close together",
    two({ promise: { rate: { limit: 1, perMs: 5001 } }, first: [4, 5], second: [6, 7] }),
    /2 jobs of double started within 5000 ms/,
  ],
  [
    "a start in a paused queue",
    { ...two({ promise: {}, first: [4, 5], second: [6, 7] }), pauses: [{ function: "double", from: 1, to: 9 }] },
    /jobs:2 started while double was paused/,
  ],
  ["an orphan", history({ orphans: [{ pid: 7, command: "node runtime" }] }), /process 7: node runtime/],
  ["a server that did not stop in order", history({ exits: [0, null] }), /ended with code null/],
  ["a store that is not sound", history({ storeFaults: ["jobs:1 has no events"] }), /jobs:1 has no events/],
  [
    "a refusal without reason",
    history({ refusals: [{ at: 0, asked: "GET /", answer: "500" }] }),
    /GET \/ was answered with 500/,
  ],
];

const texts = (each: History): string[] => violations(each).map(({ job, what }) => `${job ?? ""} ${what}`.trim());

describe("the history checker", () => {
  for (const [what, each] of fine) it(`finds nothing in ${what}`, () => assert.deepEqual(texts(each), []));
  for (const [what, wrong, message] of bad) it(`finds ${what}`, () => assert.match(texts(wrong).join("\n"), message));
});
