import { join } from "node:path";

/** Where a replica finds what it needs in the folder of its deployment. */

/** Folder of the files that ship as they are. */
export const FILES_DIR = "files";
/** Folder of the links to Python environments, one for each function in Python. */
export const PYTHON_DIR = "python";
export const COMPILE_CACHE_DIR = "compile-cache";

/** The interpreter of a function's environment, by the link in its deployment's folder. */
export function interpreterOf(dir: string, fn: string): string {
  return join(dir, PYTHON_DIR, fn, "bin", "python");
}
