import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, it } from "node:test";
import type { JsonSchema } from "../../src/protocol/json.ts";
import type { InputSpec } from "../../src/protocol/spec.ts";
import { schemaCompiler } from "./ajv.ts";

interface Pinned {
  input: InputSpec;
  $defs?: { [name: string]: JsonSchema };
}

/** Bodies that a pinned input schema takes, and bodies that it refuses: `[group, shape, taken, refused]`. */
const BODIES: [string, string, unknown[], unknown[]][] = [
  ["primitives", "bigint", [{ value: "-12" }], [{ value: 12 }, { value: "1.5" }, {}]],
  ["primitives", "date", [{ value: "2026-01-02T03:04:05Z" }], [{ value: "yesterday" }, { value: 0 }]],
  ["primitives", "emptyObject", [{ value: 0, _second: "" }], [{ value: null, _second: "" }]],
  ["literals", "nullableLiterals", [{ value: "a" }, { value: null }], [{ value: "c" }, { value: undefined }]],
  ["literals", "templateLiteral", [{ value: "v1.5", route: "/a/edit" }], [{ value: "1.5", route: "/a/edit" }]],
  ["literals", "numericEnum", [{ value: 5 }], [{ value: 1 }, { value: "Low" }]],
  [
    "objects",
    "extendedInterface",
    [{ id: "", name: "root", nickname: null, rights: [], created: "2026-01-02T03:04:05Z" }],
    [{ id: "", name: "else", nickname: null, rights: [], created: "2026-01-02T03:04:05Z" }],
  ],
  ["objects", "neverProperty", [{ a: "" }, { a: "", more: 1 }], [{ a: "", b: 1 }]],
  ["objects", "propertiesAndIndex", [{ total: 1, more: 2 }], [{ total: 1, more: "2" }]],
  [
    "arrays",
    "optionalTuple",
    [{ value: ["a"] }, { value: ["a", 1, true] }],
    [{ value: [] }, { value: ["a", "b"] }, { value: ["a", 1, true, 0] }],
  ],
  ["arrays", "restTuple", [{ value: [1] }, { value: [1, "a", "b"] }], [{ value: [] }, { value: [1, 2] }]],
  ["arrays", "emptyTuple", [{ value: [] }], [{ value: [1] }]],
  [
    "unions",
    "discriminated",
    [
      { kind: "square", side: 1 },
      { kind: "rectangle", sides: [1, 2] },
    ],
    [{ kind: "square", radius: 1 }, { kind: "line" }],
  ],
  [
    "unions",
    "objectsAndText",
    [{ value: "" }, { value: { kind: "circle", radius: 1 } }],
    [{ value: 1 }, { value: { kind: "circle" } }],
  ],
  [
    "recursive",
    "tree",
    [{ value: 1, children: [{ value: 2, children: [] }] }],
    [{ value: 1, children: [{ value: 2 }] }],
  ],
  ["recursive", "jsonLike", [{ value: [1, { a: [null] }] }], [{}]],
  ["generics", "recordOfLiterals", [{ admin: 1, reader: 2 }], [{ admin: 1 }]],
  ["generics", "recordOfNever", [{}], [{ a: 1 }]],
  ["generics", "recordOfTemplate", [{ "data-a": "" }], [{ "data-a": 1 }, { other: "" }]],
  ["generics", "partial", [{}, { age: 1 }], [{ age: "1" }]],
  [
    "parameters",
    "several",
    [{ a: "", b: 1, c: true }],
    [
      { a: "", b: 1 },
      { a: "", b: 1, c: true, d: 0 },
    ],
  ],
  ["parameters", "rest", [{ first: "" }, { first: "", others: [1, 2] }], [{ first: "", others: ["a"] }]],
  [
    "docs",
    "paramTags",
    [{ text: "a", count: 10 }],
    [{ text: "" }, { text: "a", count: 11 }, { text: "a", rest: ["A"] }],
  ],
];

const groups = new Map<string, { [shape: string]: Pinned }>();

function pinned(group: string, shape: string): Pinned {
  const known =
    groups.get(group) ?? JSON.parse(readFileSync(path.join(import.meta.dirname, "golden", `${group}.json`), "utf8"));
  groups.set(group, known);
  return known[shape];
}

describe("what the pinned schemas take and refuse", () => {
  for (const [group, shape, taken, refused] of BODIES) {
    it(`${group}: ${shape}`, () => {
      const { input, $defs = {} } = pinned(group, shape);
      assert.ok("schema" in input && input.schema !== null);
      const validate = schemaCompiler($defs)(input.schema);
      for (const body of taken) assert.ok(validate(body), `takes ${JSON.stringify(body)}`);
      for (const body of refused) assert.ok(!validate(body), `refuses ${JSON.stringify(body)}`);
    });
  }
});
