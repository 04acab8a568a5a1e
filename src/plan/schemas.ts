import { isDeepStrictEqual } from "node:util";
import type { JsonSchema } from "../protocol/json.ts";
import type { AppSpec, FunctionSpec } from "../protocol/spec.ts";
import { isObject } from "../schema/walk.ts";
import { brief, describe } from "../schema/words.ts";
import type { PlanChange } from "./change.ts";
import { type Gap, gaps, type Side } from "./gaps.ts";

type SchemaChange = Pick<PlanChange, "area" | "change" | "of" | "breaking" | "text">;
type FunctionSide = { spec: AppSpec; fn: FunctionSpec };

/** What changes in what the function takes. */
export function inputChanges(before: FunctionSide, after: FunctionSide): SchemaChange[] {
  const [old, next] = [inputOf(before), inputOf(after)];
  const changes = [
    ...bothWays(gaps(old, next, "as said"), gaps(next, old, "as said")).map((gap) => inputChange(gap, old, next)),
    ...defaultChanges(old.schema, next.schema),
    ...orderChange(before.fn, after.fn),
  ];
  return changes.length === 0 ? described("input", old, next) : changes;
}

/** What changes in what it gives. */
export function outputChanges(before: FunctionSide, after: FunctionSide): SchemaChange[] {
  const [old, next] = [outputOf(before), outputOf(after)];
  const changes: SchemaChange[] = [];
  if (before.fn.output.stream !== after.fn.output.stream) {
    const text = after.fn.output.stream
      ? "is a stream of chunks now, and was one result"
      : "is one result now, and was a stream of chunks";
    changes.push({ area: "output", change: "changed", of: "", breaking: true, text });
  }
  const told = bothWays(gaps(next, old, "pass"), gaps(old, next, "tell"));
  const added = gaps(next, old, "tell").filter(({ kind }) => kind === "unknown");
  changes.push(...told.map((gap) => outputChange(gap, old, next)));
  for (const gap of added) changes.push(outputChange({ ...gap, breaks: false, mutual: true }, old, next));
  const unique = changes.filter(
    ({ of }, index) => changes.findIndex((other) => other.of === of) === index || of === "",
  );
  return unique.length === 0 ? described("output", old, next) : unique;
}

/** `mutual`: neither schema takes all that the other does there. */
type Told = Gap & { breaks: boolean; mutual: boolean };

/** Each once: what breaks, then what only is more than before. */
function bothWays(breaking: Gap[], others: Gap[]): Told[] {
  const kindOf = (gap: Gap): string => {
    if (gap.kind === "value") return `value ${JSON.stringify(gap.value)}`;
    if (gap.kind === "bound") return gap.keyword;
    // Of a field that comes or goes.
    return gap.kind === "unknown" ? "required" : gap.kind;
  };
  const same = (a: Gap, b: Gap): boolean => a.at === b.at && kindOf(a) === kindOf(b);
  return [
    ...breaking.map((gap) => ({ ...gap, breaks: true, mutual: others.some((other) => same(gap, other)) })),
    ...others
      .filter((gap) => !breaking.some((other) => same(gap, other)))
      .map((gap) => ({ ...gap, breaks: false, mutual: false })),
  ];
}

/** A gap that breaks is what the new schema does not take; another is what the old one did not. */
function inputChange(gap: Told, old: Side, next: Side): SchemaChange {
  const { at, breaks } = gap;
  const [from, to] = breaks ? [old, next] : [next, old];
  const change = (text: string, kind: PlanChange["change"] = "changed"): SchemaChange => ({
    area: "input",
    change: kind,
    of: at,
    breaking: breaks,
    text: `${at === "" ? "the body" : at} ${text}`,
  });
  switch (gap.kind) {
    case "required":
      if (!breaks)
        return gap.isNew ? change("was required and is no longer taken", "removed") : change("is optional now");
      return gap.isNew ? change("is new, and required", "added") : change("is required now");
    case "unknown":
      return breaks ? change("is no longer taken", "removed") : change("is new, and optional", "added");
    case "type": {
      const [a, b] = [describe(gap.from, from.$defs), describe(gap.to, to.$defs)];
      if (gap.mutual) return change(`takes ${b} now, and took ${a}`);
      return change(breaks ? `takes ${b} alone now, and no longer ${a}` : `takes ${a} too now`);
    }
    case "value":
      return change(breaks ? `no longer takes ${brief(gap.value)}` : `takes ${brief(gap.value)} now`);
    case "bound":
      return change(boundText(gap, breaks));
    case "incomparable":
      return { ...change("has changed in a way that cannot be compared"), breaking: true };
  }
}

/** A gap that breaks is what the old schema would not have taken, and so no reader expects. */
function outputChange(gap: Told, old: Side, next: Side): SchemaChange {
  const { at, breaks } = gap;
  const [from, to] = breaks ? [next, old] : [old, next];
  const change = (text: string, kind: PlanChange["change"] = "changed"): SchemaChange => ({
    area: "output",
    change: kind,
    of: at,
    breaking: breaks,
    text: `${at === "" ? "the result" : at} ${text}`,
  });
  switch (gap.kind) {
    case "required":
      if (!breaks) return change(gap.isNew ? "is new" : "is always there now", gap.isNew ? "added" : "changed");
      return gap.isNew ? change("is no longer there", "removed") : change("may be missing now");
    case "unknown":
      return gap.mutual ? change("is new", "added") : change("is no longer there", "removed");
    case "type": {
      const [a, b] = [describe(gap.from, from.$defs), describe(gap.to, to.$defs)];
      if (gap.mutual) return change(`is ${a} now, and was ${b}`);
      return change(breaks ? `may be ${a} too now, beside ${b}` : `is ${b} alone now, and no longer ${a}`);
    }
    case "value":
      return change(breaks ? `may be ${brief(gap.value)} now` : `is never ${brief(gap.value)} any more`);
    case "bound":
      return change(boundText(gap, !breaks));
    case "incomparable":
      return { ...change("has changed in a way that cannot be compared"), breaking: true };
  }
}

function boundText({ keyword, from, to }: Extract<Gap, { kind: "bound" }>, toIsNew: boolean): string {
  const [before, after] = toIsNew ? [from, to] : [to, from];
  return `has the ${keyword} ${after === null ? "no more" : brief(after)}, and had ${before === null ? "none" : brief(before)}`;
}

/** The defaults of parameters are what a call without them means. */
function defaultChanges(before: JsonSchema, after: JsonSchema): SchemaChange[] {
  const [old, next] = [propertiesOf(before), propertiesOf(after)];
  return Object.keys(next).flatMap((name): SchemaChange[] => {
    const [a, b] = [old[name], next[name]];
    if (!isObject(a) || !isObject(b) || isDeepStrictEqual(a.default, b.default)) return [];
    const text = `${name} has the default ${brief(b.default)} now, and had ${brief(a.default)}`;
    return [{ area: "input", change: "changed", of: name, breaking: false, text }];
  });
}

/** Calls with `args` give the parameters in order. */
function orderChange(before: FunctionSpec, after: FunctionSpec): SchemaChange[] {
  const [old, next] = [wireNames(before), wireNames(after)];
  const moved = old.findIndex((name, index) => next[index] !== name && next.includes(name));
  if (moved < 0) return [];
  const text = `by position the parameters are ${next.join(", ")} now, and were ${old.join(", ")}`;
  return [{ area: "input", change: "changed", of: "", breaking: true, text }];
}

function wireNames({ input }: FunctionSpec): string[] {
  return input.mode === "params" ? input.params.filter(({ inject }) => inject === null).map(({ name }) => name) : [];
}

/** The same values, but the words about them. */
function described(area: "input" | "output", before: Side, after: Side): SchemaChange[] {
  if (isDeepStrictEqual(before.schema, after.schema)) return [];
  return [
    {
      area,
      change: "changed",
      of: "",
      breaking: false,
      text: `the schema of the ${area} has changed, and not what it takes`,
    },
  ];
}

function inputOf({ spec: { $defs }, fn: { input } }: FunctionSide): Side {
  return { schema: input.mode === "request" ? true : (input.schema ?? true), $defs };
}

function outputOf({ spec: { $defs }, fn: { output } }: FunctionSide): Side {
  return { schema: output.schema ?? true, $defs };
}

function propertiesOf(schema: JsonSchema): { [name: string]: unknown } {
  return isObject(schema) && isObject(schema.properties) ? schema.properties : {};
}
