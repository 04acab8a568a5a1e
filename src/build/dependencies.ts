import { existsSync, readFileSync, realpathSync } from "node:fs";
import path from "node:path";
import { AthanorError } from "../protocol/errors.ts";
import type { DependencySet } from "../protocol/spec.ts";
import { cutLockfile, type Lockfile } from "./lockfile.ts";
import type { InstalledPackage } from "./packages.ts";

/**
 * The packages that the bundle needs beside it, at the versions that are installed, with the part of the nearest package-lock.json that
 * pins them and all they need. Null where there are none.
 */
export function makeDependencies(externals: Map<string, InstalledPackage>, root: string): DependencySet | null {
  if (externals.size === 0) return null;
  const names = [...externals.keys()].sort();
  const packages = Object.fromEntries(names.map((name) => [name, externals.get(name)?.version ?? ""]));
  return { packages, lockfile: lockFor(externals, root) };
}

interface FoundLock {
  dir: string;
  content: Lockfile;
}

/** Cut from the nearest lock that has them all; a project in a folder of a bigger one may use what is installed for that. */
function lockFor(externals: Map<string, InstalledPackage>, root: string): string | null {
  for (const lock of locksAbove(root)) {
    const roots = [...externals].map(([name, found]) => ({ name, path: lockPath(found, lock) }));
    const cut = cutLockfile(
      lock.content,
      roots.sort((a, b) => (a.name < b.name ? -1 : 1)),
    );
    if (cut !== null) return cut;
  }
  return null;
}

/** The package-lock.json files at or above the project, nearest first, up to where another tool holds the lock. */
function* locksAbove(root: string): Generator<FoundLock> {
  for (let dir = realpathSync(root); ; dir = path.dirname(dir)) {
    const file = path.join(dir, "package-lock.json");
    const lock = existsSync(file) ? readLock(file, dir) : null;
    if (lock) yield lock;
    else if (OTHER_LOCKS.some((name) => existsSync(path.join(dir, name)))) return;
    if (path.dirname(dir) === dir) return;
  }
}

const OTHER_LOCKS = ["pnpm-lock.yaml", "yarn.lock", "bun.lock", "bun.lockb", "deno.lock"];

function readLock(file: string, dir: string): FoundLock | null {
  let content: Lockfile;
  try {
    content = JSON.parse(readFileSync(file, "utf8")) as Lockfile;
  } catch (error) {
    throw new AthanorError("build_failed", `${file} is not JSON: ${(error as Error).message}`, {
      hint: "Write it anew with `npm install`.",
    });
  }
  // Version 1, of npm 6, does not say where packages lie.
  return content.packages === undefined ? null : { dir, content };
}

/** `node_modules/sharp`: the key of an installed package in the lock file. */
function lockPath(found: InstalledPackage, lock: FoundLock): string {
  const installed = path.relative(lock.dir, found.dir).split(path.sep).join("/");
  const usual = `node_modules/${found.name}`;
  const isListed = lock.content.packages?.[installed] !== undefined;
  return !isListed && lock.content.packages?.[usual]?.version === found.version ? usual : installed;
}
