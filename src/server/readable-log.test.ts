import assert from "node:assert/strict";
import { test } from "node:test";
import { readableLine } from "./readable-log.ts";

const line = (fields: object): string =>
  readableLine(JSON.stringify({ level: "warn", time: "2026-11-22T12:30:05.123Z", ...fields }));

test("a line of the log at a terminal has time, level, message and fields", () => {
  assert.equal(
    line({ msg: "server ready", url: "http://127.0.0.1:1" }),
    "12:30:05 warn  server ready  url=http://127.0.0.1:1\n",
  );
  assert.equal(line({ msg: "ready" }), "12:30:05 warn  ready\n");
  assert.equal(
    line({ msg: "m", functions: ["a"], why: "two words" }),
    '12:30:05 warn  m  functions=["a"] why="two words"\n',
  );
});

test("an error's stack stands below its line", () => {
  assert.equal(
    line({ msg: "failed", err: { stack: "Error: no\n    at f" } }),
    "12:30:05 warn  failed\nError: no\n    at f\n",
  );
});
