import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { AthanorError } from "../protocol/errors.ts";
import { packageNameOf } from "./packages.ts";

export interface ProjectFile {
  /** Packages that are to stay out of the bundle. */
  external: string[];
  /** Defaults of options, as given. */
  project: object;
}

/** Beside the entry file. */
export const PROJECT_FILE = "athanor.json";

const NAMES = ["queue", "external", "$schema"];

/** athanor.json beside the entry file. Throws `option_invalid`. */
export function readProjectFile(entryDir: string): ProjectFile {
  const file = path.join(entryDir, PROJECT_FILE);
  if (!existsSync(file)) return { external: [], project: {} };
  const content = parse(readFileSync(file, "utf8"));
  if (typeof content !== "object" || content === null || Array.isArray(content)) throw invalid("it must be an object");
  const unknown = Object.keys(content).find((name) => !NAMES.includes(name));
  if (unknown !== undefined) throw invalid(`there is no option ${unknown}; there are ${NAMES.join(", ")}`);
  const { $schema: _, external = [], ...project } = content as { $schema?: unknown; external?: unknown };
  if (!Array.isArray(external) || !external.every((name) => typeof name === "string" && packageNameOf(name) === name)) {
    throw invalid(`external is ${JSON.stringify(external).slice(0, 80)}, but must be a list of names of packages`);
  }
  return { external: external as string[], project };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw invalid((error as Error).message);
  }
}

function invalid(what: string): AthanorError {
  return new AthanorError("option_invalid", `athanor.json: ${what}`, {
    hint: "Correct athanor.json, beside the entry file.",
  });
}
