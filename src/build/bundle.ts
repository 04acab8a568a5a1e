/**
 * Bundles the entry file with all it imports. A first pass shows what is in the bundle; packages that cannot work from inside it are
 * left out in the next.
 *
 *   cold --bundle()--> warm --bundle()--> warm            esbuild's context is kept, and packages are not looked at again
 *   warm --bundle(): other packages, or calls in other files--> cold first, then warm
 *   any  --dispose()--> cold
 */
import { readFileSync, realpathSync } from "node:fs";
import path from "node:path";
import { type BuildContext, type BuildOptions, type BuildResult, context, type Loader, type Plugin } from "esbuild";
import { AthanorError } from "../protocol/errors.ts";
import { Externals } from "./external-packages.ts";
import { bundleFailure, packagesAtFault } from "./failure.ts";
import { insertionsFor, instrument } from "./instrument.ts";
import { ownPackagePlugin } from "./own-package.ts";
import type { InstalledPackage } from "./packages.ts";
import type { Analysis } from "./schema/index.ts";

export interface Bundle {
  code: string;
  /** Sources are named from the project's root. */
  map: string;
  /** Packages that the bundle needs beside it, by name. */
  externals: Map<string, InstalledPackage>;
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
  context: BuildContext;
  externals: Externals;
  /** The plugins read the newest. */
  current: { analysis: Analysis };
}

export class Bundler implements AsyncDisposable {
  #warm: Warm | null = null;

  async bundle(request: BundleRequest): Promise<Bundle> {
    const { root } = request.analysis;
    const { context, externals } = await this.#warmFor(request);
    for (let round = 1; ; round++) {
      const last = round === MAX_ROUNDS;
      const result = await context.rebuild().catch((error: unknown) => {
        if (last || !externals.addAll(packagesAtFault(error, root))) throw bundleFailure(error, root);
        return null;
      });
      if (result === null) continue;
      const files = filesOf(result, root);
      if (last || !externals.addFrom(files)) return finish(result, externals, files);
    }
  }

  async dispose(): Promise<void> {
    const warm = this.#warm;
    this.#warm = null;
    await warm?.context.dispose();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  async #warmFor(request: BundleRequest): Promise<Warm> {
    const { analysis, entry, external, packagesStamp } = request;
    const key = JSON.stringify([
      analysis.root,
      entry,
      external,
      packagesStamp,
      [...instrumentedFiles(analysis)].sort(),
    ]);
    if (this.#warm?.key === key) {
      this.#warm.current.analysis = analysis;
      return this.#warm;
    }
    await this.dispose();
    const externals = new Externals(external);
    const current = { analysis };
    const made = await context(options(entry, analysis.root, externals, current)).catch((error: unknown) => {
      throw bundleFailure(error, analysis.root);
    });
    this.#warm = { key, context: made, externals, current };
    return this.#warm;
  }
}

function options(entry: string, root: string, externals: Externals, current: Warm["current"]): BuildOptions {
  return {
    absWorkingDir: root,
    entryPoints: [entry],
    outfile: path.join(root, OUTFILE),
    write: false,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node24",
    sourcemap: "external",
    sourcesContent: true,
    metafile: true,
    charset: "utf8",
    legalComments: "none",
    logLevel: "silent",
    // Names change only where two modules use the same one; keepNames would cost a call for every closure that is made.
    keepNames: false,
    loader: {
      ".txt": "text",
      ".md": "text",
      ".html": "text",
      ".css": "text",
      ".sql": "text",
      ".wasm": "binary",
      ".node": "empty",
    },
    plugins: [ownPackagePlugin(root), externals.plugin(), instrumentPlugin(current)],
  };
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

function filesOf(result: BuildResult, root: string): string[] {
  const names = Object.keys(result.metafile?.inputs ?? {});
  return names.filter((name) => !/^[a-z-]{2,}:/.test(name)).map((name) => path.resolve(root, name));
}

const REQUIRE_BANNER =
  'import { createRequire as __athanorCreateRequire } from "node:module"; var require = __athanorCreateRequire(import.meta.url);\n';

function finish(result: BuildResult, externals: Externals, files: string[]): Bundle {
  const code = result.outputFiles?.find((file) => file.path.endsWith(OUTFILE))?.text;
  const map = result.outputFiles?.find((file) => file.path.endsWith(".map"))?.text;
  if (code === undefined || map === undefined) throw new AthanorError("internal", "esbuild returned no bundle");
  // CommonJS packages ask for Node's modules by `require`. Where esbuild's helper for that is in, no other `require` can be.
  const needsRequire = /^var __require = /m.test(code);
  return {
    code: needsRequire ? REQUIRE_BANNER + code : code,
    map: finishMap(map, needsRequire ? ";" : ""),
    externals: new Map([...externals.found].sort(([a], [b]) => (a < b ? -1 : 1))),
    files,
  };
}

interface SourceMap {
  sources: string[];
  sourcesContent: (string | null)[];
  mappings: string;
}

/** The text of packages is left out: their names, lines and columns are enough for a stack. */
function finishMap(text: string, prefix: string): string {
  const map = JSON.parse(text) as SourceMap;
  const isPackage = (source: string | undefined): boolean => /(?:^|\/)node_modules\/|^athanor:/.test(source ?? "");
  map.sourcesContent = map.sourcesContent.map((content, i) => (isPackage(map.sources[i]) ? null : content));
  map.mappings = prefix + map.mappings;
  return JSON.stringify(map);
}
