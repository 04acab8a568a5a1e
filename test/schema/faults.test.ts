import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, describe, it } from "node:test";
import { analyzeFiles } from "../../src/build/schema/analyze.ts";
import { openProject } from "../../src/build/schema/program.ts";
import { AthanorError } from "../../src/protocol/errors.ts";
import { ACCEPTED, FAULTS } from "./fault-cases.ts";

const HEAD = 'import { App, ImageFile, JobContext, JobProgress } from "athanor";\nconst app = new App("faults");\n';
const JS_HEAD = HEAD.replace("App, ImageFile, JobContext, JobProgress", "App");

const folder = mkdtempSync(path.join(tmpdir(), "athanor-faults-"));
after(() => rmSync(folder, { recursive: true }));

const cases = [...FAULTS, ...ACCEPTED];
const fileOf = ({ name, extension = ".ts" }: { name: string; extension?: string }) => `${name}${extension}`;
writeFileSync(path.join(folder, "package.json"), '{"type":"module"}');
for (const c of cases) writeFileSync(path.join(folder, fileOf(c)), (c.extension === ".js" ? JS_HEAD : HEAD) + c.source);
writeFileSync(path.join(folder, "index.ts"), cases.map((c) => `import "./${fileOf(c)}";\n`).join(""));
const project = openProject({ entry: path.join(folder, "index.ts") });

function analyzeCase(c: { name: string; extension?: string }): unknown {
  const file = project.files.find((f) => path.basename(f.fileName) === fileOf(c));
  assert.ok(file, `the program has ${fileOf(c)}`);
  return analyzeFiles(project, [file]);
}

describe("what fails the build, with its place", () => {
  for (const c of FAULTS) {
    it(c.name, () => {
      assert.throws(
        () => analyzeCase(c),
        (error) => {
          assert.ok(error instanceof AthanorError, String(error));
          const places = new RegExp(`^(?=${fileOf(c).replace(/\./g, "\\.")}:\\d+: )`, "m");
          const faults = error.detail.split(places);
          assert.equal(error.code, c.code, error.detail);
          assert.equal(faults.length, c.lines.length, error.detail);
          for (const [i, line] of c.lines.entries()) {
            const expected = /^\d+: /.test(line) ? `${fileOf(c)}:${line}` : line;
            assert.ok(
              faults[i]?.includes(expected),
              `expected ${JSON.stringify(expected)} in ${JSON.stringify(faults[i])}`,
            );
          }
          assert.ok(!error.detail.includes(folder), "no absolute path");
          return true;
        },
      );
    });
  }
});

describe("what does not fail the build", () => {
  for (const c of ACCEPTED) it(c.name, () => assert.doesNotThrow(() => analyzeCase(c)));
});
