import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { JOB_TRANSITIONS } from "../../src/protocol/job.ts";

const ROOT = new URL("../../", import.meta.url);

const TABLE = Object.entries(JOB_TRANSITIONS)
  .flatMap(([from, arrows]) => Object.entries(arrows).map(([by, to]) => `${from} --${by}--> ${to}`))
  .toSorted();

for (const document of documentsWithDiagram()) {
  test(`${document}'s state diagram has exactly the arrows of JOB_TRANSITIONS`, () => {
    const drawn = [...read(document).matchAll(/^ *(\w+) --> (\w+): (\w+)$/gm)].map(
      ([, from, to, by]) => `${from} --${by}--> ${to}`,
    );
    assert.deepEqual(drawn.toSorted(), TABLE);
  });
}

/** ARCHITECTURE.md has one in any case. */
function documentsWithDiagram(): string[] {
  const drawn = globSync("docs/**/*.md", { cwd: ROOT }).filter((document) => /^stateDiagram/m.test(read(document)));
  return ["ARCHITECTURE.md", ...drawn.toSorted()];
}

function read(document: string): string {
  return readFileSync(new URL(document, ROOT), "utf8");
}

test("ARCHITECTURE.md gives every dependency its reason", () => {
  const manifest = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  const names = Object.keys({ ...manifest.dependencies, ...manifest.devDependencies });
  const text = read("ARCHITECTURE.md");
  const untold = names.filter((name) => !name.startsWith("@types/") && !text.includes(`\`${name}\``));
  assert.deepEqual(untold, [], "add a line to the Dependencies section for each");
});
