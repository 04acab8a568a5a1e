/**
 * A deployment's files, in a folder named by its digest: `bundle.mjs`, `bundle.mjs.map`, `validators.cjs`, `spec.json`, and `node_modules`, a link
 * to its installed dependencies. A folder is written under another name and renamed, so one that is there is whole.
 */
import { existsSync } from "node:fs";
import { mkdir, open, readdir, rename, rm, symlink } from "node:fs/promises";
import { join, relative } from "node:path";
import { AthanorError } from "../../protocol/errors.ts";
import type { DeploymentUpload } from "../../protocol/spec.ts";

export const BUNDLE_FILE = "bundle.mjs";
export const VALIDATORS_FILE = "validators.cjs";
const TEMPORARY = ".new-";

let temporaries = 0;

/** A fresh name in the folder for what is to be renamed once it is whole; removeTemporaries clears those that a crash left. */
export function temporaryIn(dir: string): string {
  return join(dir, `${TEMPORARY}${process.pid}-${++temporaries}`);
}

/** Call before anything is written there. */
export async function removeTemporaries(dir: string): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  for (const entry of await readdir(dir)) {
    if (entry.startsWith(TEMPORARY)) await rm(join(dir, entry), { recursive: true, force: true });
  }
}

/** Writes `<root>/<digest>` and returns it; does nothing where it is there. Throws storage_full. */
export async function writeDeployment(p: {
  root: string;
  upload: DeploymentUpload;
  validators: string;
  /** The folder of installed packages. */
  nodeModules: string | null;
}): Promise<string> {
  const dir = join(p.root, p.upload.digest);
  if (existsSync(dir)) return dir;
  const temporary = temporaryIn(p.root);
  try {
    await mkdir(temporary, { recursive: true, mode: 0o700 });
    await writeDurably(join(temporary, BUNDLE_FILE), p.upload.bundle);
    await writeDurably(join(temporary, `${BUNDLE_FILE}.map`), p.upload.sourceMap);
    await writeDurably(join(temporary, VALIDATORS_FILE), p.validators);
    await writeDurably(join(temporary, "spec.json"), `${JSON.stringify(p.upload.spec, null, 2)}\n`);
    // Relative, so that the data folder can be moved.
    if (p.nodeModules !== null) await symlink(relative(dir, p.nodeModules), join(temporary, "node_modules"), "dir");
    await syncDir(temporary);
    await rename(temporary, dir);
    await syncDir(p.root);
    return dir;
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw diskError(error, `the deployment could not be written to ${p.root}`);
  }
}

/** A full disk is the operator's to mend and has its own code. */
export function diskError(error: unknown, what: string): unknown {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code !== "ENOSPC" && code !== "EDQUOT") return error;
  return new AthanorError("storage_full", `${what}: ${message}`, { cause: error });
}

async function writeDurably(path: string, text: string): Promise<void> {
  await using file = await open(path, "wx", 0o600);
  await file.writeFile(text);
  await file.sync();
}

async function syncDir(path: string): Promise<void> {
  await using dir = await open(path, "r");
  await dir.sync();
}
