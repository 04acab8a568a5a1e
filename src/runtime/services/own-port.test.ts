import assert from "node:assert/strict";
import { test } from "node:test";
import { mapArguments } from "./own-port.ts";

test("a program's arguments get the replica's port where the declared one is meant", () => {
  const mapped = (...args: string[]) => mapArguments(["8000", ...args], 8000, 41234).slice(1);
  for (const [given, expected] of [
    [
      ["--port", "8000"],
      ["--port", "41234"],
    ],
    [["--port=8000"], ["--port=41234"]],
    [
      ["-p", "8000"],
      ["-p", "41234"],
    ],
    [
      ["-m", "http.server", "8000"],
      ["-m", "http.server", "41234"],
    ],
    [
      ["0.0.0.0:8000", ":8000", "[::1]:8000"],
      ["0.0.0.0:41234", ":41234", "[::1]:41234"],
    ],
    [["--bind=127.0.0.1:8000"], ["--bind=127.0.0.1:41234"]],
    [
      ["--http-addr", "127.0.0.1:8000"],
      ["--http-addr", "127.0.0.1:41234"],
    ],
    [
      // biome-ignore lint/suspicious/noTemplateCurlyInString: as an environment variable is written
      ["$PORT", "${HOST}:${PORT}", "$PORTAL"],
      ["41234", "127.0.0.1:41234", "$PORTAL"],
    ],
    [
      ["--limit", "8000", "--max=8000", "18000", "8000.5", "a:80001"],
      ["--limit", "8000", "--max=8000", "18000", "8000.5", "a:80001"],
    ],
  ] as const)
    assert.deepEqual(mapped(...given), [...expected]);
  assert.equal(mapArguments(["8000", "x"], 8000, 41234)[0], "8000");
});
