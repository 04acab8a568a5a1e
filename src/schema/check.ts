import { AthanorError, type ErrorCode } from "../protocol/errors.ts";
import type { Json } from "../protocol/json.ts";
import type { InvalidPath } from "../protocol/wire.ts";
import type { Validators } from "./validators.ts";

/** Throws `input_invalid` naming each path of the body that is wrong. */
export function checkInput(p: { fn: string; validators: Validators; body: Json }): void {
  const errors = p.validators.input(p.fn, p.body);
  if (errors.length > 0) throw invalid("input_invalid", `The input of ${p.fn}`, errors);
}

/** Throws `output_invalid` naming each path of the encoded result (or chunk) that is wrong. */
export function checkOutput(p: { fn: string; validators: Validators; value: Json }): void {
  const errors = p.validators.output(p.fn, p.value);
  if (errors.length > 0) throw invalid("output_invalid", `The result of ${p.fn}`, errors);
}

/** An error over one or more paths; its detail names the first of them. */
export function invalid(code: ErrorCode, what: string, errors: InvalidPath[]): AthanorError {
  const lines = errors.slice(0, 3).map((e) => {
    const actual = e.actual === undefined ? "" : `, got ${e.actual}`;
    return `${e.path === "" ? "the whole" : e.path}: expected ${e.expected}${actual}`;
  });
  const more = errors.length > 3 ? `; and ${errors.length - 3} more` : "";
  return new AthanorError(code, `${what} is invalid: ${lines.join("; ")}${more}.`, { errors });
}
