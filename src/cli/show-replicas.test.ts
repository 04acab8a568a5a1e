import assert from "node:assert/strict";
import { test } from "node:test";
import type { ReplicaGroupJson } from "../protocol/wire.ts";
import { showReplicaGroups } from "./show-replicas.ts";

const GROUP: ReplicaGroupJson = {
  name: "endpoints.1",
  functions: ["search", "suggest"],
  scaling: { min_replicas: 0, max_replicas: 4, concurrency: 100, keep_warm_s: 600, scale_up_delay_s: 0 },
  wanted: 2,
  starting: 1,
  ready: 1,
  draining: 0,
  running: 120,
  waiting: 20,
  demand: { stable_average: 90.5, panic_average: 210, peak: 240, panic_until: "2027-01-01T00:01:00.000Z" },
  last_failure: {
    code: "startup_failed",
    message: "the model is missing\nat \u001b[2Japp.ts:1",
    failures: 3,
    at: "2027-01-01T00:00:00.000Z",
    next_try_at: "2027-01-01T00:00:02.000Z",
  },
  last_exits: [
    {
      replica_id: "replicas:6",
      at: "2027-01-01T00:00:00.000Z",
      reason: "out_of_memory",
      status: "signal SIGKILL",
      ready_s: 12.5,
      last_stderr: ["first", "last"],
    },
  ],
  replicas: [
    {
      replica_id: "replicas:7",
      status: "starting",
      pid: null,
      started_at: "2027-01-01T00:00:00.000Z",
      ready_at: null,
      running: 0,
      idle_since: null,
      timings: {
        queued_ms: 3.4,
        process_ms: 0.6,
        from_pool: false,
        connect_ms: null,
        load_ms: null,
        enter_ms: null,
        listen_ms: null,
      },
    },
  ],
};

test("a group says what runs, what is asked of it, and what goes wrong", () => {
  assert.equal(
    showReplicaGroups([GROUP]),
    [
      "endpoints.1: search, suggest",
      "  replicas:  2 wanted, 1 ready, 1 starting, 0 draining; 0 to 4, 100 calls each",
      "  calls:     120 running, 20 waiting; of late 90.5 at a time on average, just now 210, at most 240, a burst: none is taken away before 2027-01-01T00:01:00.000Z",
      "  failure:   3 starts in a row failed, last at 2027-01-01T00:00:00.000Z; the next may be tried at 2027-01-01T00:00:02.000Z",
      "    startup_failed: the model is missing",
      "    at app.ts:1",
      "  REPLICA     STATUS    PID  CALLS  IDLE SINCE  START (ms)",
      "  replicas:7  starting  -    0      -           queued 3, process 1",
      "  ENDED       AT                        REASON         STATUS          READY FOR  LAST LINE OF STDERR",
      "  replicas:6  2027-01-01T00:00:00.000Z  out_of_memory  signal SIGKILL  12.5 s     last",
    ].join("\n"),
  );
});

test("a group of one function is called by it alone, and nothing by what it is not", () => {
  const quiet = { ...GROUP, name: "render", functions: ["render"], demand: null, last_failure: null };
  assert.match(
    showReplicaGroups([{ ...quiet, replicas: [], last_exits: [] }]),
    /^render\n {2}replicas: .*\n {2}calls: .*20 waiting$/,
  );
  assert.match(showReplicaGroups([]), /^No replica/);
});
