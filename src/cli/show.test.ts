import assert from "node:assert/strict";
import { Writable } from "node:stream";
import { test } from "node:test";
import { AthanorError } from "../protocol/errors.ts";
import { WAITING_REASONS, type Waiting } from "../protocol/job.ts";
import type { JobJson } from "../protocol/wire.ts";
import { JobFailedError } from "../sdk/handle.ts";
import { describeServerEvent } from "./commands/events.ts";
import { describeFailure, exitStatus } from "./failure.ts";
import { fields, Output, printable, table } from "./output.ts";
import { drawBar, ProgressLine } from "./progress-line.ts";
import { showJob } from "./show.ts";
import { describeEvent } from "./watch.ts";

function sink(isTTY: boolean, columns = 60) {
  const written: string[] = [];
  const stream = new Writable({
    write(chunk, _encoding, done) {
      written.push(String(chunk));
      done();
    },
  });
  return Object.assign(stream, { isTTY, columns, written });
}

test("tables and fields line up", () => {
  assert.equal(
    table(
      ["A", "LONG"],
      [
        ["xyz", "1"],
        ["", "22"],
      ],
    ),
    "A    LONG\nxyz  1\n     22",
  );
  assert.equal(
    fields([
      ["a", "1"],
      ["bcd", null],
      ["ef", "2"],
    ]),
    "a:   1\nef:  2",
  );
});

test("somebody else's line cannot move the cursor, and keeps its colours", () => {
  assert.equal(printable("plain \u00fc"), "plain \u00fc");
  assert.equal(printable("\u001b[31mred"), "\u001b[31mred\u001b[0m");
  assert.equal(printable("a\u001b[2J\u001b]0;title\u0007b\rc\u0008"), "abc");
});

test("the bar shows how far, and never wraps", () => {
  assert.match(drawBar(0.5, "half", 80), /^█{12}░{12} {2}50% {2}half$/);
  assert.match(drawBar(1, "", 80), /^█{24} 100%$/);
  assert.equal(drawBar(0.5, "x".repeat(200), 40).length, 39);
  assert.equal(drawBar(0, "a\nb\u001b[2Jc", 80).includes("\n"), false);
});

test("a line above the bar takes it away and draws it again; the same bar is not drawn twice", () => {
  const stderr = sink(true);
  const line = new ProgressLine(stderr);
  line.around(() => stderr.write("first\n"));
  line.update(0.5, "half");
  line.update(0.5, "half");
  line.around(() => stderr.write("second\n"));
  line.clear();
  line.clear();
  const bar = drawBar(0.5, "half", 60);
  assert.deepEqual(stderr.written, ["first\n", `\r\u001b[2K${bar}`, "\r\u001b[2K", "second\n", bar, "\r\u001b[2K"]);
});

test("machines get JSON and no notes", () => {
  const streams = { stdout: sink(false), stderr: sink(true) };
  const out = new Output(true, streams);
  out.note("for people");
  out.result({ a: 1 }, () => "text");
  assert.deepEqual(streams.stdout.written, ['{\n  "a": 1\n}\n']);
  assert.deepEqual(streams.stderr.written, []);
  assert.equal(out.isInteractive, false);
  assert.equal(new Output(false, streams).isInteractive, true);
});

test("a failure says what, why, where and what next, and how it ends", () => {
  const invalid = new AthanorError("input_invalid", "the input of demo/infer is wrong", {
    errors: [{ path: "/text", expected: "a string", actual: "42" }],
  });
  assert.match(
    describeFailure(invalid, false),
    /^Invalid input: the input of demo\/infer is wrong\n {2}\/text: expected a string, got 42\n {2}Next: /,
  );
  assert.deepEqual(JSON.parse(describeFailure(invalid, true)).errors, invalid.errors);
  assert.equal(exitStatus(invalid), 1);
  assert.equal(exitStatus(new AthanorError("usage", "x")), 2);
  assert.equal(exitStatus(new AthanorError("config_invalid", "x")), 2);
  assert.equal(exitStatus(new AthanorError("server_unreachable", "x")), 3);
  assert.equal(exitStatus(new Error("x")), 1);
  const failed = new JobFailedError({
    job_id: "jobs:3",
    status: "failed",
    error: { code: "handler_error", message: "no", stack: "Error: no\n    at app.ts:3:1" },
  });
  assert.match(
    describeFailure(failed, false),
    /^jobs:3 failed: handler_error: Error: no\n {4}at app\.ts:3:1\n {2}Next: athanor job logs jobs:3$/,
  );
  assert.deepEqual(JSON.parse(describeFailure(failed, true)), {
    code: "handler_error",
    detail: "no",
    job_id: "jobs:3",
    job_status: "failed",
    stack: "Error: no\n    at app.ts:3:1",
  });
});

test("every event is one line", () => {
  assert.equal(describeEvent({ id: 1, event: "job.queued", data: { position: 2 } }), "queued  position 2");
  assert.equal(
    describeEvent({ id: 2, event: "job.progress", data: { progress: 0.256, message: null } }),
    "progress  26%",
  );
  assert.equal(
    describeEvent({ id: 3, event: "job.log", data: { stream: "stderr", line: "a\rb", at: "" } }),
    "stderr  ab",
  );
  assert.equal(
    describeEvent({ id: 4, event: "job.end", data: { status: "failed", error: { code: "timeout", message: "late" } } }),
    "end  failed: timeout: late",
  );
  assert.equal(
    describeEvent({
      id: 5,
      event: "job.end",
      data: { status: "cancelled", error: { code: "cancelled", message: "On request." } },
    }),
    "end  cancelled: On request.",
  );
});

test("the server's events are a line each, and its snapshot a table", () => {
  const at = "2026-01-01T00:00:00.000Z";
  const job = { job_id: "jobs:1", app: "a", function: "f", status: "running", at } as const;
  assert.equal(describeServerEvent({ id: "e-1", event: "job", data: job }), `${at}  jobs:1  a/f  running`);
  const replica = { replica_id: "replicas:1", app: "a", deployment_id: "deployments:1", at } as const;
  assert.equal(
    describeServerEvent({
      id: "e-2",
      event: "replica",
      data: { ...replica, status: "ended", reason: "\u001b[2Jgone" },
    }),
    `${at}  replicas:1  a  ended: gone`,
  );
  const snapshot = {
    at,
    functions: [{ app: "a", function: "f", queued: 3, running: 1 }],
    replicas: [],
    deployments: [],
  };
  assert.equal(
    describeServerEvent({ id: "e-2", event: "server.snapshot", data: snapshot }),
    `${at}  0 live deployments, 0 replicas\nFUNCTION  QUEUED  RUNNING\na/f       3       1`,
  );
});

test("a job that waits says why in words, and for about how long", () => {
  const waiting: Waiting = {
    reason: "position",
    position: 3,
    detail: "the first waits for: rate_limit",
    since: "2027-01-01T00:00:00.000Z",
    estimated_wait_s: 12.5,
  };
  const job = {
    ...{ job_id: "jobs:3", app: "demo", function: "f", deployment_id: "deployments:1", status: "queued", attempt: 0 },
    ...{ progress: 0, message: null, created_at: "2027-01-01T00:00:00.000Z", started_at: null, finished_at: null },
    ...{ execution_time_s: null, result: null, error: null, waiting, priority: 5, concurrency_key: "user-17" },
    ...{ parent_id: "jobs:2", retry_of: null, run_at: null, expires_at: null },
    links: { self: "", events: "", result: "", cancel: "" },
  } as JobJson;
  const shown = showJob(job);
  assert.match(
    shown,
    /waits: +others of its function are ahead \(position, position 3, since .*, about 12\.5 s more\)/,
  );
  assert.match(shown, /the first waits for: rate_limit/);
  assert.match(shown, /priority: +5\nkey: +user-17\nmade by: +jobs:2/);
  const reasons = WAITING_REASONS.map((reason) => showJob({ ...job, waiting: { reason, since: "x" } }));
  assert.equal(new Set(reasons).size, WAITING_REASONS.length);
});
