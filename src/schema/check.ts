import type { Json } from "../protocol/json.ts";
import type { Validators } from "./validators.ts";

/** Throws `input_invalid` naming each path of the body that is wrong. */
export function checkInput(_p: { fn: string; validators: Validators; body: Json }): void {
  throw new Error("not implemented");
}

/** Throws `output_invalid` naming each path of the encoded result (or chunk) that is wrong. */
export function checkOutput(_p: { fn: string; validators: Validators; value: Json }): void {
  throw new Error("not implemented");
}
