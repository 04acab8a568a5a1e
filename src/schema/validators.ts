import { compileFunction } from "node:vm";
import type { Json } from "../protocol/json.ts";
import type { InvalidPath } from "../protocol/wire.ts";
import { explain } from "./explain.ts";
import type { SchemaError } from "./union-errors.ts";
import type { Defs } from "./walk.ts";

/** What a deployment's compiled validators answer. Bodies and results are checked with media in place as MediaRef. */
export interface Validators {
  /** What is wrong with the wire body of the function; empty where it is valid, or where nothing is known of its shape. */
  input(fn: string, body: Json): InvalidPath[];
  /** What is wrong with a result, or with one chunk, in its wire form. */
  output(fn: string, value: Json): InvalidPath[];
  /** Whether the value is valid against the branch of a union that stands at `location`; see plan.ts. */
  matches(location: string, value: Json): boolean;
}

type Validate = ((value: unknown) => boolean) & { errors?: SchemaError[] | null };

interface Compiled {
  $defs: Defs;
  verdict: Record<string, Validate>;
  explain: Record<string, Validate>;
}

/** Loads what compileValidators wrote. The code can be garbage collected with the object. */
export function loadValidators(text: string): Validators {
  const module: { exports: Partial<Compiled> } = { exports: {} };
  compileFunction(text, ["module", "exports"], { filename: "athanor-validators.cjs" })(module, module.exports);
  const compiled = module.exports as Compiled;
  const check = (name: string, value: Json): InvalidPath[] => {
    const verdict = compiled.verdict[name];
    return verdict === undefined || verdict(value) ? [] : faults(compiled, name, value);
  };
  return {
    input: (fn, body) => check(`in:${fn}`, body),
    output: (fn, value) => check(`out:${fn}`, value),
    matches: (location, value) => compiled.verdict[location]?.(value) ?? false,
  };
}

function faults(compiled: Compiled, name: string, value: Json): InvalidPath[] {
  const errorsOf = (def: string, part: unknown): SchemaError[] | null => {
    const validate = compiled.explain[`def:${def}`];
    return validate === undefined ? null : collect(validate, part);
  };
  const paths = explain(collect(compiled.explain[name], value), { $defs: compiled.$defs, errorsOf });
  return paths.length > 0 ? paths : [{ path: "", expected: "what the schema allows" }];
}

function collect(validate: Validate | undefined, value: unknown): SchemaError[] {
  try {
    validate?.(value);
    return validate?.errors ?? [];
  } catch (error) {
    // Thrown by the compiled code where the list is full.
    const full = (error as { athanorErrors?: SchemaError[] }).athanorErrors;
    if (full === undefined) throw error;
    return full;
  }
}
