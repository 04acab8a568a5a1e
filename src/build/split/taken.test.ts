import assert from "node:assert/strict";
import { test } from "node:test";
import { takenFrom } from "./taken.ts";

/** As JSON would have it. */
function taken(code: string): Record<string, string[] | "all"> {
  const { taken: found } = takenFrom(code, "pkg:");
  return Object.fromEntries([...found].map(([module, names]) => [module, names === "all" ? names : [...names].sort()]));
}

test("names of imports and re-exports, over several statements and lines", () => {
  const code = [
    'import { a, b as c } from "pkg:1";',
    'import first from "pkg:1";',
    'import second, {\n  d,\n  "e f" as g\n} from "pkg:2";',
    'import "pkg:3" with { type: "json" };',
    'export { h, default as i } from "pkg:4";',
    'import other from "elsewhere";',
  ].join("\n");
  const expected = { 1: ["a", "b", "default"], 2: ["d", "default", "e f"], 3: [], 4: ["default", "h"] };
  assert.deepEqual(taken(code), expected);
  assert.equal(takenFrom(code, "pkg:").statements, 5);
});

test("of a module as a whole, its members where only these are read, else all", () => {
  const star = (use: string) => taken(`import * as ns from "pkg:1";\n${use}\n`)[1];
  assert.deepEqual(star("f(ns.a, ns.b.c); other.ns; nsOther; $ns;"), ["a", "b"]);
  for (const use of ["f(ns)", "ns[name]", "ns?.a", "({ ...ns })", "-ns", "x = { ns }"])
    assert.equal(star(use), "all", use);
  assert.deepEqual(taken('import d, * as $n1 from "pkg:1";\n$n1.a;'), { 1: ["a", "default"] });
  assert.deepEqual(taken('export * from "pkg:1";\nexport * as all from "pkg:2";'), { 1: "all", 2: "all" });
});

test("what it cannot read it does not count", () => {
  assert.equal(takenFrom('import { "a,b" as c } from "pkg:1";', "pkg:").statements, 0);
});
