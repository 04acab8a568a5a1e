import type { Json, JsonSchema } from "../protocol/json.ts";
import { CODE_TYPE_KEYWORD, type CodeType, type FunctionSpec, type InputSpec } from "../protocol/spec.ts";
import { type Defs, defName, isObject, type SchemaObject, subschemas } from "./walk.ts";

/**
 * Where in a value the special types (date, bytes, bigint, image) stand, worked out once per function so that no request walks a
 * schema. A null plan is a value with none, which is passed on untouched.
 */
export type Plan =
  | { kind: CodeType }
  | { kind: "object"; properties: Map<string, Plan>; additional: Plan | null }
  | { kind: "array"; prefix: (Plan | null)[]; items: Plan | null }
  /** The branch that a value is of is asked of the compiled validators by its location. */
  | { kind: "union"; branches: UnionBranch[]; plainString: boolean }
  | { kind: "all"; plans: Plan[] }
  /** Resolved late, since definitions may be recursive. */
  | { kind: "ref"; plan: () => Plan | null };

export interface UnionBranch {
  location: string;
  schema: JsonSchema;
  plan: Plan | null;
}

export interface Planner {
  plan(schema: JsonSchema, location: string): Plan | null;
  /** The branches of all unions met so far, for compileValidators. */
  branches: UnionBranch[];
}

/** The schema of the wire body, or null where there is none to check. */
export function inputSchema(input: InputSpec): JsonSchema | null {
  return input.mode === "request" ? null : input.schema;
}

export function inputLocation(fn: string): string {
  return `in:${fn}`;
}

export function createPlanner($defs: Defs): Planner {
  const special = new Map<string, boolean>();
  const defs = new Map<string, Plan | null>();
  const branches: UnionBranch[] = [];

  const hasSpecial = (schema: JsonSchema | undefined, seen: Set<string>): boolean => {
    if (!isObject(schema)) return false;
    if (codeType(schema) !== null) return true;
    const name = defName(schema.$ref);
    if (name !== null && !seen.has(name)) {
      seen.add(name);
      if (hasSpecial($defs[name], seen)) return true;
    }
    return subschemas(schema).some((sub) => hasSpecial(sub, seen));
  };

  const refPlan = (name: string): Plan | null => {
    const found = special.get(name) ?? hasSpecial($defs[name], new Set([name]));
    special.set(name, found);
    if (!found) return null;
    const resolve = (): Plan | null => {
      if (!defs.has(name)) {
        defs.set(name, null);
        defs.set(name, plan($defs[name] ?? true, `$defs:${name}`));
      }
      return defs.get(name) ?? null;
    };
    resolve();
    return { kind: "ref", plan: resolve };
  };

  const plan = (schema: JsonSchema | undefined, location: string): Plan | null => {
    if (!isObject(schema)) return null;
    const kind = codeType(schema);
    if (kind !== null) return { kind };
    const parts: Plan[] = [];
    const name = defName(schema.$ref);
    if (name !== null) parts.push(...some(refPlan(name)));
    parts.push(...some(objectPlan(schema, location)), ...some(arrayPlan(schema, location)));
    for (const keyword of ["anyOf", "oneOf"]) parts.push(...some(unionPlan(schema, keyword, location)));
    for (const [i, sub] of list(schema.allOf).entries()) parts.push(...some(plan(sub, `${location}/allOf/${i}`)));
    if (parts.length <= 1) return parts[0] ?? null;
    return { kind: "all", plans: parts };
  };

  const objectPlan = (schema: SchemaObject, location: string): Plan | null => {
    const properties = new Map<string, Plan>();
    for (const [name, sub] of Object.entries(isObject(schema.properties) ? schema.properties : {})) {
      const found = plan(sub as JsonSchema, `${location}/properties/${name}`);
      if (found) properties.set(name, found);
    }
    const additional = plan(schema.additionalProperties as JsonSchema, `${location}/additionalProperties`);
    return properties.size > 0 || additional ? { kind: "object", properties, additional } : null;
  };

  const arrayPlan = (schema: SchemaObject, location: string): Plan | null => {
    const prefix = list(schema.prefixItems).map((sub, i) => plan(sub, `${location}/prefixItems/${i}`));
    const items = plan(schema.items as JsonSchema, `${location}/items`);
    return items || prefix.some((sub) => sub !== null) ? { kind: "array", prefix, items } : null;
  };

  const unionPlan = (schema: SchemaObject, keyword: string, location: string): Plan | null => {
    const made = list(schema[keyword]).map((sub, i) => {
      const at = `${location}/${keyword}/${i}`;
      return { location: at, schema: sub, plan: plan(sub, at) };
    });
    if (made.every((branch) => branch.plan === null)) return null;
    branches.push(...made);
    const plainString = made.some((branch) => branch.plan === null && takesString(branch.schema));
    return { kind: "union", branches: made, plainString };
  };

  return { plan, branches };
}

function some(plan: Plan | null): Plan[] {
  return plan ? [plan] : [];
}

function list(value: Json | undefined): JsonSchema[] {
  return Array.isArray(value) ? (value as JsonSchema[]) : [];
}

function takesString(schema: JsonSchema): boolean {
  if (!isObject(schema)) return schema;
  return schema.type === "string" || (Array.isArray(schema.type) && schema.type.includes("string"));
}

export function codeType(schema: SchemaObject): CodeType | null {
  const kind = schema[CODE_TYPE_KEYWORD];
  return kind === "date" || kind === "bytes" || kind === "bigint" || kind === "image" ? kind : null;
}

const inputPlans = new WeakMap<FunctionSpec, { plan: Plan | null }>();

/** The plan of the function's wire body, made at its first use. */
export function inputPlan(fn: FunctionSpec, $defs: Defs): Plan | null {
  let made = inputPlans.get(fn);
  if (!made) {
    const schema = inputSchema(fn.input);
    made = { plan: schema === null ? null : createPlanner($defs).plan(schema, inputLocation(fn.name)) };
    inputPlans.set(fn, made);
  }
  return made.plan;
}

/** Whether a value of one of these types can stand anywhere in what the plan describes. */
export function planHas(plan: Plan | null, kinds: ReadonlySet<CodeType>, seen = new Set<Plan>()): boolean {
  if (!plan || seen.has(plan)) return false;
  seen.add(plan);
  switch (plan.kind) {
    case "object":
      return [...plan.properties.values(), plan.additional].some((sub) => planHas(sub, kinds, seen));
    case "array":
      return [...plan.prefix, plan.items].some((sub) => planHas(sub, kinds, seen));
    case "union":
      return plan.branches.some((branch) => planHas(branch.plan, kinds, seen));
    case "all":
      return plan.plans.some((sub) => planHas(sub, kinds, seen));
    case "ref":
      return planHas(plan.plan(), kinds, seen);
    default:
      return kinds.has(plan.kind);
  }
}
