import { existsSync, readFileSync, realpathSync } from "node:fs";
import { builtinModules } from "node:module";
import path from "node:path";

export interface PackageJson {
  name?: string;
  version?: string;
  main?: string;
  gypfile?: boolean;
  binary?: unknown;
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
  peerDependencies?: Record<string, string>;
}

export interface InstalledPackage {
  name: string;
  version: string;
  /** Real path of its folder. */
  dir: string;
}

const PACKAGE_NAME = /^(?:@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*/i;

/** `@scope/name` of `@scope/name/sub/path`; null for a relative, absolute or built-in specifier. */
export function packageNameOf(specifier: string): string | null {
  if (specifier.startsWith("node:") || specifier.startsWith("#")) return null;
  const name = PACKAGE_NAME.exec(specifier)?.[0];
  if (name === undefined || builtinModules.includes(name)) return null;
  return name.length === specifier.length || specifier[name.length] === "/" ? name : null;
}

/** The package that a bare specifier means in a file of the folder, found as Node finds it; null where it is not installed. */
export function findPackage(name: string, fromDir: string): InstalledPackage | null {
  for (let at = fromDir; ; at = path.dirname(at)) {
    const candidate = path.join(at, "node_modules", name);
    if (existsSync(path.join(candidate, "package.json"))) {
      const dir = realpathSync(candidate);
      return { name, version: readPackageJson(dir).version ?? "0.0.0", dir };
    }
    if (path.dirname(at) === at) return null;
  }
}

/** The folder of the package that a file below some node_modules belongs to; null for the project's own files. */
export function packageDirOf(file: string): string | null {
  const at = file.lastIndexOf(`${path.sep}node_modules${path.sep}`);
  if (at < 0) return null;
  const start = at + "/node_modules/".length;
  const steps = file.slice(start).split(path.sep);
  const depth = steps[0]?.startsWith("@") ? 2 : 1;
  return path.join(file.slice(0, start), ...steps.slice(0, depth));
}

const packageJsons = new Map<string, PackageJson>();

/** The package.json of the folder, `{}` where it cannot be read. */
export function readPackageJson(dir: string): PackageJson {
  let read = packageJsons.get(dir);
  if (!read) {
    try {
      read = JSON.parse(readFileSync(path.join(dir, "package.json"), "utf8")) as PackageJson;
    } catch {
      read = {};
    }
    packageJsons.set(dir, read);
  }
  return read;
}

/** Forgets what was read: packages may change between two builds of one process. */
export function forgetPackages(): void {
  packageJsons.clear();
}
