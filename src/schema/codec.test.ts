import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Json, JsonSchema } from "../protocol/json.ts";
import type { MediaRef } from "../protocol/media.ts";
import { decodeInput } from "./decode.ts";
import { encodeOutput, MEDIA_SYMBOL } from "./encode.ts";
import { BIGINT, BYTES, DATE, functionOf, functionWith, param, validatorsOf } from "./fixtures.ts";
import { IMAGE_SCHEMA } from "./media.ts";

const media = (ref: MediaRef): string => `image ${ref.$media}`;
const array = (items: JsonSchema): JsonSchema => ({ type: "array", items });

test("special values survive encode and decode, wherever they stand", async () => {
  const $defs = { Node: { type: "object", properties: { at: DATE, next: { $ref: "#/$defs/Node" } } } as JsonSchema };
  const fn = functionOf({
    date: DATE,
    bytes: BYTES,
    big: BIGINT,
    list: array({ type: "object", properties: { at: DATE } }),
    record: { type: "object", additionalProperties: BIGINT },
    tuple: { type: "array", prefixItems: [DATE, { type: "number" }], items: BYTES },
    node: { $ref: "#/$defs/Node" },
    plain: true,
  });
  const validators = await validatorsOf([fn], $defs);
  const date = fc.date({ min: new Date("0001-01-01"), max: new Date("9999-12-31"), noInvalidDate: true });
  const bytes = fc.uint8Array({ maxLength: 5000 });
  const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
    fc.record(model, { noNullPrototype: true }) as fc.Arbitrary<T>;
  const value = record({
    date,
    bytes,
    big: fc.bigInt(),
    list: fc.array(record({ at: date })),
    record: fc.dictionary(
      fc.string().filter((key) => key !== "__proto__" && key !== "$media"),
      fc.bigInt(),
      { noNullPrototype: true },
    ),
    tuple: fc.tuple(date, fc.integer(), bytes),
    node: record({ at: date, next: record({ at: date }) }),
    plain: fc.jsonValue({ depthSize: "small" }).filter((v) => !JSON.stringify(v).includes("__proto__")),
  });
  fc.assert(
    fc.property(value, (given) => {
      const encoded = encodeOutput(given);
      // As it is after the wire.
      const body = JSON.parse(JSON.stringify(encoded.value)) as Json;
      assert.deepEqual(validators.input("f", body), []);
      const { args } = decodeInput({ fn, $defs, validators, body, media });
      const plain = JSON.parse(JSON.stringify(given.plain)) as Json;
      assert.deepEqual(args, [
        given.date,
        given.bytes,
        given.big,
        given.list,
        given.record,
        given.tuple,
        given.node,
        plain,
      ]);
    }),
    { numRuns: 200 },
  );
});

test("unions decode by the branch that the value is of", async () => {
  const fn = functionOf({
    a: { anyOf: [DATE, { type: "number" }, { type: "null" }] },
    b: {
      anyOf: [
        { type: "object", properties: { kind: { const: "date" }, v: DATE }, required: ["kind", "v"] },
        { type: "object", properties: { kind: { const: "big" }, v: BIGINT }, required: ["kind", "v"] },
      ],
    },
    c: { anyOf: [IMAGE_SCHEMA, { type: "string" }] },
  });
  const validators = await validatorsOf([fn]);
  const decode = (body: Json): unknown[] => decodeInput({ fn, $defs: {}, validators, body, media }).args;
  const at = new Date("2026-01-02T03:04:05.000Z");
  const ref = { $media: 3, file_name: "a", content_type: "image/png" };
  assert.deepEqual(decode({ a: at.toISOString(), b: { kind: "date", v: at.toISOString() }, c: "text" }), [
    at,
    { kind: "date", v: at },
    "text",
  ]);
  assert.deepEqual(decode({ a: 5, b: { kind: "big", v: "12" }, c: ref }), [5, { kind: "big", v: 12n }, "image 3"]);
  assert.deepEqual(decode({ a: null, b: { kind: "big", v: "12" }, c: ref })[0], null);
});

test("arguments stand at their places: absent, injected, rest, one object, a Standard Schema's", async () => {
  const $defs = {};
  const schema: JsonSchema = { type: "object", properties: { a: true, tags: array(DATE) } };
  const params = [
    { ...param("progress"), inject: "progress" as const },
    param("a", true),
    { ...param("tags"), rest: true },
  ];
  const fn = functionWith({ mode: "params", params, schema });
  const validators = await validatorsOf([fn]);
  const decode = (body: Json): unknown[] => decodeInput({ fn, $defs, validators, body, media }).args;
  const at = "2026-01-02T03:04:05.000Z";
  assert.deepEqual(decode({ a: 1, tags: [at, at] }), [undefined, 1, new Date(at), new Date(at)]);
  assert.deepEqual(decode({}), [undefined, undefined]);
  const object = functionWith({
    mode: "object",
    params: [param("it"), { ...param("ctx"), inject: "context" }],
    schema: true,
  });
  assert.deepEqual(decodeInput({ fn: object, $defs, validators, body: { x: 1 }, media }).args, [{ x: 1 }, undefined]);
  const standard = functionWith({ mode: "standard", schema: null });
  assert.deepEqual(decodeInput({ fn: standard, $defs, validators, body: { x: 1 }, media }).args, [{ x: 1 }]);
});

test("a date that matches the format but does not exist is the caller's fault", async () => {
  const fn = functionOf({ date: DATE });
  const validators = await validatorsOf([fn]);
  const body = { date: "2016-12-31T23:59:60Z" };
  assert.deepEqual(validators.input("f", body), []);
  assert.throws(() => decodeInput({ fn, $defs: {}, validators, body, media }), {
    code: "input_invalid",
    errors: [{ path: "/date", expected: "date and time that exists", actual: '"2016-12-31T23:59:60Z"' }],
  });
});

test("results are encoded; what needs no change is not copied", () => {
  const plain = { a: [1, { b: "c" }], d: null };
  assert.equal(encodeOutput(plain).value, plain);
  assert.deepEqual(encodeOutput(undefined).value, null);
  const mixed = {
    gone: undefined,
    list: [undefined, 1n],
    url: new URL("http://a.example/"),
    own: new (class Point {
      x = 1;
    })(),
  };
  assert.deepEqual(JSON.parse(JSON.stringify(encodeOutput(mixed).value)), {
    list: [null, "1"],
    url: "http://a.example/",
    own: { x: 1 },
  });
  assert.ok("gone" in mixed);
  const image = { [MEDIA_SYMBOL]: () => ({ bytes: new Uint8Array([1]), fileName: "a.png", contentType: "image/png" }) };
  class Image {
    [MEDIA_SYMBOL] = image[MEDIA_SYMBOL];
  }
  const { value, attachments } = encodeOutput({ images: [new Image(), new Image()] });
  assert.deepEqual(value, {
    images: [0, 1].map(($media) => ({ $media, file_name: "a.png", content_type: "image/png" })),
  });
  assert.equal(attachments.length, 2);
});

test("what JSON can't hold is refused with its path", () => {
  const cycle: Record<string, unknown> = { a: {} };
  (cycle.a as Record<string, unknown>).b = cycle;
  const cases: [unknown, string][] = [
    [{ a: [1, Number.NaN] }, "/a/1"],
    [{ a: Number.POSITIVE_INFINITY }, "/a"],
    [() => 1, ""],
    [{ a: { b: () => 1 } }, "/a/b"],
    [{ s: Symbol("x") }, "/s"],
    [{ m: new Map() }, "/m"],
    [{ s: new Set() }, "/s"],
    [{ p: Promise.resolve() }, "/p"],
    [{ r: /x/ }, "/r"],
    [{ e: new Error("x") }, "/e"],
    [{ d: new Date(Number.NaN) }, "/d"],
    [{ f: new Float32Array(1) }, "/f"],
    [{ "a/b": { $media: 1 } }, "/a~1b"],
  ];
  for (const [value, path] of cases) {
    assert.throws(
      () => encodeOutput(value),
      (error: Error & { code: string; errors: { path: string }[] }) =>
        error.code === "output_invalid" && error.errors[0]?.path === path,
      path,
    );
  }
  assert.throws(() => encodeOutput(cycle), /a reference to what holds it/);
  let deep: unknown = 1;
  for (let i = 0; i < 2000; i++) deep = [deep];
  assert.throws(() => encodeOutput(deep), /nested over 500 deep/);
});

test("any value at all is either encoded to JSON or refused with output_invalid", () => {
  fc.assert(
    fc.property(
      fc.anything({
        withBigInt: true,
        withDate: true,
        withMap: true,
        withSet: true,
        withTypedArray: true,
        withSparseArray: true,
        withNullPrototype: true,
      }),
      (value) => {
        try {
          const { value: encoded } = encodeOutput(value);
          assert.deepEqual(encodeOutput(encoded).value, encoded);
          assert.deepEqual(
            JSON.parse(JSON.stringify(encoded)),
            JSON.parse(JSON.stringify(JSON.parse(JSON.stringify(encoded)))),
          );
        } catch (error) {
          assert.equal((error as { code?: string }).code, "output_invalid", String((error as Error).stack));
        }
      },
    ),
    { numRuns: 1000 },
  );
});
