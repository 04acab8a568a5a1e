import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { ERRORS } from "../../src/protocol/errors.ts";

test("docs/errors.md lists every code with its status, cause and hint, and no other", () => {
  const text = readFileSync(new URL("../../docs/errors.md", import.meta.url), "utf8");
  const rows = [...text.matchAll(/^\| `(\w+)` \|.*$/gm)].map((match) => match[0]);
  const expected = Object.entries(ERRORS).map(
    ([code, { status, cause, title, hint }]) => `| \`${code}\` | ${status} | ${cause} | ${title} | ${hint} |`,
  );
  assert.deepEqual(rows, expected, "the table is written from ERRORS in src/protocol/errors.ts, in its order");
});
