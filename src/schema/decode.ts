import type { Json, JsonSchema } from "../protocol/json.ts";
import type { MediaRef } from "../protocol/media.ts";
import type { FunctionSpec } from "../protocol/spec.ts";
import { invalid } from "./check.ts";
import { isMediaRef } from "./media.ts";
import { inputPlan, type Plan } from "./plan.ts";
import type { Validators } from "./validators.ts";
import { brief, pointer } from "./words.ts";

interface Decoding {
  fn: string;
  validators: Validators;
  media: (ref: MediaRef) => unknown;
}

/**
 * The arguments of a call from a valid wire body, in the order of the parameters: `undefined` for absent ones and for injected
 * ones, which the runtime fills in; a rest parameter's values follow one by one. Date, Uint8Array and bigint are made here; `media`
 * makes the code's value of a media value. For a Standard Schema: one argument, the body. The body is changed in place.
 * Throws `input_invalid` where a string passed the schema yet is no date.
 */
export function decodeInput(p: {
  fn: FunctionSpec;
  $defs: { [name: string]: JsonSchema };
  validators: Validators;
  body: Json;
  media: (ref: MediaRef) => unknown;
}): { args: unknown[] } {
  const { input } = p.fn;
  const plan = inputPlan(p.fn, p.$defs);
  const decoding = { fn: p.fn.name, validators: p.validators, media: p.media };
  const body: unknown = plan === null ? p.body : decodeValue(p.body, plan, decoding, "");
  if (input.mode === "standard") return { args: [body] };
  if (input.mode === "request") return { args: input.params.map(() => undefined) };
  if (input.mode === "object") return { args: input.params.map((param) => (param.inject === null ? body : undefined)) };
  const args: unknown[] = [];
  const named = body as Record<string, unknown>;
  for (const param of input.params) {
    const value = param.inject === null && Object.hasOwn(named, param.name) ? named[param.name] : undefined;
    if (!param.rest) args.push(value);
    else if (Array.isArray(value)) for (const item of value) args.push(item);
  }
  return { args };
}

function decodeValue(value: unknown, plan: Plan, decoding: Decoding, path: string): unknown {
  switch (plan.kind) {
    case "date":
      return typeof value === "string" ? toDate(value, decoding, path) : value;
    case "bytes":
      return typeof value === "string" ? toBytes(value) : value;
    case "bigint":
      return typeof value === "string" ? BigInt(value) : value;
    case "image":
      return isMediaRef(value) ? decoding.media(value) : value;
    case "ref": {
      const target = plan.plan();
      return target === null ? value : decodeValue(value, target, decoding, path);
    }
    case "all":
      return plan.plans.reduce((current, sub) => decodeValue(current, sub, decoding, path), value);
    case "union": {
      const branch = plan.branches.find(({ location }) => decoding.validators.matches(location, value as Json));
      return branch?.plan ? decodeValue(value, branch.plan, decoding, path) : value;
    }
    case "array":
      return Array.isArray(value) ? decodeArray(value, plan, decoding, path) : value;
    case "object":
      return isRecord(value) ? decodeObject(value, plan, decoding, path) : value;
  }
}

function decodeArray(values: unknown[], plan: Plan & { kind: "array" }, decoding: Decoding, path: string): unknown[] {
  for (let i = 0; i < values.length; i++) {
    const item = i < plan.prefix.length ? plan.prefix[i] : plan.items;
    if (item) values[i] = decodeValue(values[i], item, decoding, `${path}/${i}`);
  }
  return values;
}

function decodeObject(
  object: Record<string, unknown>,
  plan: Plan & { kind: "object" },
  decoding: Decoding,
  path: string,
): Record<string, unknown> {
  for (const [name, sub] of plan.properties) {
    if (Object.hasOwn(object, name))
      object[name] = decodeValue(object[name], sub, decoding, `${path}/${pointer(name)}`);
  }
  if (plan.additional) {
    for (const name of Object.keys(object)) {
      if (plan.properties.has(name)) continue;
      object[name] = decodeValue(object[name], plan.additional, decoding, `${path}/${pointer(name)}`);
    }
  }
  return object;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function toDate(text: string, decoding: Decoding, path: string): Date {
  const date = new Date(text);
  if (!Number.isNaN(date.getTime())) return date;
  const expected = "date and time that exists";
  throw invalid("input_invalid", `The input of ${decoding.fn}`, [{ path, expected, actual: brief(text) }]);
}

function toBytes(text: string): Uint8Array {
  const bytes = Buffer.from(text, "base64");
  // A small Buffer is a window on a pool that is shared with others.
  return bytes.buffer.byteLength === bytes.byteLength ? new Uint8Array(bytes.buffer) : new Uint8Array(bytes);
}
