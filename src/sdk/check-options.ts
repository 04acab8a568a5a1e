import { AthanorError } from "../protocol/errors.ts";
import { OPTION_RULES, type OptionRule, type Scope } from "./option-rules.ts";
import { isObject } from "./option-values.ts";

/** @throws AthanorError `option_invalid` at the first option that is unknown in this scope or has a value that is not allowed. */
export function checkOptions(options: unknown, scope: Scope, where: string): void {
  if (!isObject(options)) throw invalid(where, `options are ${show(options)}, but must be an object`);
  for (const [name, value] of Object.entries(options)) {
    const rule = OPTION_RULES[name];
    if (rule === undefined || !rule.scopes.includes(scope)) {
      const known = Object.keys(OPTION_RULES).filter((key) => OPTION_RULES[key]?.scopes.includes(scope));
      throw invalid(where, `there is no option ${name}; there are ${known.join(", ")}`);
    }
    if (value !== undefined) checkValue(name, value, rule, where);
  }
}

function checkValue(name: string, value: unknown, rule: Omit<OptionRule, "scopes">, where: string): void {
  // Values of env may be secrets, though they should not be.
  if (!rule.test(value))
    throw invalid(where, `${name} is ${name === "env" ? "not right" : show(value)}, but must be ${rule.allowed}`);
  if (!rule.entries || !isObject(value)) return;
  for (const [key, entry] of Object.entries(value)) {
    const entryRule = rule.entries[key];
    if (!entryRule) throw invalid(where, `${name} has no ${key}, but ${Object.keys(rule.entries).join(", ")}`);
    if (entry !== undefined) checkValue(`${name}.${key}`, entry, entryRule, where);
  }
}

const SHOWN_CHARS = 80;

function show(value: unknown): string {
  const shown =
    typeof value === "object" ? showObject(value) : typeof value === "string" ? JSON.stringify(value) : String(value);
  return shown.length > SHOWN_CHARS ? `${shown.slice(0, SHOWN_CHARS)}…` : shown;
}

function showObject(value: object | null): string {
  try {
    return JSON.stringify(value);
  } catch {
    return "an object that JSON cannot hold";
  }
}

function invalid(where: string, what: string): AthanorError {
  return new AthanorError("option_invalid", `${where}: ${what}`);
}
