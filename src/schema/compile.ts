import { Ajv2020 } from "ajv/dist/2020.js";
import standalone from "ajv/dist/standalone/index.js";
import addFormats from "ajv-formats";
import { build } from "esbuild";
import { AthanorError } from "../protocol/errors.ts";
import type { JsonSchema } from "../protocol/json.ts";
import type { AppSpec } from "../protocol/spec.ts";
import { createPlanner, inputLocation, inputSchema } from "./plan.ts";
import { prepareSchema, WIRE_FORMATS } from "./prepare.ts";
import { defName, defRef, isObject, subschemas } from "./walk.ts";

const ROOT = "athanor:spec";
/** Errors collected for one value; a big array may hold a fault in each of its elements. */
const MAX_ERRORS = 200;

interface Entry {
  /** The name under which the text exports the validator. */
  name: string;
  schema: JsonSchema;
}

/**
 * Validators of all functions of the app as CommonJS text that needs no module. Heavy: loads Ajv and esbuild.
 *
 * Each schema is compiled twice: `verdict` stops at the first fault and is what every request meets; `explain` collects
 * faults, up to a bound, and runs only on what `verdict` refused. Throws `deployment_invalid` for a schema that does not compile.
 */
export async function compileValidators(spec: AppSpec): Promise<string> {
  const entries = entriesOf(spec);
  const prepared = entries.map(({ name, schema }) => ({ name, schema: prepareSchema(schema, spec.$defs) }));
  const $defs = Object.fromEntries(
    Object.entries(spec.$defs).map(([name, schema]) => [name, prepareSchema(schema, spec.$defs)]),
  );
  const unicode = [...prepared.map((entry) => entry.schema), ...Object.values($defs)].every(patternsAreUnicode);
  const branches = unionRefs([...prepared.map((entry) => entry.schema), ...Object.values($defs)]);
  const code = (explain: boolean): string =>
    generate({ entries: explain ? [...prepared, ...branches] : prepared, $defs, explain, unicode });
  const source = [
    `exports.$defs = ${JSON.stringify($defs)};`,
    wrap("verdict", code(false)),
    `function full(errors) { throw { athanorErrors: errors }; }`,
    `function push(errors, error) { if (errors.push(error) > ${MAX_ERRORS}) full(errors); }`,
    `function more(errors, added) { for (const error of added) push(errors, error); return errors; }`,
    wrap("explain", boundErrors(code(true))),
  ].join("\n");
  return bundle(source);
}

function entriesOf(spec: AppSpec): Entry[] {
  const planner = createPlanner(spec.$defs);
  const entries: Entry[] = [];
  for (const fn of spec.functions) {
    const schema = inputSchema(fn.input);
    if (schema !== null) {
      entries.push({ name: inputLocation(fn.name), schema });
      planner.plan(schema, inputLocation(fn.name));
    }
    if (fn.output.schema !== null) entries.push({ name: `out:${fn.name}`, schema: fn.output.schema });
  }
  for (const branch of planner.branches) entries.push({ name: branch.location, schema: branch.schema });
  return entries;
}

function generate(p: {
  entries: Entry[];
  $defs: Record<string, JsonSchema>;
  explain: boolean;
  unicode: boolean;
}): string {
  const ajv = new Ajv2020({
    strict: false,
    logger: false,
    discriminator: true,
    // Names such as `toString` or `__proto__` must not be found on the prototype.
    ownProperties: true,
    allErrors: p.explain,
    verbose: p.explain,
    messages: false,
    unicodeRegExp: p.unicode,
    code: { source: true, optimize: 1 },
  });
  addFormats.default(ajv);
  for (const [name, format] of Object.entries(WIRE_FORMATS)) ajv.addFormat(name, format);
  // A type's name holds no colon, so these never meet a definition of the app's own.
  const $defs = { ...p.$defs, ...Object.fromEntries(p.entries.map((entry, i) => [`entry:${i}`, entry.schema])) };
  try {
    ajv.addSchema({ $id: ROOT, $defs });
    return standalone.default(
      ajv,
      Object.fromEntries(p.entries.map(({ name }, i) => [name, `${ROOT}#/$defs/entry:${i}`])),
    );
  } catch (error) {
    throw new AthanorError("deployment_invalid", `A schema of the app does not compile: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/** The generated code grows its list of errors in two ways; both are bounded. */
function boundErrors(code: string): string {
  return code.replace(/vErrors\.push\(/g, "push(vErrors, ").replace(/vErrors\.concat\(/g, "more(vErrors, ");
}

function wrap(name: string, code: string): string {
  return `(function (exports) {\n${code}\n})(exports.${name} = {});`;
}

/** Definitions that are branches of unions: each can be asked by itself why it refused a value. */
function unionRefs(schemas: JsonSchema[]): Entry[] {
  const names = new Set<string>();
  const visit = (schema: JsonSchema): void => {
    if (!isObject(schema)) return;
    for (const keyword of ["anyOf", "oneOf"]) {
      const branches = Array.isArray(schema[keyword]) ? schema[keyword] : [];
      for (const branch of branches) {
        const name = isObject(branch) ? defName(branch.$ref) : null;
        if (name !== null) names.add(name);
      }
    }
    subschemas(schema).forEach(visit);
  };
  schemas.forEach(visit);
  return [...names].map((name) => ({ name: `def:${name}`, schema: { $ref: defRef(name) } }));
}

/** A pattern taken from a RegExp without the `u` flag may not be valid with it. */
function patternsAreUnicode(schema: JsonSchema): boolean {
  if (!isObject(schema)) return true;
  const patterns = [schema.pattern, ...Object.keys(isObject(schema.patternProperties) ? schema.patternProperties : {})];
  return (
    patterns.every((pattern) => typeof pattern !== "string" || isUnicode(pattern)) &&
    subschemas(schema).every(patternsAreUnicode)
  );
}

function isUnicode(pattern: string): boolean {
  try {
    new RegExp(pattern, "u");
    return true;
  } catch {
    return false;
  }
}

async function bundle(source: string): Promise<string> {
  const result = await build({
    stdin: { contents: source, resolveDir: import.meta.dirname, loader: "js", sourcefile: "validators.js" },
    bundle: true,
    format: "cjs",
    platform: "node",
    target: "node24",
    charset: "utf8",
    legalComments: "none",
    write: false,
    logLevel: "silent",
  });
  return result.outputFiles[0]?.text ?? "";
}
