import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, it } from "node:test";
import { analyzeFiles } from "../../src/build/schema/analyze.ts";
import type { AnalyzedSite } from "../../src/build/schema/index.ts";
import { openProject } from "../../src/build/schema/program.ts";
import type { Json, JsonSchema } from "../../src/protocol/json.ts";
import { schemaCompiler } from "./ajv.ts";

/**
 * Pins the schema of every type shape in fixtures/. A changed schema is a changed wire: after a change that is meant, run
 * `ATHANOR_UPDATE_GOLDEN=1 node --test test/schema/golden.test.ts` and review the difference.
 */
const UPDATE = process.env.ATHANOR_UPDATE_GOLDEN === "1";
const FIXTURES = path.join(import.meta.dirname, "fixtures");
const GOLDEN = path.join(import.meta.dirname, "golden");
const LEAST_SHAPES = 80;

const groups = readdirSync(FIXTURES)
  .filter((name) => /\.[jt]s$/.test(name) && name !== "index.ts")
  .sort();

interface Pinned {
  [name: string]: Json;
}

const project = openProject({ entry: path.join(FIXTURES, "index.ts") });

for (const group of groups) {
  const file = project.files.find((f) => f.fileName.endsWith(`/fixtures/${group}`));
  describe(`shapes in ${group}`, () => {
    assert.ok(file, `index.ts imports ${group}`);
    const { sites, $defs } = analyzeFiles(project, [file]);
    const actual: Pinned = Object.fromEntries(sites.map((site) => [site.codeName, pin(site, $defs)]));
    const goldenFile = path.join(GOLDEN, `${group.replace(/\.[jt]s$/, "")}.json`);
    if (UPDATE) {
      mkdirSync(GOLDEN, { recursive: true });
      writeFileSync(goldenFile, `${JSON.stringify(actual, null, 2)}\n`);
    }
    const golden = JSON.parse(readFileSync(goldenFile, "utf8")) as Pinned;
    it("are all pinned", () => assert.deepEqual(Object.keys(actual), Object.keys(golden)));
    for (const [name, expected] of Object.entries(golden)) {
      it(name, () => assert.deepEqual(actual[name], expected));
    }
    it("are schemas that compile", () => {
      const compile = schemaCompiler($defs);
      for (const site of sites)
        for (const schema of [inputSchema(site), site.output.schema]) if (schema !== null) compile(schema);
    });
  });
}

describe("the golden suite", () => {
  it(`has at least ${LEAST_SHAPES} shapes`, () => {
    const count = groups.reduce((sum, group) => {
      const golden = path.join(GOLDEN, `${group.replace(/\.[jt]s$/, "")}.json`);
      return sum + Object.keys(JSON.parse(readFileSync(golden, "utf8")) as Pinned).length;
    }, 0);
    assert.ok(count >= LEAST_SHAPES, `${count}`);
  });
});

/** What is pinned of a site: all but its place, and only those definitions that it refers to. */
function pin(site: AnalyzedSite, $defs: { [name: string]: JsonSchema }): Json {
  const { name, kind, className, description, deprecated, hasStandardSchema, input, output } = site;
  const used = referred([inputSchema(site), output.schema], $defs);
  const extras = { ...(className === null ? {} : { className }), ...(description === null ? {} : { description }) };
  const flags = { ...(deprecated ? { deprecated } : {}), ...(hasStandardSchema ? { hasStandardSchema } : {}) };
  return JSON.parse(
    JSON.stringify({
      name,
      kind,
      ...extras,
      ...flags,
      input,
      output,
      ...(used.size === 0 ? {} : { $defs: pickDefs($defs, used) }),
    }),
  ) as Json;
}

function inputSchema({ input }: AnalyzedSite): JsonSchema | null {
  return "schema" in input ? input.schema : null;
}

function pickDefs($defs: { [name: string]: JsonSchema }, used: Set<string>): { [name: string]: JsonSchema } {
  return Object.fromEntries(Object.entries($defs).filter(([name]) => used.has(name)));
}

function referred(roots: (JsonSchema | null)[], $defs: { [name: string]: JsonSchema }): Set<string> {
  const used = new Set<string>();
  const visit = (schema: JsonSchema | null | undefined): void => {
    for (const [, name = ""] of JSON.stringify(schema ?? null).matchAll(/"\$ref":"#\/\$defs\/([^"]+)"/g)) {
      if (used.has(name)) continue;
      used.add(name);
      visit($defs[name]);
    }
  };
  roots.forEach(visit);
  return used;
}
