import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { endpointSpec, functionSpec } from "../../test/harness/specs.ts";
import type { JsonSchema } from "../protocol/json.ts";
import type { AppSpec, FunctionSpec } from "../protocol/spec.ts";
import { type PlanSide, planOf } from "./plan.ts";

type Schemas = { [name: string]: JsonSchema };

let digests = 0;
const side = (
  functions: FunctionSpec[],
  more: Partial<PlanSide & Pick<AppSpec, "$defs" | "compute">> = {},
): PlanSide => ({
  spec: { specVersion: 1, name: "demo", compute: more.compute ?? "dedicated", functions, $defs: more.$defs ?? {} },
  dependencies: more.dependencies ?? null,
  digest: more.digest ?? String(++digests),
});

/** What changes, `!` before what breaks; the code is left out. */
function told(before: PlanSide | null, after: PlanSide): string[] {
  const { changes, breaking } = planOf(before, after);
  assert.equal(changes.filter((change) => change.breaking).length, breaking);
  return changes
    .filter(({ area }) => area !== "code")
    .map(({ breaking, function: fn, text }) => `${breaking ? "! " : ""}${fn === null ? "" : `${fn} `}${text}`);
}

function taking(properties: Schemas, required = Object.keys(properties)): FunctionSpec {
  const params = Object.keys(properties).map((name) => ({
    name,
    inject: null,
    optional: !required.includes(name),
    rest: false,
  }));
  const schema = { type: "object", properties, required, additionalProperties: false };
  return functionSpec("f", { input: { mode: "params", params, schema } });
}

const giving = (schema: JsonSchema | null, stream = false): FunctionSpec =>
  functionSpec("f", { output: { schema, stream, standard: false } });

const input = (before: FunctionSpec, after: FunctionSpec, $defs: [Schemas, Schemas] = [{}, {}]): string[] =>
  told(side([before], { $defs: $defs[0] }), side([after], { $defs: $defs[1] }));

const values = (before: JsonSchema, after: JsonSchema): string[] => input(taking({ x: before }), taking({ x: after }));
const results = (before: JsonSchema | null, after: JsonSchema | null): string[] => input(giving(before), giving(after));

const [string, number, integer] = [{ type: "string" }, { type: "number" }, { type: "integer" }];
const object = (properties: Schemas, required = Object.keys(properties)): JsonSchema => ({
  type: "object",
  properties,
  required,
});

describe("a plan of what a deploy changes", () => {
  it("is empty for the same digest, and the code alone where nothing else differs", () => {
    assert.deepEqual(planOf(side([taking({ x: string })], { digest: "d" }), side([], { digest: "d" })).changes, []);
    const { changes } = planOf(side([taking({ x: string })]), side([taking({ x: string })]));
    assert.deepEqual(
      changes.map(({ area, text }) => [area, text]),
      [["code", "the code, and nothing else"]],
    );
  });

  it("has everything of an app that is new, and nothing that breaks", () => {
    const scheduled = functionSpec("tick", { schedule: { type: "every", everyS: 5, missed: "skip" } });
    const dependencies = { packages: { sharp: "1.2.3" }, lockfile: null };
    assert.deepEqual(told(null, side([endpointSpec("hi"), scheduled], { dependencies })), [
      "the app demo is new",
      "hi is new: POST /hi",
      "tick is new",
      "tick runs every 5 s, missed ticks skipped",
      "sharp 1.2.3",
    ]);
  });

  it("names functions, routes and methods that come and go", () => {
    const before = side([endpointSpec("a"), endpointSpec("b"), endpointSpec("c", {}, { methods: ["GET", "POST"] })]);
    const after = side([
      endpointSpec("a", {}, { path: "/z" }),
      endpointSpec("c", {}, { methods: ["GET", "PUT"] }),
      functionSpec("d"),
    ]);
    assert.deepEqual(told(before, after), [
      "! a is at /z now, and was at /a",
      "! b is no more: POST /b",
      "! c POST /c is no more",
      "c PUT /c is new",
      "d is new",
    ]);
  });

  it("names options, old and new, and keeps an environment's values to itself", () => {
    const before = endpointSpec("a", {
      keepWarmS: 60,
      placement: { ...endpointSpec("a").placement, env: { A: "secret", B: "b" } },
    });
    const after = endpointSpec(
      "a",
      { keepWarmS: 5, maxReplicas: 4, placement: { ...before.placement, memoryMb: 512, env: { A: "other", C: "c" } } },
      { maxUploadFileSizeMb: 0.5, access: "token", cors: { origins: ["*"], headers: [], credentials: false } },
    );
    assert.deepEqual(told(side([before]), side([after])), [
      "! a needs the server's token now",
      "a cors.credentials: null -> false",
      "a cors.headers: null -> []",
      'a cors.origins: null -> ["*"]',
      "a env.A is another",
      "a env.B is no more",
      "a env.C is new",
      "a keepWarmS: 60 -> 5",
      "a maxReplicas: 1 -> 4",
      "! a maxUploadFileSizeMb: 1 -> 0.5",
      "a memoryMb: 128 -> 512",
    ]);
    const closed = told(side([after]), side([before]));
    assert.ok(closed.includes('! a cors.origins: ["*"] -> null'), closed.join("\n"));
    assert.ok(closed.includes("a is public now"));
  });

  it("says where answers become jobs, and schedules change", () => {
    const queue = { size: 1, maxWorkers: 1, ttlS: 1 };
    const queued = told(side([endpointSpec("a")]), side([endpointSpec("a", { queue })]));
    assert.equal(queued[0], "! a is queued now: calls answer 202 with a job");
    const cron = { type: "cron", cron: "0 3 * * *", timeZone: "UTC", missed: "run_once" } as const;
    const every = { type: "every", everyS: 5, missed: "run_once" } as const;
    const schedules = (a: FunctionSpec["schedule"], b: FunctionSpec["schedule"]) =>
      told(side([functionSpec("f", { schedule: a })]), side([functionSpec("f", { schedule: b })]));
    assert.deepEqual(schedules(cron, every), ['f runs every 5 s now, and ran at "0 3 * * *" in UTC']);
    assert.deepEqual(schedules(cron, null), ['f no longer runs at "0 3 * * *" in UTC']);
  });

  it("names packages", () => {
    const at = (packages: { [name: string]: string }, lockfile: string | null = null) =>
      side([], { dependencies: { packages, lockfile } });
    assert.deepEqual(told(at({ a: "1.0.0", b: "1.0.0" }), at({ a: "2.0.0", c: "1.0.0" })), [
      "a 1.0.0 -> 2.0.0",
      "b 1.0.0",
      "c 1.0.0",
    ]);
    assert.equal(told(at({ a: "1.0.0" }, "x"), at({ a: "1.0.0" }, "y")).length, 1);
    const unknown = { ...side([]), dependencies: undefined };
    assert.deepEqual(told(unknown, at({ a: "1.0.0" })), []);
  });
});

describe("a change of what a function takes", () => {
  it("breaks where a parameter is added that must be given, or taken away, or has to be given now", () => {
    assert.deepEqual(input(taking({ a: string }), taking({ a: string, b: number })), ["! f b is new, and required"]);
    assert.deepEqual(input(taking({ a: string }), taking({ a: string, b: number }, ["a"])), [
      "f b is new, and optional",
    ]);
    assert.deepEqual(input(taking({ a: string, b: number }), taking({ a: string })), ["! f b is no longer taken"]);
    assert.deepEqual(input(taking({ a: string }, []), taking({ a: string })), ["! f a is required now"]);
    assert.deepEqual(input(taking({ a: string }), taking({ a: string }, [])), ["f a is optional now"]);
  });

  it("breaks where a type is narrowed or another, and not where it is widened", () => {
    assert.deepEqual(values(string, number), ["! f x takes number now, and took string"]);
    assert.deepEqual(values(number, integer), ["! f x takes integer alone now, and no longer number"]);
    assert.deepEqual(values(integer, number), ["f x takes number too now"]);
    assert.deepEqual(values({ anyOf: [string, number] }, number), [
      "! f x takes number alone now, and no longer string",
    ]);
    assert.deepEqual(values(number, { anyOf: [string, number] }), ["f x takes string too now"]);
    assert.deepEqual(values(true, number), ["! f x takes number alone now, and no longer any value"]);
    assert.deepEqual(values(number, {}), ["f x takes any value too now"]);
    assert.deepEqual(values({ type: ["string", "null"] }, string).length, 1);
  });

  it("breaks where a value of an enumeration goes", () => {
    const one = (...list: string[]) => ({ enum: list });
    assert.deepEqual(values(one("a", "b"), one("b", "c")), ['! f x no longer takes "a"', 'f x takes "c" now']);
    assert.deepEqual(values(one("a"), string), ["f x takes string too now"]);
    assert.deepEqual(values(string, one("a")), ['! f x takes "a" alone now, and no longer string']);
    assert.deepEqual(values({ anyOf: [{ const: "a" }, { const: "b" }] }, one("a", "b")), [
      "f the schema of the input has changed, and not what it takes",
    ]);
  });

  it("breaks where a bound is drawn closer", () => {
    assert.deepEqual(values({ ...number, maximum: 10 }, { ...number, maximum: 5 }), [
      "! f x has the maximum 5, and had 10",
    ]);
    assert.deepEqual(values({ ...number, maximum: 5 }, number), ["f x has the maximum no more, and had 5"]);
    assert.deepEqual(values(string, { ...string, minLength: 1 }), ["! f x has the minLength 1, and had none"]);
    assert.deepEqual(values({ ...string, pattern: "a" }, { ...string, pattern: "b" }), [
      '! f x has the pattern "b", and had "a"',
    ]);
    assert.deepEqual(values({ ...number, multipleOf: 4 }, { ...number, multipleOf: 2 }), [
      "f x has the multipleOf 2, and had 4",
    ]);
  });

  it("is found inside objects, lists, unions and definitions, recursive ones too", () => {
    const nested = (inner: JsonSchema) => object({ list: { type: "array", items: object({ deep: inner }) } });
    assert.deepEqual(values(nested(number), nested(string)), ["! f x.list[].deep takes string now, and took number"]);
    const tuple = (second: JsonSchema) => ({ type: "array", prefixItems: [string, second], items: false, minItems: 2 });
    assert.deepEqual(values(tuple(number), tuple(string)), ["! f x[1] takes string now, and took number"]);
    const shapes = (radius: JsonSchema) => ({
      anyOf: [object({ kind: { const: "circle" }, radius }), object({ kind: { const: "dot" } })],
    });
    assert.equal(values(shapes(number), shapes(string)).length, 1);
    const tree = (value: JsonSchema): Schemas => ({
      Tree: object({ value, children: { type: "array", items: { $ref: "#/$defs/Tree" } } }),
    });
    const of = taking({ x: { $ref: "#/$defs/Tree" } });
    assert.deepEqual(input(of, of, [tree(number), tree(number)]), []);
    assert.deepEqual(input(of, of, [tree(number), tree(string)]), ["! f x.value takes string now, and took number"]);
  });

  it("of a special type is named as such", () => {
    const date = { ...string, format: "date-time", "x-athanor-type": "date" };
    const [change] = values(string, date);
    assert.match(change ?? "", /^! f x takes date and time/);
  });

  it("breaks where parameters change places, and not where only a default does", () => {
    const [ab, ba] = [taking({ a: string, b: string }), taking({ b: string, a: string })];
    const [moved] = input(ab, ba);
    assert.match(moved ?? "", /^! f by position the parameters are b, a now, and were a, b$/);
    const one = (value: number) => taking({ a: { ...number, default: value } }, []);
    assert.deepEqual(input(one(1), one(2)), ["f a has the default 2 now, and had 1"]);
  });

  it("breaks where it cannot be compared", () => {
    assert.deepEqual(values({ ...string, not: { const: "a" } }, { ...string, not: { const: "b" } }), [
      "! f x has changed in a way that cannot be compared",
    ]);
  });
});

describe("a change of what a function gives", () => {
  it("breaks where a field goes or may be missing, and not where one comes", () => {
    assert.deepEqual(results(object({ a: string, b: string }), object({ a: string })), ["! f b is no longer there"]);
    assert.deepEqual(results(object({ a: string }), object({ a: string }, [])), ["! f a may be missing now"]);
    assert.deepEqual(results(object({ a: string }, []), object({ a: string })), ["f a is always there now"]);
    assert.deepEqual(results(object({ a: string }), object({ a: string, b: string })), ["f b is new"]);
    assert.deepEqual(results(object({ a: string, b: string }, ["a"]), object({ a: string })), [
      "f b is no longer there",
    ]);
  });

  it("breaks where a type is another or wider, and not where it is narrower", () => {
    assert.deepEqual(results(string, number), ["! f the result is number now, and was string"]);
    assert.deepEqual(results(string, { anyOf: [string, { type: "null" }] }), [
      "! f the result may be null too now, beside string",
    ]);
    assert.deepEqual(results({ anyOf: [string, { type: "null" }] }, string), [
      "f the result is string alone now, and no longer null",
    ]);
    assert.deepEqual(results({ enum: ["a"] }, { enum: ["a", "b"] }), ['! f the result may be "b" now']);
    assert.deepEqual(results({ enum: ["a", "b"] }, { enum: ["a"] }), ['f the result is never "b" any more']);
    assert.deepEqual(results(string, null), ["! f the result may be any value too now, beside string"]);
  });

  it("breaks where it becomes a stream, or is one no longer", () => {
    assert.deepEqual(input(giving(string), giving(string, true)), [
      "! f is a stream of chunks now, and was one result",
    ]);
  });
});
