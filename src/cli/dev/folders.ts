import { readdirSync } from "node:fs";
import path from "node:path";
import { DEV_DEFAULTS } from "../../protocol/defaults.ts";

/** Folders of a project that may hold its sources: neither packages, nor what tools write, nor hidden ones. A bounded number, nearest first. */
export function sourceFolders(root: string): string[] {
  const found = [root];
  for (let i = 0; i < found.length; i++) {
    const folder = found[i] as string;
    for (const name of foldersIn(folder)) {
      if (found.length >= DEV_DEFAULTS.maxWatchedFolders) return found;
      found.push(path.join(folder, name));
    }
  }
  return found;
}

const LEFT_OUT = new Set(["node_modules", "__pycache__", "venv", "dist", "build", "coverage", "target"]);

function foldersIn(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith(".") && !LEFT_OUT.has(entry.name))
      .map((entry) => entry.name)
      .toSorted();
  } catch {
    return [];
  }
}
