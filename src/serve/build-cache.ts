/**
 * What a build of an entry file gave, in the project's `node_modules/.cache`, by the content of all that decided it: a test file that serves an app
 * then needs neither the compiler nor the bundler.
 */
import { createHash, randomUUID } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import packageJson from "../../package.json" with { type: "json" };
import type { DeploymentUpload } from "../protocol/spec.ts";

export interface Built {
  upload: DeploymentUpload;
  /** CommonJS text; see schema/compile.ts. */
  validators: string;
}

interface Entry extends Built {
  /** SHA-256 of each file that decided it, by path; null: there was no such file. */
  inputs: [string, string | null][];
}

/** Says which packages are installed, as far as a lock file does. */
const LOCKS = ["package-lock.json", "pnpm-lock.yaml", "yarn.lock", "bun.lock"];

/** The folder of what was built; null where the project has no node_modules to keep it in. */
export function cacheFolder(entry: string): string | null {
  for (let dir = path.dirname(entry); ; dir = path.dirname(dir)) {
    const modules = path.join(dir, "node_modules");
    if (existsSync(modules)) return path.join(modules, ".cache", "athanor");
    if (path.dirname(dir) === dir) return null;
  }
}

/** Null where there is none, or where any of its inputs has changed. */
export function readCached(folder: string, entry: string): Built | null {
  try {
    const cached = JSON.parse(readFileSync(fileOf(folder, entry), "utf8")) as Entry;
    return cached.inputs.every(([file, hash]) => hashOf(file) === hash) ? cached : null;
  } catch {
    return null;
  }
}

/** A folder that cannot be written to costs the next one its time, and nothing else. */
export async function writeCached(
  folder: string,
  entry: string,
  built: Built,
  inputs: readonly string[],
): Promise<void> {
  const files = [...inputs, ...LOCKS.map((name) => path.join(path.dirname(path.dirname(path.dirname(folder))), name))];
  const cached: Entry = { ...built, inputs: files.map((file) => [file, hashOf(file)]) };
  const temporary = path.join(folder, `.${randomUUID()}`);
  try {
    await mkdir(folder, { recursive: true });
    await writeFile(temporary, JSON.stringify(cached));
    await rename(temporary, fileOf(folder, entry));
  } catch {
    // As said.
  }
}

function fileOf(folder: string, entry: string): string {
  const key = createHash("sha256").update(`${packageJson.version}\0${entry}`).digest("hex");
  return path.join(folder, `${key}.json`);
}

function hashOf(file: string): string | null {
  try {
    return createHash("sha256").update(readFileSync(file)).digest("hex");
  } catch {
    return null;
  }
}
