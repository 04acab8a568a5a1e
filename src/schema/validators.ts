import type { Json } from "../protocol/json.ts";
import type { InvalidPath } from "../protocol/wire.ts";

/** What a deployment's compiled validators answer. Bodies and results are checked with media in place as MediaRef. */
export interface Validators {
  /** What is wrong with the wire body of the function; empty where it is valid. */
  input(fn: string, body: Json): InvalidPath[];
  /** What is wrong with a result, or with one chunk, in its wire form. */
  output(fn: string, value: Json): InvalidPath[];
  /** Whether the value is valid against the branch of a union that stands at `location`; see plan.ts. */
  matches(location: string, value: Json): boolean;
}

/** Loads what compileValidators wrote. The code can be garbage collected with the object. */
export function loadValidators(_text: string): Validators {
  throw new Error("not implemented");
}
