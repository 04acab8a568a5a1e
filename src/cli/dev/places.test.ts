import assert from "node:assert/strict";
import { test } from "node:test";
import { AthanorError } from "../../protocol/errors.ts";
import { placesOf } from "./places.ts";

test("takes the places that the error has, else those that its detail begins lines with, else that of a stack", () => {
  const place = { file: "app.ts", line: 3, column: 7, message: "no" };
  assert.deepEqual(placesOf(new AthanorError("build_failed", "lib/a.ts:1: other", { places: [place] })), [place]);
  const detail = 'src/app.ts:4: f: timeoutS is -1\nlib/b.mts:2:10: Expected ";"\nIt printed:\nhello: world';
  assert.deepEqual(placesOf(new AthanorError("option_invalid", detail)), [
    { file: "src/app.ts", line: 4, column: null, message: "f: timeoutS is -1" },
    { file: "lib/b.mts", line: 2, column: 10, message: 'Expected ";"' },
  ]);
  assert.deepEqual(placesOf(new AthanorError("import_failed", "TypeError: no (lib/load.ts:3:9)\n    at app.ts:1:1")), [
    { file: "lib/load.ts", line: 3, column: 9, message: "TypeError: no (lib/load.ts:3:9)" },
  ]);
});

test("finds none where there is none", () => {
  assert.deepEqual(placesOf(new AthanorError("no_app", "app.ts: neither it nor what it imports makes an App")), []);
  assert.deepEqual(placesOf(new Error("http://127.0.0.1:7700: refused")), []);
});
