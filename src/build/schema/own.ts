import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

export function findUp(folder: string, name: string): string | null {
  for (let at = folder; ; at = path.dirname(at)) {
    const candidate = path.join(at, name);
    if (existsSync(candidate)) return candidate;
    if (path.dirname(at) === at) return null;
  }
}

const RUNS_FROM_SOURCE = import.meta.url.endsWith(".ts");
/** The folder of the running athanor's package.json. */
export const OWN_ROOT = path.dirname(findUp(path.dirname(fileURLToPath(import.meta.url)), "package.json") ?? "/");
const OWN_MODULES = new Map(
  RUNS_FROM_SOURCE
    ? [
        ["athanor", "src/index.ts"],
        ["athanor/client", "src/sdk/client/index.ts"],
      ]
    : [
        ["athanor", "dist/types/index.d.ts"],
        ["athanor/client", "dist/types/sdk/client/index.d.ts"],
      ],
);

/**
 * Finds `athanor` for a project that has not installed it (a global `athanor deploy`), by its own copy. Run from source, its own copy
 * always holds, since the package's built declarations may be absent or old.
 */
export function resolveOwn(
  name: string,
  resolve: () => ts.ResolvedModuleWithFailedLookupLocations,
): ts.ResolvedModuleWithFailedLookupLocations {
  const own = OWN_MODULES.get(name);
  if (own === undefined) return resolve();
  const installed = RUNS_FROM_SOURCE ? undefined : resolve();
  if (installed?.resolvedModule !== undefined) return installed;
  const file = path.join(OWN_ROOT, own);
  const extension = file.endsWith(".d.ts") ? ts.Extension.Dts : ts.Extension.Ts;
  return { resolvedModule: { resolvedFileName: file, extension, isExternalLibraryImport: !RUNS_FROM_SOURCE } };
}

/** Whether a file is athanor's own code: of the installed package, or of this very copy. */
export function isOwnFile(fileName: string): boolean {
  if (isWithin(fileName, path.join(OWN_ROOT, "src")) || isWithin(fileName, path.join(OWN_ROOT, "dist"))) return true;
  if (fileName.includes("/node_modules/athanor/")) return true;
  const match = /^(.*)\/(?:src|dist)\//.exec(fileName);
  return match !== null && packageName(match[1] ?? "") === "athanor";
}

const packageNames = new Map<string, string | null>();

function packageName(folder: string): string | null {
  let name = packageNames.get(folder);
  if (name === undefined) {
    try {
      name = String((JSON.parse(readFileSync(path.join(folder, "package.json"), "utf8")) as { name?: unknown }).name);
    } catch {
      name = null; // no package's root
    }
    packageNames.set(folder, name);
  }
  return name;
}

function isWithin(file: string, folder: string): boolean {
  const relative = path.relative(folder, file);
  return relative !== "" && !relative.startsWith("..") && !path.isAbsolute(relative);
}
