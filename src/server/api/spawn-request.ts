import { AthanorError } from "../../protocol/errors.ts";
import type { Json } from "../../protocol/json.ts";
import type { SpawnRequest } from "../../protocol/wire.ts";

/** Throws input_invalid. */
export function checkSpawnRequest(body: Json): SpawnRequest {
  if (typeof body !== "object" || body === null || Array.isArray(body))
    throw invalid("", 'an object such as {"args": [], "kwargs": {}}');
  for (const name of Object.keys(body))
    if (name !== "args" && name !== "kwargs")
      throw invalid(`/${name.slice(0, 100)}`, "absent: only args and kwargs are known");
  const { args = [], kwargs = {} } = body;
  if (!Array.isArray(args)) throw invalid("/args", "an array");
  if (typeof kwargs !== "object" || kwargs === null || Array.isArray(kwargs)) throw invalid("/kwargs", "an object");
  return { args, kwargs };
}

const invalid = (path: string, expected: string): AthanorError =>
  new AthanorError("input_invalid", `${path || "the body"} must be ${expected}`, { errors: [{ path, expected }] });
