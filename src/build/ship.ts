/** The files of the project that ship as they are: all below the entry file's folder but what is installed, generated, hidden or ignored. */
import { existsSync, lstatSync, readdirSync, readFileSync, realpathSync, type Stats, statSync } from "node:fs";
import path from "node:path";
import { SERVER_DEFAULTS } from "../protocol/defaults.ts";
import { AthanorError } from "../protocol/errors.ts";
import type { AppSpec, ShippedFile } from "../protocol/spec.ts";
import { IGNORE_FILE, type Ignored, readIgnoreFile } from "./ignore-file.ts";

/** What marks a folder as a virtual environment, whatever it is called. */
const VENV_FILE = "pyvenv.cfg";
const HINT = "Name what is not needed in a file .athanorignore beside the entry file, one pattern a line.";

interface Found {
  file: string;
  path: string;
  stats: Stats;
}

/** Whether the app has a function that runs a program of the project. */
export function ships(spec: AppSpec): boolean {
  return spec.functions.some(({ service }) => service?.python || service?.server?.command);
}

/** Keeps what it has read of files that have not changed since. */
export class Shipper {
  readonly #read = new Map<string, { stamp: string; file: ShippedFile }>();
  #folders: string[] = [];

  /** Absolute; a file that is new in one of them ships with the next build. */
  get folders(): string[] {
    return this.#folders;
  }

  get files(): string[] {
    const [root] = this.#folders;
    return root === undefined ? [] : [path.join(root, IGNORE_FILE), ...this.#read.keys()];
  }

  clear(): void {
    this.#read.clear();
    this.#folders = [];
  }

  /** Throws build_failed where there is too much, and for a link that leads out. */
  ship(root: string): ShippedFile[] {
    this.#folders = [];
    const found = this.#find({ root, dir: root, ignored: readIgnoreFile(root) });
    checkSize(found);
    const gone = new Set(this.#read.keys());
    const files = found.map((each) => {
      gone.delete(each.file);
      return this.#content(each);
    });
    for (const file of gone) this.#read.delete(file);
    return files.toSorted((a, b) => (a.path < b.path ? -1 : 1));
  }

  #find(p: { root: string; dir: string; ignored: Ignored }): Found[] {
    this.#folders.push(p.dir);
    return readdirSync(p.dir).flatMap((name) => {
      const file = path.join(p.dir, name);
      const relative = path.relative(p.root, file).split(path.sep).join("/");
      const link = lstatSync(file);
      if (p.ignored(relative, link.isDirectory())) return [];
      if (link.isSymbolicLink()) checkLink(p.root, file, relative);
      const stats = link.isSymbolicLink() ? statSync(file) : link;
      if (stats.isFile()) return [{ file, path: relative, stats }];
      if (!stats.isDirectory() || existsSync(path.join(file, VENV_FILE))) return [];
      return this.#find({ ...p, dir: file });
    });
  }

  #content({ file, path, stats }: Found): ShippedFile {
    const stamp = `${stats.mtimeMs} ${stats.size} ${stats.ino} ${stats.mode}`;
    const read = this.#read.get(file);
    if (read?.stamp === stamp) return read.file;
    const shipped = { path, executable: (stats.mode & 0o100) !== 0, ...encoded(readFileSync(file)) };
    this.#read.set(file, { stamp, file: shipped });
    return shipped;
  }
}

/** As text where that is shorter in JSON, as it is for all but binary files. */
function encoded(bytes: Buffer): Pick<ShippedFile, "encoding" | "content"> {
  const content = bytes.toString("utf8");
  const base64 = (bytes.length / 3) * 4;
  const isText = Buffer.from(content).equals(bytes) && JSON.stringify(content).length <= Math.max(base64, 1024);
  return isText ? { encoding: "utf8", content } : { encoding: "base64", content: bytes.toString("base64") };
}

function checkLink(root: string, file: string, relative: string): void {
  const to = existsSync(file) ? realpathSync(file) : null;
  if (to !== null && statSync(to).isFile() && to.startsWith(realpathSync(root) + path.sep)) return;
  const where = to === null ? "nowhere" : statSync(to).isFile() ? "out of the project" : "to a folder";
  throw new AthanorError(
    "build_failed",
    `${relative} would ship with the deployment, and is a link that leads ${where}`,
    { hint: HINT },
  );
}

function checkSize(found: Found[]): void {
  const { maxShippedFiles, maxShippedBytes } = SERVER_DEFAULTS;
  const bytes = found.reduce((sum, { stats }) => sum + stats.size, 0);
  if (found.length <= maxShippedFiles && bytes <= maxShippedBytes) return;
  const largest = found.toSorted((a, b) => b.stats.size - a.stats.size).slice(0, 3);
  const named = largest.map(({ path, stats }) => `${path} (${mib(stats.size)})`).join(", ");
  throw new AthanorError(
    "build_failed",
    `${found.length} files of ${mib(bytes)} would ship with the deployment; at most ${maxShippedFiles} of ${mib(maxShippedBytes)} may. The largest: ${named}`,
    { hint: HINT },
  );
}

function mib(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
