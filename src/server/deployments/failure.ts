import { AthanorError } from "../../protocol/errors.ts";
import type { DeploymentError } from "../store/store.ts";

/** Why a deployment is not live, as it is kept and told: what went wrong, and apart from it the last that its replicas wrote to stderr. */
export function deploymentError(error: unknown, lastStderr: string[]): DeploymentError {
  const known = error instanceof AthanorError;
  const message = known ? error.detail : (error as Error).message;
  const lines = lastStderr.join("\n");
  return {
    code: known ? error.code : "internal",
    // A replica that died says its last lines itself.
    message: lines !== "" && message.endsWith(`\n${lines}`) ? message.slice(0, -lines.length - 1) : message,
    lastStderr,
  };
}

/** The same for the deployer, in one text. */
export function failureOf(error: unknown, { message, lastStderr }: DeploymentError): unknown {
  if (!(error instanceof AthanorError) || lastStderr.length === 0) return error;
  const lines = lastStderr.map((line) => `  ${line}`).join("\n");
  return new AthanorError(error.code, `${message}\nIts last lines of stderr:\n${lines}`, {
    hint: error.hint,
    headers: error.headers,
    cause: error,
  });
}
