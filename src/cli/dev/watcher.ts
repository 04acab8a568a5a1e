import { existsSync, type FSWatcher, statSync, watch } from "node:fs";
import path from "node:path";
import { DEV_DEFAULTS } from "../../protocol/defaults.ts";

/** What a build may read; an editor's own temporary files have other names. */
const SOURCE = /\.(?:[cm]?[jt]sx?|json|txt|md|html|css|sql|wasm|py|toml)$/;

/** Times of files may lag behind the clock by so much. */
const CLOCK_TICK_MS = 10;

/**
 * Tells of changes to files. It watches their folders, since an editor may save by putting a new file in the old one's place; what comes
 * within a moment is told together.
 *
 *   still --a file changes--> gathering --nothing more for quietMs, or maxWaitMs are over--> still, `onChange` is called
 *   any   --close()--> closed
 */
export class Watcher implements Disposable {
  readonly #onChange: (files: string[]) => void;
  readonly #folders = new Map<string, FSWatcher>();
  #files: ReadonlySet<string> = new Set();
  /** Folders in which any source counts. */
  #whole: ReadonlySet<string> = new Set();
  /** All that ever were. */
  readonly #seen = new Set<string>();
  readonly #changed = new Set<string>();
  #gatheringSince = 0;
  #timer: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(p: { onChange(files: string[]): void }) {
    this.#onChange = p.onChange;
  }

  /**
   * What is watched from now on: files, which need not exist, and folders with all the sources and folders that are in them or come there.
   * What was not watched before and has changed after `since`, in milliseconds since 1970, is told of too.
   */
  watch(p: { files: readonly string[]; folders: readonly string[]; since: number }): void {
    if (this.#closed) return;
    const files = new Set(p.files);
    // Code that is imported may write into a folder each time; only its first sight counts.
    const added = [
      ...p.files.filter((file) => !this.#files.has(file)),
      ...p.folders.filter((folder) => !this.#seen.has(folder)),
    ];
    for (const folder of p.folders) this.#seen.add(folder);
    const folders = new Set(p.folders);
    for (const file of p.files) folders.add(this.#nearestFolder(file, files));
    this.#files = files;
    this.#whole = new Set(p.folders);
    for (const [folder, watcher] of this.#folders) if (!folders.has(folder)) this.#drop(folder, watcher);
    for (const folder of folders) if (!this.#folders.has(folder)) this.#add(folder);
    for (const file of added) if (changedAt(file) > p.since - CLOCK_TICK_MS) this.#gather(file);
  }

  close(): void {
    this.#closed = true;
    if (this.#timer) clearTimeout(this.#timer);
    for (const [folder, watcher] of this.#folders) this.#drop(folder, watcher);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Where the file's folder is missing, the nearest above it that is there; what must come first is then awaited as the file is. */
  #nearestFolder(file: string, wanted: Set<string>): string {
    let folder = path.dirname(file);
    while (!existsSync(folder) && path.dirname(folder) !== folder) {
      wanted.add(folder);
      folder = path.dirname(folder);
    }
    return folder;
  }

  #add(folder: string): void {
    try {
      const watcher = watch(folder, (_, name) => this.#event(folder, name));
      watcher.on("error", () => this.#drop(folder, watcher));
      this.#folders.set(folder, watcher);
    } catch {
      // It has just gone; a change of what is left will have it looked for again.
    }
  }

  #drop(folder: string, watcher: FSWatcher): void {
    if (this.#folders.get(folder) === watcher) this.#folders.delete(folder);
    watcher.close();
  }

  #event(folder: string, name: string | null): void {
    // A folder that was removed and made again is another one.
    const watcher = this.#folders.get(folder);
    if (watcher !== undefined && !existsSync(folder)) this.#drop(folder, watcher);
    const file = name === null ? folder : path.join(folder, name);
    if (name === null || this.#files.has(file) || (this.#whole.has(folder) && isSource(file, name))) this.#gather(file);
  }

  #gather(file: string): void {
    this.#changed.add(file);
    const now = performance.now();
    if (this.#timer === null) this.#gatheringSince = now;
    else clearTimeout(this.#timer);
    const left = this.#gatheringSince + DEV_DEFAULTS.maxWaitMs - now;
    this.#timer = setTimeout(() => this.#tell(), Math.max(0, Math.min(DEV_DEFAULTS.quietMs, left)));
  }

  #tell(): void {
    this.#timer = null;
    const files = [...this.#changed];
    this.#changed.clear();
    this.#onChange(files);
  }
}

function isSource(file: string, name: string): boolean {
  return (
    SOURCE.test(name) || (!name.startsWith(".") && statSync(file, { throwIfNoEntry: false })?.isDirectory() === true)
  );
}

function changedAt(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
