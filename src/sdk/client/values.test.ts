import assert from "node:assert/strict";
import { test } from "node:test";
import type { Json, JsonSchema } from "../../protocol/json.ts";
import { ImageFile } from "../media.ts";
import { encodeArgument } from "./encode.ts";
import { revive } from "./revive.ts";

const PNG = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 1, 2, 3]);

const date: JsonSchema = { type: "string", format: "date-time", "x-athanor-type": "date" };
const bytes: JsonSchema = { type: "string", contentEncoding: "base64", "x-athanor-type": "bytes" };
const bigint: JsonSchema = { type: "string", "x-athanor-type": "bigint" };
const image: JsonSchema = {
  "x-athanor-type": "image",
  anyOf: [{ type: "string" }, { type: "object", required: ["content"] }],
};

function back(value: Json, schema: JsonSchema, $defs: Record<string, JsonSchema> = {}): Promise<unknown> {
  const fetchBytes = async (url: string) => {
    assert.equal(url, "/v1/jobs/jobs:1/files/abc");
    return PNG;
  };
  return revive(value, { schema, $defs, fetchBytes });
}

test("arguments cross as JSON has them", () => {
  const value = {
    at: new Date(0),
    raw: new Uint8Array([1, 2]),
    big: 12345678901234567890n,
    list: [1, undefined, null],
    gone: undefined,
    json: { toJSON: () => "x" },
    image: new ImageFile(PNG, { fileName: "a.png" }),
  };
  assert.deepEqual(encodeArgument(value, "argument 1"), {
    at: "1970-01-01T00:00:00.000Z",
    raw: "AQI=",
    big: "12345678901234567890",
    list: [1, null, null],
    json: "x",
    image: { file_name: "a.png", content_type: "image/png", content: Buffer.from(PNG).toString("base64") },
  });
});

test("an argument that cannot cross is refused by its place", () => {
  const circle: { self?: unknown } = {};
  circle.self = circle;
  const cases: [unknown, RegExp][] = [
    [{ a: [Number.NaN] }, /argument 1\.a\[0\] is NaN/],
    [{ f: () => 1 }, /argument 1\.f is a function/],
    [Symbol("s"), /argument 1 is a symbol/],
    [circle, /argument 1\.self is a value that holds itself/],
    [new Map(), /is a Map/],
    [new Date(Number.NaN), /an invalid Date/],
  ];
  for (const [value, message] of cases)
    assert.throws(() => encodeArgument(value, "argument 1"), { code: "input_invalid", message });
  const twice = { n: 1 };
  assert.deepEqual(encodeArgument([twice, twice], "argument 1"), [{ n: 1 }, { n: 1 }]);
});

test("results become what the schema says they are in code", async () => {
  const schema: JsonSchema = {
    type: "object",
    properties: {
      at: date,
      raw: bytes,
      list: { type: "array", items: bigint },
      pair: { type: "array", prefixItems: [date, bigint] },
    },
    additionalProperties: date,
  };
  const wire = {
    at: "1970-01-01T00:00:00.000Z",
    raw: "AQI=",
    list: ["1"],
    pair: ["1970-01-01T00:00:00.000Z", "2"],
    other: "1970-01-01T00:00:00.000Z",
  };
  assert.deepEqual(await back(wire, schema), {
    at: new Date(0),
    raw: new Uint8Array([1, 2]),
    list: [1n],
    pair: [new Date(0), 2n],
    other: new Date(0),
  });
});

test("references, also recursive ones, are followed", async () => {
  const node: JsonSchema = {
    type: "object",
    properties: { at: date, next: { anyOf: [{ $ref: "#/$defs/Node" }, { type: "null" }] } },
  };
  const wire = { at: "1970-01-01T00:00:00.000Z", next: { at: "1970-01-01T00:00:00.000Z", next: null } };
  const value = (await back(wire, { $ref: "#/$defs/Node" }, { Node: node })) as { next: { at: Date } };
  assert.ok(value.next.at instanceof Date);
});

test("of alternatives the one that fits is taken", async () => {
  const tagged = (kind: string, at: JsonSchema): JsonSchema => ({
    type: "object",
    properties: { kind: { const: kind }, at },
    required: ["kind", "at"],
  });
  const union: JsonSchema = { anyOf: [tagged("date", date), tagged("big", bigint), { type: "null" }] };
  assert.deepEqual(await back({ kind: "big", at: "5" }, union), { kind: "big", at: 5n });
  assert.deepEqual(await back({ kind: "date", at: "1970-01-01" }, union), { kind: "date", at: new Date("1970-01-01") });
  assert.equal(await back(null, union), null);
  assert.equal(await back("plain", { anyOf: [{ type: "number" }, { type: "string" }, date] }), "plain");
});

test("images are read from their content or their URL", async () => {
  const content = Buffer.from(PNG).toString("base64");
  const inline = (await back(
    { file_name: "a.png", content_type: "image/png", content, url: null },
    image,
  )) as ImageFile;
  assert.equal(inline.fileName, "a.png");
  assert.deepEqual([...(await inline.bytes())], [...PNG]);
  const fetched = (await back(
    { file_name: "b.png", content_type: "image/png", url: "/v1/jobs/jobs:1/files/abc" },
    image,
  )) as ImageFile;
  assert.equal(fetched.size, PNG.length);
});

test("a value whose schema has nothing to decode is passed as it is", async () => {
  const value = { a: [1] };
  assert.equal(await back(value, { type: "object" }), value);
  assert.equal(await revive(value, { schema: null, $defs: {}, fetchBytes: async () => PNG }), value);
});
