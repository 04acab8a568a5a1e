import { AthanorError } from "../../protocol/errors.ts";
import type { FunctionSpec } from "../../protocol/spec.ts";
import type { SpawnRequest } from "../../protocol/wire.ts";
import { encodeArgument } from "./encode.ts";

/**
 * A call's arguments as the wire has them: in order, or by name where some are left out before others. `spec` is asked for the names then.
 * @throws AthanorError `input_invalid`.
 */
export async function wireArguments(
  args: unknown[],
  spec: () => Promise<FunctionSpec | undefined>,
): Promise<Pick<SpawnRequest, "args" | "kwargs">> {
  const given = args.slice(0, args.findLastIndex((arg) => arg !== undefined) + 1);
  if (given.includes(undefined)) return { kwargs: byName(given, namesOf(await spec())) };
  return { args: given.map((arg, index) => encodeArgument(arg, `argument ${index + 1}`)) };
}

/** JSON has no undefined, so an argument that is left out before others are given has them sent by name. */
function byName(args: unknown[], names: string[]): NonNullable<SpawnRequest["kwargs"]> {
  const entries = args.flatMap((arg, index) => {
    const name = names[index];
    if (arg === undefined) return [];
    if (name === undefined)
      throw new AthanorError("input_invalid", `argument ${index + 1} follows one that is undefined, and has no name`);
    return [[name, encodeArgument(arg, name)] as const];
  });
  return Object.fromEntries(entries);
}

function namesOf(fn: FunctionSpec | undefined): string[] {
  if (fn === undefined || (fn.input.mode !== "params" && fn.input.mode !== "object")) return [];
  return fn.input.params.filter((param) => param.inject === null && !param.rest).map((param) => param.name);
}
