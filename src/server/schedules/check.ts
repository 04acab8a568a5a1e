import { AthanorError } from "../../protocol/errors.ts";
import type { AppSpec } from "../../protocol/spec.ts";
import { checkInput } from "../../schema/check.ts";
import type { Validators } from "../../schema/validators.ts";

/** A scheduled run has no input. Throws deployment_invalid where a scheduled function cannot do without. */
export function checkScheduled(deployment: { spec: AppSpec; validators(): Validators }): void {
  for (const { name, schedule, input } of deployment.spec.functions) {
    if (schedule === null) continue;
    const refuse = (why: string): AthanorError =>
      new AthanorError("deployment_invalid", `${name} has a schedule, and a scheduled run has no input: ${why}`, {
        hint: "Give each of its parameters a default, or schedule another function that calls it.",
      });
    if (input.mode === "request") throw refuse("its handler takes a Request");
    try {
      checkInput({ fn: name, validators: deployment.validators(), body: {} });
    } catch (error) {
      throw error instanceof AthanorError ? refuse(error.detail) : error;
    }
  }
}
