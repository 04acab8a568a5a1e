import type { Json, JsonObject } from "../protocol/json.ts";
import type { FunctionSpec } from "../protocol/spec.ts";
import type { InvalidPath, SpawnRequest } from "../protocol/wire.ts";
import { invalid } from "./check.ts";
import { refuseNames } from "./json-text.ts";
import { brief, pointer } from "./words.ts";

/** `{args, kwargs}` as the wire body by name. Throws `input_invalid` for too many args, an unknown name, or one given twice. */
export function bodyFromCall(fn: FunctionSpec, call: SpawnRequest): Json {
  const { args = [], kwargs = {} } = call;
  refuseNames([...args, kwargs]);
  if (fn.input.mode === "object" || fn.input.mode === "standard") return singleBody(fn, args, kwargs);
  const params = fn.input.params.filter((param) => param.inject === null);
  const rest = params.at(-1)?.rest ? params.at(-1) : undefined;
  const body: JsonObject = { ...kwargs };
  const errors: InvalidPath[] = [];
  for (const [i, arg] of args.entries()) {
    const param = params[i];
    if (rest && i >= params.length - 1) {
      body[rest.name] = args.slice(i);
      break;
    }
    if (!param) errors.push({ path: `/args/${i}`, expected: `at most ${params.length} arguments`, actual: brief(arg) });
    else if (Object.hasOwn(kwargs, param.name)) {
      errors.push({
        path: `/kwargs/${pointer(param.name)}`,
        expected: "a parameter given once, by place or by name",
        actual: brief(arg),
      });
    } else body[param.name] = arg;
  }
  if (errors.length > 0) throw invalid("input_invalid", `The call of ${fn.name}`, errors.slice(0, 20));
  return body;
}

/** A body that is one value of its own: the only argument, or, as HTTP callers give it, its properties by name. */
function singleBody(fn: FunctionSpec, args: Json[], kwargs: JsonObject): Json {
  const names = Object.keys(kwargs);
  const [only] = args;
  if (only === undefined) return unwrapped(fn, kwargs);
  if (args.length === 1 && names.length === 0) return only;
  const actual = `${args.length} arguments and ${names.length} names`;
  throw invalid("input_invalid", `The call of ${fn.name}`, [{ path: "", expected: "one argument", actual }]);
}

/** `{request: {...}}` where `request` is the parameter's own name, and no property of its object. */
function unwrapped(fn: FunctionSpec, kwargs: JsonObject): Json {
  const name = fn.input.mode === "object" ? fn.input.params.find((param) => param.inject === null)?.name : undefined;
  const names = Object.keys(kwargs);
  if (name === undefined || names.length !== 1 || names[0] !== name) return kwargs;
  const schema = fn.input.mode === "object" ? fn.input.schema : null;
  const properties = typeof schema === "object" && schema !== null ? schema.properties : null;
  const isOwn = typeof properties === "object" && properties !== null && Object.hasOwn(properties, name);
  return isOwn ? kwargs : (kwargs[name] ?? null);
}
