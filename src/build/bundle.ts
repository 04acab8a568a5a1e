/**
 * Bundles the entry file with all it imports: its own code, and beside it what of packages it takes (split/), or in one where that cannot be. A first
 * pass shows what is in the bundle; packages that cannot work from inside it are left out in the next.
 *
 *   cold --bundle()--> warm --bundle()--> warm            esbuild's contexts are kept, and packages are not looked at again
 *   warm --bundle(): other packages, or calls in other files--> cold first, then warm
 *   any  --dispose()--> cold
 */
import { readFileSync, realpathSync } from "node:fs";
import path from "node:path";
import { type BuildContext, context, type Loader, type Plugin } from "esbuild";
import { baseOptions, type Chunk, chunkOf, filesOf, outputOptions } from "./esbuild-options.ts";
import { Externals, type Found, lookedUp } from "./external-packages.ts";
import { bundleFailure, packagesAtFault } from "./failure.ts";
import { insertionsFor, instrument } from "./instrument.ts";
import { ownPackagePlugin } from "./own-package.ts";
import type { Analysis } from "./schema/index.ts";
import { SplitBundler } from "./split/split.ts";

export interface Bundle extends Chunk {
  /** What of packages is in a file of its own beside it; null: all is in one. */
  vendor: (Chunk & { sha256: string }) | null;
  /** Packages that the bundle needs beside it, by name. */
  externals: Found;
  /** Absolute paths of all files that are in it. */
  files: string[];
}

export interface BundleRequest {
  entry: string;
  analysis: Analysis;
  /** Packages that are to stay out. */
  external: string[];
  /** Changes whenever other packages are installed. */
  packagesStamp: string;
}

const OUTFILE = "bundle.mjs";
/** Each round takes at least one more package out of the bundle. */
const MAX_ROUNDS = 8;

interface Warm {
  key: string;
  root: string;
  options: () => Parameters<typeof context>[0];
  externals: Externals;
  found: Found;
  split: SplitBundler;
  whole: BuildContext | null;
  /** The plugins read the newest. */
  current: { analysis: Analysis };
}

export class Bundler implements AsyncDisposable {
  readonly #splits: boolean;
  #warm: Warm | null = null;

  /** `splits` false: always one file. */
  constructor(p: { splits: boolean } = { splits: true }) {
    this.#splits = p.splits;
  }

  async bundle(request: BundleRequest): Promise<Bundle> {
    const warm = await this.#warmFor(request);
    for (let round = 1; ; round++) {
      const last = round === MAX_ROUNDS;
      const made = (await this.#split(warm)) ?? (await this.#whole(warm, last));
      if (made === null) continue;
      if (!last && warm.externals.addFrom(made.files)) continue;
      const externals = [...made.externals, ...lookedUp(made.files)].sort(([a], [b]) => (a < b ? -1 : 1));
      return { ...made, externals: new Map(externals) };
    }
  }

  async dispose(): Promise<void> {
    const warm = this.#warm;
    this.#warm = null;
    await Promise.all([warm?.whole?.dispose(), warm?.split.dispose()]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  /** Null where it cannot be split; whatever is wrong with it, one bundle says better. */
  async #split({ split }: Warm): Promise<Bundle | null> {
    const made = this.#splits ? await split.bundle().catch(() => null) : null;
    return made && { ...made.own, vendor: made.vendor, externals: made.externals, files: made.files };
  }

  /** Null where a package at fault must leave it first. */
  async #whole(warm: Warm, last: boolean): Promise<Bundle | null> {
    const { root, externals, found } = warm;
    try {
      warm.whole ??= await context(warm.options());
      const result = await warm.whole.rebuild();
      return { ...chunkOf(result), vendor: null, externals: new Map(found), files: filesOf(result, root) };
    } catch (error) {
      if (last || !externals.addAll(packagesAtFault(error, root))) throw bundleFailure(error, root);
      return null;
    }
  }

  async #warmFor(request: BundleRequest): Promise<Warm> {
    const { analysis, entry, external, packagesStamp } = request;
    const { root } = analysis;
    const key = JSON.stringify([root, entry, external, packagesStamp, [...instrumentedFiles(analysis)].sort()]);
    if (this.#warm?.key === key) {
      this.#warm.current.analysis = analysis;
      return this.#warm;
    }
    await this.dispose();
    const externals = new Externals(external);
    const found: Found = new Map();
    const current = { analysis };
    const plugins = (): Plugin[] => [instrumentPlugin(current)];
    const split = new SplitBundler({ entry, root, file: OUTFILE, externals, plugins });
    const options = () => ({
      ...baseOptions(root),
      ...outputOptions(root, OUTFILE),
      entryPoints: [entry],
      plugins: [ownPackagePlugin(root), externals.plugin(found), ...plugins()],
    });
    this.#warm = { key, root, options, externals, found, split, whole: null, current };
    return this.#warm;
  }
}

function instrumentedFiles({ sites, hooks }: Analysis): Set<string> {
  return new Set([...sites, ...hooks].map((site) => realpathSync(site.path)));
}

function instrumentPlugin(current: Warm["current"]): Plugin {
  const files = instrumentedFiles(current.analysis);
  return {
    name: "athanor-instrument",
    setup(build) {
      if (files.size === 0) return;
      const filter = new RegExp(`^(?:${[...files].map(escapeRegExp).join("|")})$`);
      build.onLoad({ filter }, (args) => {
        const { sites, hooks } = current.analysis;
        const isHere = (site: { path: string }): boolean => realpathSync(site.path) === args.path;
        const text = readFileSync(args.path, "utf8").replace(/^\ufeff/, "");
        const insertions = insertionsFor(sites.filter(isHere), hooks.filter(isHere));
        return { contents: instrument(text, args.path, insertions), loader: loaderOf(args.path) };
      });
    },
  };
}

function escapeRegExp(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}

function loaderOf(file: string): Loader {
  const extension = path.extname(file);
  if (extension === ".tsx" || extension === ".jsx") return extension.slice(1) as Loader;
  return /ts$/.test(extension) ? "ts" : "jsx";
}
