import { statSync } from "node:fs";
import path from "node:path";

/** Files that change when packages are installed or removed, whichever tool does it. */
const FILES = [
  "package.json",
  path.join("node_modules", ".package-lock.json"),
  path.join("node_modules", ".modules.yaml"),
  "package-lock.json",
  "pnpm-lock.yaml",
  "yarn.lock",
  "bun.lock",
];

/** A text that differs whenever the packages at or above the folder may be others. */
export function packagesStamp(root: string): string {
  const stamps: string[] = [];
  for (let dir = root; ; dir = path.dirname(dir)) {
    for (const name of FILES) {
      const found = statSync(path.join(dir, name), { throwIfNoEntry: false });
      if (found !== undefined) stamps.push(`${path.join(dir, name)}:${found.mtimeMs}:${found.size}`);
    }
    if (path.dirname(dir) === dir) return stamps.join("\n");
  }
}
