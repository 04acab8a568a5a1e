import path from "node:path";
import type { AppSpec, FunctionSpec, PythonSpec } from "../../protocol/spec.ts";
import { findModule } from "./module.ts";
import { readRequirements } from "./requirements.ts";

/**
 * Fills in what of the app's functions in Python its files say: the requirements, the Python they want, and where the modules are. The files that
 * it reads, or looks for, are added to `read`, absolute. Throws `build_failed`, naming the function's place or the file.
 */
export function completePython(spec: AppSpec, entryDir: string, read: string[]): void {
  for (const fn of spec.functions) {
    const python = fn.service?.python;
    if (python) Object.assign(python, complete(fn, python, entryDir, read));
  }
}

function complete(fn: FunctionSpec, python: PythonSpec, entryDir: string, read: string[]): Partial<PythonSpec> {
  const [dir = "."] = python.paths;
  const place = `${fn.source.file}:${fn.source.line}: ${fn.codeName}`;
  const { requirements, pythonVersion } = readRequirements({
    dir: path.join(entryDir, dir),
    entryDir,
    given: python.requirements,
    place,
    read,
  });
  const paths = findModule({ target: python.target, dir, entryDir, requirements, place });
  return { paths, requirements, pythonVersion: python.pythonVersion ?? pythonVersion };
}
