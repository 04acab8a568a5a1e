import { AthanorError } from "../../protocol/errors.ts";

/** Checks one value of an upload and throws deployment_invalid naming the path. Nothing is changed, so that the digest still holds. */
export type Check = (value: unknown, path: string) => void;

export function invalid(path: string, expected: string, value: unknown): AthanorError {
  return new AthanorError(
    "deployment_invalid",
    `${path || "the upload"} must be ${expected}, and is ${describe(value)}`,
  );
}

function describe(value: unknown): string {
  if (value === undefined) return "absent";
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === "object" && value !== null) return "an object";
  const text = JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

/** All of T's fields and no others; a field that T gains must be given a check here to compile. */
export function object<T>(fields: { [K in keyof T]-?: Check }): Check {
  const known = Object.entries<Check>(fields);
  return (value, path) => {
    if (!isRecord(value)) throw invalid(path, "an object", value);
    for (const name of Object.keys(value))
      if (!Object.hasOwn(fields, name)) throw invalid(at(path, name), "absent: no such field is known", value[name]);
    for (const [name, check] of known) check(value[name], at(path, name));
  };
}

export function array(item: Check, max: number, min = 0): Check {
  return (value, path) => {
    if (!Array.isArray(value) || value.length > max || value.length < min)
      throw invalid(path, `an array of ${min} to ${max}`, value);
    for (const [index, element] of value.entries()) item(element, at(path, String(index)));
  };
}

export function record(item: Check, p: { max: number; key?: RegExp }): Check {
  return (value, path) => {
    if (!isRecord(value)) throw invalid(path, "an object", value);
    const entries = Object.entries(value);
    if (entries.length > p.max) throw invalid(path, `an object of at most ${p.max} fields`, `${entries.length} fields`);
    for (const [name, element] of entries) {
      if (p.key && !p.key.test(name)) throw invalid(at(path, name), `named as in ${p.key}`, name);
      item(element, at(path, name));
    }
  };
}

export function text(p: { max: number; pattern?: RegExp; what?: string }): Check {
  return (value, path) => {
    if (typeof value !== "string" || value.length > p.max || (p.pattern && !p.pattern.test(value))) {
      throw invalid(path, p.what ?? `a string of at most ${p.max} characters`, value);
    }
  };
}

export function number(p: { min: number; max: number; whole?: boolean }): Check {
  return (value, path) => {
    const right =
      typeof value === "number" && value >= p.min && value <= p.max && (p.whole !== true || Number.isInteger(value));
    if (!right) throw invalid(path, `a ${p.whole === true ? "whole " : ""}number from ${p.min} to ${p.max}`, value);
  };
}

export function oneOf(...allowed: readonly (string | number | boolean | null)[]): Check {
  return (value, path) => {
    if (!allowed.some((one) => one === value)) throw invalid(path, `one of ${JSON.stringify(allowed)}`, value);
  };
}

export const bool: Check = oneOf(true, false);

export function nullable(check: Check): Check {
  return (value, path) => {
    if (value !== null) check(value, path);
  };
}

/** The field may be absent. */
export function optional(check: Check): Check {
  return (value, path) => {
    if (value !== undefined) check(value, path);
  };
}

/** Any JSON, to a depth that no recursive walk of it need fear. */
export function json(maxDepth: number): Check {
  const walk = (value: unknown, path: string, depth: number): void => {
    if (value === null || typeof value !== "object") return;
    if (depth >= maxDepth) throw invalid(path, `nested at most ${maxDepth} deep`, "deeper");
    for (const element of Object.values(value)) walk(element, path, depth + 1);
  };
  return (value, path) => {
    if (value === undefined) throw invalid(path, "JSON", value);
    walk(value, path, 0);
  };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const at = (path: string, name: string): string => (path === "" ? name : `${path}.${name}`);
