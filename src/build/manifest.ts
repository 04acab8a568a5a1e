import { AthanorError } from "../protocol/errors.ts";
import type { JsonSchema } from "../protocol/json.ts";
import type { AppSpec, FunctionSpec, InputSpec, OutputSpec, ScheduleSpec } from "../protocol/spec.ts";
import { scheduleFault } from "../schedule/ticks.ts";
import { hoistDefinitions } from "./hoist.ts";
import type { ChildAnswer, ChildFunction } from "./manifest-messages.ts";
import type { Analysis, AnalyzedSite } from "./schema/index.ts";

/** The spec of the app: what the bundle registered, with what the types of its source say. Throws naming file and line. */
export function makeSpec(p: { answer: ChildAnswer; analysis: Analysis; entry: string }): AppSpec {
  const { answer, analysis } = p;
  if (answer.type !== "app") throw noSingleApp(answer.type === "apps" ? answer.names : [], p.entry);
  const $defs: { [name: string]: JsonSchema } = { ...analysis.$defs };
  const taken = new Map<string, AnalyzedSite>();
  const functions: FunctionSpec[] = [];
  for (const made of answer.functions) {
    const site = siteOf(made, analysis, p.entry);
    if (taken.has(`name ${site.name}`)) throw registeredTwice(site);
    taken.set(`name ${site.name}`, site);
    const fn = makeFunction(made, site, $defs);
    const path = fn.endpoint?.path ?? fn.service?.path;
    if (path !== undefined) checkPath(path, site, taken);
    functions.push(fn);
  }
  if (functions.length === 0) throw new AthanorError("no_app", `${p.entry}: the app ${answer.name} has no functions`);
  return { specVersion: 1, name: answer.name, compute: answer.compute, functions, $defs };
}

function makeFunction(made: ChildFunction, site: AnalyzedSite, $defs: { [name: string]: JsonSchema }): FunctionSpec {
  if (made.resolved === null)
    throw new AthanorError(made.refused?.code ?? "option_invalid", `${place(site)}: ${made.refused?.detail}`);
  if ((made.resolved.batch !== null) !== site.batch) throw hiddenBatch(site);
  const input = inputOf(made, site, $defs);
  checkSchedule(made.resolved.schedule, input, site);
  return {
    name: site.name,
    codeName: site.codeName,
    className: site.className,
    kind: made.kind,
    description: site.description,
    deprecated: site.deprecated,
    source: { file: site.file, line: site.line },
    ...made.resolved,
    input,
    output: outputOf(made, site, $defs),
  };
}

/** A tick gives no input, so the defaults must be enough. */
function checkSchedule(schedule: ScheduleSpec | null, input: InputSpec, site: AnalyzedSite): void {
  if (schedule === null) return;
  const refuse = (what: string): AthanorError =>
    new AthanorError("option_invalid", `${place(site)}: the schedule of ${site.codeName}: ${what}`);
  const fault = scheduleFault(schedule);
  if (fault !== null) throw refuse(fault);
  if (input.mode === "request") throw refuse("its handler takes a Request, and a scheduled run has none");
  if (input.mode !== "params") return;
  const required = input.params.find((param) => param.inject === null && !param.optional && !param.rest);
  if (required) throw refuse(`a scheduled run has no input, and the parameter ${required.name} has no default`);
}

function inputOf(made: ChildFunction, site: AnalyzedSite, $defs: { [name: string]: JsonSchema }): InputSpec {
  if (made.input === null) return site.input;
  const { schema } = made.input;
  return { mode: "standard", schema: schema === null ? null : hoistDefinitions(schema, `${site.name}.input`, $defs) };
}

function outputOf(made: ChildFunction, site: AnalyzedSite, $defs: { [name: string]: JsonSchema }): OutputSpec {
  if (made.output === null) return site.output;
  const { schema } = made.output;
  const hoisted = schema === null ? null : hoistDefinitions(schema, `${site.name}.output`, $defs);
  return { schema: hoisted, stream: site.output.stream, standard: true };
}

/** The types of a function hang on whether it has `batch`, so this must show in the type of its options. */
function hiddenBatch(site: AnalyzedSite): AthanorError {
  return new AthanorError(
    "option_invalid",
    `${place(site)}: ${site.codeName}: batch does not show in the options' type`,
    {
      hint: "Write `batch: {...}` in the call of app.function or app.endpoint itself.",
    },
  );
}

function siteOf(made: ChildFunction, analysis: Analysis, entry: string): AnalyzedSite {
  const { site } = made;
  const found = analysis.sites.find((other) => site?.name === other.name && site.className === other.className);
  if (found) return found;
  const what = `a call of app.${made.kind} was not found in the source`;
  throw new AthanorError("build_failed", `${entry}: ${what}, so its types are not known`, {
    hint: `Write it as \`export const name = app.${made.kind}(...)\`, on the App itself, in a file of the project.`,
  });
}

function checkPath(path: string, site: AnalyzedSite, taken: Map<string, AnalyzedSite>): void {
  const other = taken.get(`path ${path}`);
  if (other) {
    throw new AthanorError(
      "name_collision",
      `${place(site)}: ${site.codeName} has the path ${path}, which is that of ${other.codeName} (${place(other)})`,
    );
  }
  taken.set(`path ${path}`, site);
}

function registeredTwice(site: AnalyzedSite): AthanorError {
  return new AthanorError("name_collision", `${place(site)}: ${site.codeName} is registered twice`, {
    hint: "A call that declares a function must run once: not in a loop, nor in a function that is called twice.",
  });
}

function noSingleApp(names: string[], entry: string): AthanorError {
  if (names.length === 0) return new AthanorError("no_app", `${entry}: neither it nor what it imports makes an App`);
  const listed = names.map((name) => `"${name}"`).join(" and ");
  return new AthanorError("no_app", `${entry}: there must be one App, but there are ${names.length}: ${listed}`, {
    hint: "Deploy each app from an entry file of its own.",
  });
}

function place(site: AnalyzedSite): string {
  return `${site.file}:${site.line}`;
}
