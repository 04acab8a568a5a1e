/**
 * A deployment's files, in a folder named by its digest: `bundle.mjs`, `bundle.mjs.map`, `validators.cjs`, `spec.json`; `files`, those that ship as they
 * are; `vendor.mjs`, a link to its vendor file, `node_modules`, one to its installed dependencies, and `python/<function>`, to its Python environments;
 * `compile-cache`, what Node has compiled for it. A folder is written under another name and renamed, so one that is there is whole.
 */
import { existsSync, lstatSync, readdirSync } from "node:fs";
import { cp, mkdir, open, readdir, rename, rm, symlink } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { AthanorError } from "../../protocol/errors.ts";
import { type DeploymentUpload, type ShippedFile, VENDOR_FILE } from "../../protocol/spec.ts";
import { COMPILE_CACHE_DIR, FILES_DIR, interpreterOf, PYTHON_DIR } from "../replicas/deployment-folder.ts";

export const BUNDLE_FILE = "bundle.mjs";
export const VALIDATORS_FILE = "validators.cjs";
/** Each waits for the disk. */
const FILES_AT_A_TIME = 32;
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

/** Whether it is there, with the interpreters that its links lead to. */
export function isWhole(dir: string): boolean {
  if (!existsSync(join(dir, BUNDLE_FILE)) || isDangling(join(dir, VENDOR_FILE))) return false;
  const python = join(dir, PYTHON_DIR);
  return !existsSync(python) || readdirSync(python).every((fn) => existsSync(interpreterOf(dir, fn)));
}

function isDangling(link: string): boolean {
  return lstatSync(link, { throwIfNoEntry: false }) !== undefined && !existsSync(link);
}

export interface Installed {
  validators: string;
  /** To what is installed for it elsewhere: where each link goes, and to which file or folder. */
  links: ReadonlyMap<string, string>;
  /** What Node has compiled for deployments like it; null: nothing. */
  compiled: string | null;
}

/** Writes `<root>/<digest>` and returns it; where it is there, only its links are made anew. Throws storage_full. */
export async function writeDeployment(p: Installed & { root: string; upload: DeploymentUpload }): Promise<string> {
  const dir = join(p.root, p.upload.digest);
  if (existsSync(dir)) {
    // What was installed for it may have moved, as where a Python gave way to a newer one.
    for (const [at, target] of p.links) await link(dir, at, relative(join(dir, dirname(at)), target));
    return dir;
  }
  const temporary = temporaryIn(p.root);
  try {
    await mkdir(temporary, { recursive: true, mode: 0o700 });
    await writeDurably(join(temporary, BUNDLE_FILE), p.upload.bundle);
    await writeDurably(join(temporary, `${BUNDLE_FILE}.map`), p.upload.sourceMap);
    await writeDurably(join(temporary, VALIDATORS_FILE), p.validators);
    await writeDurably(join(temporary, "spec.json"), `${JSON.stringify(p.upload.spec, null, 2)}\n`);
    await writeShipped(join(temporary, FILES_DIR), p.upload.files);
    // It may be changed or removed at any time, and only saves time.
    if (p.compiled !== null)
      await cp(p.compiled, join(temporary, COMPILE_CACHE_DIR), { recursive: true }).catch(() => {});
    for (const [at, target] of p.links) await link(temporary, at, relative(join(dir, dirname(at)), target));
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

async function writeShipped(root: string, files: ShippedFile[]): Promise<void> {
  for (const folder of new Set(files.map(({ path }) => dirname(join(root, path)))))
    await mkdir(folder, { recursive: true, mode: 0o700 });
  for (let at = 0; at < files.length; at += FILES_AT_A_TIME) {
    const some = files.slice(at, at + FILES_AT_A_TIME);
    await Promise.all(
      some.map(({ path, content, encoding, executable }) =>
        writeDurably(join(root, path), Buffer.from(content, encoding), executable ? 0o700 : 0o600),
      ),
    );
  }
}

/** Relative, so that the data folder can be moved. */
async function link(dir: string, at: string, target: string): Promise<void> {
  const path = join(dir, at);
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = temporaryIn(dirname(path));
  await symlink(target, temporary, "dir");
  await rename(temporary, path);
}

export async function writeDurably(path: string, content: string | Uint8Array, mode = 0o600): Promise<void> {
  await using file = await open(path, "wx", mode);
  await file.writeFile(content);
  await file.sync();
}

async function syncDir(path: string): Promise<void> {
  await using dir = await open(path, "r");
  await dir.sync();
}
