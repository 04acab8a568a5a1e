import assert from "node:assert/strict";
import { test } from "node:test";
import type { Json, JsonSchema } from "../protocol/json.ts";
import { checkInput, checkOutput } from "./check.ts";
import { compileValidators } from "./compile.ts";
import { BIGINT, BYTES, DATE, functionOf, functionWith, validatorsOf } from "./fixtures.ts";
import { IMAGE_SCHEMA } from "./media.ts";

const CIRCLE: JsonSchema = {
  type: "object",
  properties: { kind: { const: "circle" }, radius: { type: "number", minimum: 1 } },
  required: ["kind", "radius"],
};
const SQUARE: JsonSchema = {
  type: "object",
  properties: { kind: { const: "square" }, side: { type: "number" } },
  required: ["kind", "side"],
};
const TREE: JsonSchema = {
  type: "object",
  properties: { name: { type: "string" }, kids: { type: "array", items: { $ref: "#/$defs/Tree" } } },
  required: ["name"],
};
const $defs = { Circle: CIRCLE, Square: SQUARE, Tree: TREE };
const REFS = [{ $ref: "#/$defs/Circle" }, { $ref: "#/$defs/Square" }];

const FIELDS: { [name: string]: JsonSchema } = {
  "n?": { type: "number", minimum: 1 },
  "i?": { type: "integer" },
  "s?": { type: "string", minLength: 2, maxLength: 4 },
  "p?": { type: "string", pattern: "^a+$" },
  "email?": { type: "string", format: "email" },
  "e?": { enum: ["a", "b", 3] },
  "c?": { const: "only" },
  "u?": { anyOf: [{ type: "string" }, { type: "null" }] },
  "tagged?": { oneOf: REFS, discriminator: { propertyName: "kind", mapping: { circle: "#/$defs/Circle" } } },
  "untagged?": { anyOf: REFS },
  "mixed?": { anyOf: [{ type: "string" }, { $ref: "#/$defs/Tree" }] },
  "tree?": { $ref: "#/$defs/Tree" },
  "list?": { type: "array", items: { type: "number" }, minItems: 1 },
  "closed?": { type: "object", properties: { a: true }, additionalProperties: false },
  "date?": DATE,
  "bytes?": BYTES,
  "big?": BIGINT,
  "image?": IMAGE_SCHEMA,
  "toString?": { type: "string" },
};

test("each fault is named with its path, what was expected, and what was there", async () => {
  const validators = await validatorsOf([functionOf(FIELDS)], $defs);
  const cases: [Json, [path: string, expected: string, actual: string][]][] = [
    [{ n: 0 }, [["/n", "number >= 1", "0"]]],
    [{ n: "5" }, [["/n", "number >= 1", '"5"']]],
    [{ i: 1.5 }, [["/i", "integer", "1.5"]]],
    [{ s: "a" }, [["/s", "string of at least 2 characters", '"a"']]],
    [{ s: "abcde" }, [["/s", "string of at most 4 characters", '"abcde"']]],
    [{ p: "b" }, [["/p", "string matching ^a+$", '"b"']]],
    [{ email: "x" }, [["/email", "string in the format email", '"x"']]],
    [{ e: "z" }, [["/e", 'one of "a", "b", 3', '"z"']]],
    [{ c: 1 }, [["/c", '"only"', "1"]]],
    [{ u: 5 }, [["/u", "string or null", "5"]]],
    [{ tagged: { kind: "x" } }, [["/tagged/kind", 'one of "circle", "square"', '"x"']]],
    [{ tagged: {} }, [["/tagged/kind", 'one of "circle", "square"', "nothing"]]],
    [{ tagged: { kind: "circle", radius: 0 } }, [["/tagged/radius", "number >= 1", "0"]]],
    [{ tagged: 5 }, [["/tagged", "object", "5"]]],
    [{ untagged: { kind: "circle", radius: "x" } }, [["/untagged/radius", "number >= 1", '"x"']]],
    [{ mixed: { name: 1 } }, [["/mixed/name", "string", "1"]]],
    [{ mixed: 1 }, [["/mixed", "string or object", "1"]]],
    [
      { tree: { name: "a", kids: [{ name: 1 }, {}] } },
      [
        ["/tree/kids/0/name", "string", "1"],
        ["/tree/kids/1/name", "string", "nothing"],
      ],
    ],
    [{ list: [] }, [["/list", "array of at least 1 items", "array of 0 items"]]],
    [{ list: { a: 1 } }, [["/list", "array of number", "object"]]],
    [{ closed: { a: 1, "b/c~": 2 } }, [["/closed/b~1c~0", 'nothing by this name; known: "a"', "2"]]],
    [{ date: "yesterday" }, [["/date", "date and time as an ISO 8601 string with a time zone", '"yesterday"']]],
    [{ bytes: "###" }, [["/bytes", "base64 string", '"###"']]],
    [{ big: "1.5" }, [["/big", "decimal integer as a string", '"1.5"']]],
    [
      { image: 5 },
      [["/image", "image: a file part, a data URI, base64, or {file_name?, content_type?, content}", "5"]],
    ],
    [{ toString: 5 }, [["/toString", "string", "5"]]],
    [5, [["", "object", "5"]]],
  ];
  for (const [body, expected] of cases) {
    const found = validators.input("f", body).map((e) => [e.path, e.expected, e.actual]);
    assert.deepEqual(found, expected, JSON.stringify(body));
  }
});

test("valid bodies pass, and a function without a schema takes anything", async () => {
  const any = functionWith({ mode: "standard", schema: null }, null, "any");
  const validators = await validatorsOf([functionOf(FIELDS), any], $defs);
  const valid: Json[] = [
    {},
    { n: 1, i: 2, s: "ab", p: "aa", email: "a@b.cc", e: 3, c: "only", u: null },
    { tagged: { kind: "square", side: 1 }, untagged: { kind: "circle", radius: 1 }, mixed: "s" },
    { tree: { name: "a", kids: [{ name: "b", kids: [] }] }, list: [1, 2.5] },
    { date: "2026-01-02T03:04:05Z", bytes: "aGk=", big: "-12345678901234567890" },
    { image: { $media: 0, file_name: "a.png", content_type: "image/png" } },
  ];
  for (const body of valid) assert.deepEqual(validators.input("f", body), [], JSON.stringify(body));
  assert.deepEqual(validators.input("any", [1, { a: null }]), []);
});

test("faults in a body of any size stay few, short, and do not change the verdict of a union", async () => {
  const fn = functionOf({
    "list?": { type: "array", items: { type: "number" } },
    "either?": {
      anyOf: [
        { type: "array", items: { type: "number" } },
        { type: "array", items: { type: "string" } },
      ],
    },
  });
  const validators = await validatorsOf([fn]);
  const faults = validators.input("f", { list: Array(100_000).fill("x".repeat(1000)) });
  assert.equal(faults.length, 20);
  assert.ok(JSON.stringify(faults).length < 5000);
  assert.deepEqual(validators.input("f", { either: Array(100_000).fill("x") }), []);
  const names = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`n${i}`.repeat(100), i]));
  assert.ok(JSON.stringify(validators.input("f", names)).length < 10_000);
});

test("inherited names are not taken for given ones, and own odd names are seen", async () => {
  const fn = functionOf({ constructor: { type: "object" } });
  const validators = await validatorsOf([fn]);
  assert.deepEqual(
    validators.input("f", {}).map((e) => e.path),
    ["/constructor"],
  );
  assert.deepEqual(
    validators.input("f", JSON.parse('{"constructor":{},"__proto__":1}') as Json).map((e) => e.path),
    ["/__proto__"],
  );
});

test("results are checked, and the error names its paths", async () => {
  const fn = functionOf({}, { type: "object", properties: { a: { type: "number" } }, required: ["a"] });
  const validators = await validatorsOf([fn]);
  checkOutput({ fn: "f", validators, value: { a: 1 } });
  assert.throws(() => checkOutput({ fn: "f", validators, value: { a: "x" } }), {
    code: "output_invalid",
    message: 'The result of f is invalid: /a: expected number, got "x".',
    errors: [{ path: "/a", expected: "number", actual: '"x"' }],
  });
  assert.throws(() => checkInput({ fn: "f", validators, body: { b: 1 } }), { code: "input_invalid", status: 422 });
});

test("a pattern that is valid only without the u flag compiles; one that is not valid at all is named", async () => {
  const loose = await validatorsOf([functionOf({ a: { type: "string", pattern: "^\\_+$" } })]);
  assert.deepEqual(loose.input("f", { a: "__" }), []);
  const bad = functionOf({ a: { type: "string", pattern: "(" } });
  const spec = { specVersion: 1, name: "x", compute: "dedicated", functions: [bad], $defs: {} } as const;
  await assert.rejects(compileValidators({ ...spec, functions: [bad] }), { code: "deployment_invalid" });
});
