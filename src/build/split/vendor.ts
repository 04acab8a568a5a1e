/**
 * The vendor chunk: of packages, and of `athanor` itself, what the project's own code takes, in a file of its own. It changes only when other names are
 * taken or other packages installed, so that neither an edit nor a deploy need touch it.
 *
 * It exports one array of functions, each of which runs a module of a package the first time it is called, and returns it. So packages run when and in
 * the order in which the own code's imports say, however that is interleaved with the own code.
 */
import { statSync } from "node:fs";
import { type BuildContext, context, type Metafile, type Plugin } from "esbuild";
import { digestVendor } from "../../protocol/digest.ts";
import { VENDOR_FILE } from "../../protocol/spec.ts";
import { baseOptions, type Chunk, chunkOf, filesOf, outputOptions, textOf } from "../esbuild-options.ts";
import type { Externals, Found } from "../external-packages.ts";
import { ownPackagePlugin } from "../own-package.ts";
import { packageDirOf } from "../packages.ts";
import { compiledEagerly } from "./eager.ts";
import { ModuleExports } from "./exports.ts";
import type { Target } from "./package-imports.ts";
import type { Taken } from "./taken.ts";

const ENTRY = "athanor-vendor";
const PREFIX = `${ENTRY}:`;
const MAIN = "entry";

/** One module of a package, in the chunk. */
export interface VendorModule {
  target: Target;
  /** Null: CommonJS, JSON or text, which are handed over whole. */
  names: readonly string[] | null;
}

export interface Vendor extends Chunk {
  sha256: string;
  /** As they are numbered in the array. */
  modules: readonly VendorModule[];
  files: string[];
  externals: Found;
}

interface Kept {
  key: string;
  /** Null: it cannot be. */
  vendor: Vendor | null;
  stamp: string;
}

/** How esbuild wraps a module with an `await` at its top. */
const AWAITS = /^ *async "[^"\n]*"\(\) \{$/m;

/**
 *   empty --vendor()--> kept --vendor(), the same names of the same files--> kept, nothing is bundled
 *   any   --dispose()--> empty
 */
export class VendorBundler {
  readonly #root: string;
  readonly #externals: Externals;
  readonly #found: Found = new Map();
  readonly #exports: ModuleExports;
  /** Targets that are no ES modules, as the last look at them found. */
  readonly #whole = new Set<Target>();
  #modules: VendorModule[] = [];
  #context: Promise<BuildContext> | null = null;
  #kept: Kept | null = null;

  constructor(root: string, externals: Externals) {
    this.#root = root;
    this.#externals = externals;
    this.#exports = new ModuleExports(root, externals);
  }

  /** Null where packages cannot be in a chunk of their own, as where one has an `await` at the top of a file. */
  async vendor(taken: ReadonlyMap<Target, Taken>): Promise<Vendor | null> {
    const key = keyOf(taken, this.#externals);
    const kept = this.#kept;
    const isAsItWas = kept?.stamp === stampOf(kept?.vendor ?? null);
    if (isAsItWas && kept?.key === key) return kept.vendor;
    if (!isAsItWas) this.#exports.forget();
    const vendor = await this.#make(taken).catch(() => null);
    this.#kept = { key, vendor, stamp: stampOf(vendor) };
    return vendor;
  }

  async dispose(): Promise<void> {
    const context = this.#context;
    this.#context = null;
    this.#kept = null;
    await (await context?.catch(() => null))?.dispose();
  }

  async #make(taken: ReadonlyMap<Target, Taken>): Promise<Vendor | null> {
    const modules = await this.#modulesOf(taken);
    return modules && (await this.#bundle(modules));
  }

  /** Sorted, so that the same names give the same bytes. */
  async #modulesOf(taken: ReadonlyMap<Target, Taken>): Promise<VendorModule[] | null> {
    const whole = [...taken].filter(([, names]) => names === "all").map(([target]) => target);
    if (!(await this.#exports.lookAt(whole))) return null;
    const modules = [...taken].map(([target, names]) => ({
      target,
      names: names === "all" ? this.#exports.of(target) : [...names].sort(),
    }));
    return modules.sort((a, b) => (a.target < b.target ? -1 : 1));
  }

  async #bundle(stated: VendorModule[]): Promise<Vendor | null> {
    this.#context ??= context({
      ...baseOptions(this.#root),
      ...outputOptions(this.#root, VENDOR_FILE),
      sourcesContent: false,
      entryPoints: [ENTRY],
      plugins: [this.#plugin(), ownPackagePlugin(this.#root), this.#externals.plugin(this.#found)],
    });
    for (;;) {
      this.#modules = stated.map((made) => (this.#whole.has(made.target) ? { ...made, names: null } : made));
      const result = await (await this.#context).rebuild();
      const files = filesOf(result, this.#root);
      // A file of the project that a package imports would be there twice; what awaits something cannot be run by a call.
      if (files.some((file) => packageDirOf(file) === null) || AWAITS.test(textOf(result))) return null;
      const inputs = result.metafile?.inputs ?? {};
      if (this.#tookWrongly(stated, inputs)) continue;
      const { map, ...chunk } = chunkOf(result);
      const code = compiledEagerly(chunk.code, new Set(Object.keys(inputs)));
      const sha256 = digestVendor({ code, sourceMap: map });
      return { code, map, sha256, modules: this.#modules, files, externals: new Map(this.#found) };
    }
  }

  /** Whether one was taken to be an ES module and is none, or the reverse. Then it is known. */
  #tookWrongly(stated: VendorModule[], inputs: Metafile["inputs"]): boolean {
    let wrongly = false;
    for (const [index, { target, names }] of stated.entries()) {
      if (names === null || names.length === 0) continue;
      const isWhole = this.#whole.has(target);
      const imported = isWhole ? inputs[PREFIX + MAIN]?.imports[index] : inputs[PREFIX + index]?.imports[0];
      const isModule = inputs[imported?.path ?? ""]?.format === "esm";
      if (isModule !== isWhole) continue;
      wrongly = true;
      if (isModule) this.#whole.delete(target);
      else this.#whole.add(target);
    }
    return wrongly;
  }

  #plugin(): Plugin {
    return {
      name: ENTRY,
      setup: (build) => {
        build.onResolve({ filter: /^athanor-vendor/ }, ({ path }) => ({
          path: path === ENTRY ? MAIN : path.slice(PREFIX.length),
          namespace: ENTRY,
        }));
        build.onLoad({ filter: /.*/, namespace: ENTRY }, ({ path }) => ({
          contents: path === MAIN ? this.#entry() : contentsOf(this.#modules[Number(path)]),
          resolveDir: this.#root,
          loader: "js",
        }));
      },
    };
  }

  #entry(): string {
    const functions = this.#modules.map(({ target, names }, index) => {
      const module = names === null ? target : PREFIX + index;
      return `() => require(${JSON.stringify(module)})`;
    });
    return `export const packages = [\n${functions.join(",\n")}\n];`;
  }
}

function contentsOf(module: VendorModule | undefined): string {
  const { target, names } = module ?? { target: "", names: null };
  if (names === null || names.length === 0) return `import ${JSON.stringify(target)};`;
  return `export { ${names.map(quoted).join(", ")} } from ${JSON.stringify(target)};`;
}

/** Any text can be the name of an export. */
export function quoted(name: string): string {
  return /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(name) ? name : JSON.stringify(name);
}

function keyOf(taken: ReadonlyMap<Target, Taken>, externals: Externals): string {
  const names = [...taken].map(([target, names]) => [target, names === "all" ? names : [...names].sort()]);
  return JSON.stringify([names.sort(), externals.names]);
}

/** Differs once a file is another one. */
function stampOf(vendor: Vendor | null): string {
  const stamps = (vendor?.files ?? []).map((file) => {
    const found = statSync(file, { throwIfNoEntry: false });
    return found === undefined ? "" : `${found.mtimeMs} ${found.size} ${found.ino}`;
  });
  return stamps.join();
}
