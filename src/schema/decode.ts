import type { Json, JsonSchema } from "../protocol/json.ts";
import type { MediaRef } from "../protocol/media.ts";
import type { FunctionSpec } from "../protocol/spec.ts";
import type { Validators } from "./validators.ts";

/**
 * The arguments of a call from a valid wire body, in the order of the parameters: `undefined` for absent ones and for injected
 * ones, which the runtime fills in; a rest parameter's values follow one by one. Date, Uint8Array and bigint are made here; `media`
 * makes the code's value of a media value. For a Standard Schema: one argument, the body. Throws `input_invalid` where a string
 * passed the schema yet is no date.
 */
export function decodeInput(_p: {
  fn: FunctionSpec;
  $defs: { [name: string]: JsonSchema };
  validators: Validators;
  body: Json;
  media: (ref: MediaRef) => unknown;
}): { args: unknown[] } {
  throw new Error("not implemented");
}
