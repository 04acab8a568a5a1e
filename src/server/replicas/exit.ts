import type { ReplicaExit } from "../../engines/engine.ts";
import { AthanorError } from "../../protocol/errors.ts";

/** `exit code 3`, `signal SIGKILL`. */
export function exitStatus({ code, signal }: ReplicaExit): string {
  return signal === null ? `exit code ${code}` : `signal ${signal}`;
}

/** In words: `it was killed by SIGKILL`, `it exited with code 3`. */
function describeExit(exit: ReplicaExit): string {
  if (exit.reason === "memory")
    return `it ran out of memory${exit.memoryMb === null ? "" : ` at ${exit.memoryMb} MiB`}`;
  if (exit.reason === "frozen") return "it had been stopped by a signal for too long";
  if (exit.reason === "stopped") return "it was stopped";
  if (exit.signal !== null) return `it was killed by ${exit.signal}`;
  return exit.code === null ? "its process could not be started" : `it exited with code ${exit.code}`;
}

/** The error of a call whose replica died under it. Its stderr is for the log: an HTTP caller may be anyone. */
export function exitError(replicaId: string, exit: ReplicaExit): AthanorError {
  const code = exit.reason === "memory" ? "out_of_memory" : "replica_crashed";
  return new AthanorError(code, `${replicaId} died during the call: ${describeExit(exit)}`);
}

/** The error of a replica that died before it was ready. Its last lines, below the first, are for the deployer and the logs. */
export function startExitError(replicaId: string, exit: ReplicaExit): AthanorError {
  const lines = exit.lastStderr.length === 0 ? "" : `\n${exit.lastStderr.join("\n")}`;
  const code = exit.reason === "memory" ? "out_of_memory" : "startup_failed";
  return new AthanorError(code, `${replicaId} was not ready when ${describeExit(exit)}${lines}`);
}
