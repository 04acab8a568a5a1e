import { existsSync, readFileSync } from "node:fs";
import path from "node:path";

export const IGNORE_FILE = ".athanorignore";

/** Whether a file or folder, named relative to the folder of the ignore file, is left out. What is in a folder that is left out is not asked for. */
export type Ignored = (file: string, isFolder: boolean) => boolean;

/** Hidden files, secrets among them, and what is installed or generated. A line with `!` takes one back. */
const BY_DEFAULT = [".*", "node_modules/", "__pycache__/", "*.pyc", "venv/", "*.log"];

/**
 * Reads `.athanorignore`: one pattern a line, as in .gitignore. `*`, `?` and `**` stand for what they do there; a pattern with a `/` before its end
 * is meant from this folder on, any other at every depth; one with a `/` at its end means folders; `!` takes back what an earlier line left out.
 */
export function readIgnoreFile(dir: string): Ignored {
  const file = path.join(dir, IGNORE_FILE);
  const own = existsSync(file) ? readFileSync(file, "utf8").split(/\r?\n/) : [];
  const rules = [...BY_DEFAULT, ...own].flatMap(ruleOf);
  return (name, isFolder) => rules.findLast((rule) => rule.matches(name, isFolder))?.ignores ?? false;
}

interface Rule {
  ignores: boolean;
  matches(file: string, isFolder: boolean): boolean;
}

function ruleOf(line: string): Rule[] {
  const text = line.trim();
  if (text === "" || text.startsWith("#")) return [];
  const ignores = !text.startsWith("!");
  const written = ignores ? text : text.slice(1);
  const onlyFolders = written.endsWith("/");
  const bare = written.replace(/\/$/, "");
  const pattern = bare.includes("/") ? bare.replace(/^\//, "") : `**/${bare}`;
  return [
    { ignores, matches: (file, isFolder) => (isFolder || !onlyFolders) && path.posix.matchesGlob(file, pattern) },
  ];
}
