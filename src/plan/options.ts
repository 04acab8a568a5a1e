import { isDeepStrictEqual } from "node:util";
import type { Json } from "../protocol/json.ts";
import type { FunctionSpec } from "../protocol/spec.ts";
import { isObject } from "../schema/walk.ts";
import type { PlanChange } from "./change.ts";

/** What the others of the plan look at, and what is no option. */
const OTHERS = new Set([
  "name",
  "codeName",
  "className",
  "kind",
  "description",
  "deprecated",
  "source",
  "schedule",
  "input",
  "output",
]);
const OTHERS_OF_FACES = new Set(["path", "methods", "access", "summary", "tags"]);

/** The function's options by their names in code, `queue.size`; those of its HTTP face and its placement stand among its own there. */
function optionsOf(fn: FunctionSpec): Map<string, Json> {
  const options = new Map<string, Json>();
  const put = (entries: object, prefix: string, left: ReadonlySet<string>): void => {
    for (const [name, value] of Object.entries(entries) as [string, Json][]) {
      if (left.has(name)) continue;
      if (isObject(value)) put(value, `${prefix}${name}.`, new Set());
      else options.set(prefix + name, value);
    }
  };
  const { endpoint, service, placement, limits, ...own } = fn;
  put(own, "", OTHERS);
  put(limits, "", new Set());
  // A limit of jobs over all replicas has the name of the option that sets it, which for others is the replica's.
  options.set("concurrency", limits.concurrency ?? own.concurrency);
  put(placement, "", new Set());
  put(endpoint ?? service ?? {}, "", OTHERS_OF_FACES);
  return options;
}

type OptionChange = Omit<PlanChange, "function">;

export function optionChanges(before: FunctionSpec, after: FunctionSpec): OptionChange[] {
  const [old, next] = [optionsOf(before), optionsOf(after)];
  const names = [...new Set([...old.keys(), ...next.keys()])].toSorted();
  return names.flatMap((name): OptionChange[] => {
    const [a, b] = [old.get(name) ?? null, next.get(name) ?? null];
    return isDeepStrictEqual(a, b) ? [] : [optionChange(name, a, b)];
  });
}

function optionChange(name: string, before: Json, after: Json): OptionChange {
  const change = before === null ? "added" : after === null ? "removed" : "changed";
  const breaking = BREAKING[name]?.(before, after) === true;
  // What stands in an environment may be secret.
  if (name.startsWith("env."))
    return { area: "option", change, of: name, breaking, text: `${name} is ${WORDS[change]}` };
  const text = `${name}: ${JSON.stringify(before)} -> ${JSON.stringify(after)}`;
  return { area: "option", change, of: name, breaking, text, before, after };
}

const WORDS = { added: "new", removed: "no more", changed: "another" };

/** What callers meet. */
const BREAKING: { [option: string]: (before: Json, after: Json) => boolean } = {
  maxUploadFileSizeMb: (before, after) => Number(after) < Number(before),
  "cors.origins": (before, after) => loses(before, after),
  "cors.headers": (before, after) => loses(before, after),
  "cors.credentials": (before, after) => before === true && after !== true,
};

/** A list without something that was in it. */
function loses(before: Json, after: Json): boolean {
  if (!Array.isArray(before) || (Array.isArray(after) && after.includes("*"))) return false;
  return !Array.isArray(after) || before.some((each) => !after.includes(each));
}
