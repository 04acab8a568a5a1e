import assert from "node:assert/strict";
import { test } from "node:test";
import { codeFrame } from "./code-frame.ts";

const TEXT = ["one", "two", "three", "\tfour(x)", "five", "six", "seven", "eight", "nine", "ten"].join("\n");

test("shows two lines on each side, their numbers, and a caret below the column, past tabs as the source has them", () => {
  assert.equal(
    codeFrame(TEXT, 4, 7),
    ["  2 | two", "  3 | three", "> 4 | \tfour(x)", "    | \t     ^", "  5 | five", "  6 | six"].join("\n"),
  );
});

test("stays within the file, aligns its numbers, and needs no column", () => {
  assert.equal(codeFrame(TEXT, 10, null), ["   8 | eight", "   9 | nine", "> 10 | ten"].join("\n"));
  assert.equal(codeFrame("only", 1, 1), ["> 1 | only", "    | ^"].join("\n"));
});

test("has nothing to show of a line that is not there, and little of one without end", () => {
  assert.equal(codeFrame("only", 2, 1), "");
  assert.ok(codeFrame("x".repeat(10_000), 1, 5000).length < 200);
});
