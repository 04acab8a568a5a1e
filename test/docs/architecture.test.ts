import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { JOB_TRANSITIONS } from "../../src/protocol/job.ts";

const text = readFileSync(new URL("../../ARCHITECTURE.md", import.meta.url), "utf8");

test("ARCHITECTURE.md's state diagram has exactly the arrows of JOB_TRANSITIONS", () => {
  const drawn = [...text.matchAll(/^ {2}(\w+) --> (\w+): (\w+)$/gm)].map(
    ([, from, to, by]) => `${from} --${by}--> ${to}`,
  );
  const table = Object.entries(JOB_TRANSITIONS).flatMap(([from, arrows]) =>
    Object.entries(arrows).map(([by, to]) => `${from} --${by}--> ${to}`),
  );
  assert.deepEqual(drawn.toSorted(), table.toSorted());
});

test("ARCHITECTURE.md gives every dependency its reason", () => {
  const manifest = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  const names = Object.keys({ ...manifest.dependencies, ...manifest.devDependencies });
  const untold = names.filter((name) => !name.startsWith("@types/") && !text.includes(`\`${name}\``));
  assert.deepEqual(untold, [], "add a line to the Dependencies section for each");
});
