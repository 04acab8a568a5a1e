import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { readPayload } from "./payload.ts";

test("a payload is JSON, or a file of it", async () => {
  assert.deepEqual(await readPayload('{"args":[1],"kwargs":{"a":2}}'), { args: [1], kwargs: { a: 2 } });
  assert.deepEqual(await readPayload("{}"), {});
  const dir = await mkdtemp(join(tmpdir(), "athanor-payload-"));
  try {
    await writeFile(join(dir, "p.json"), '{"args":[]}');
    assert.deepEqual(await readPayload(`@${join(dir, "p.json")}`), { args: [] });
    await assert.rejects(readPayload(`@${join(dir, "none.json")}`), { code: "usage" });
  } finally {
    await rm(dir, { recursive: true });
  }
});

test("anything else is bad usage", async () => {
  for (const wrong of ["", "{", "[]", "1", '{"prompt":"x"}', '{"args":{}}', '{"kwargs":[]}', '{"kwargs":null}']) {
    await assert.rejects(readPayload(wrong), { code: "usage" }, wrong);
  }
});
