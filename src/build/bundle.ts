import { readFileSync, realpathSync } from "node:fs";
import path from "node:path";
import { type BuildContext, type BuildOptions, type BuildResult, context, type Loader, type Plugin } from "esbuild";
import { AthanorError } from "../protocol/errors.ts";
import { byPackage, inspect, KNOWN_EXTERNALS, packagesLookedUp } from "./externals.ts";
import { bundleFailure, packagesAtFault } from "./failure.ts";
import { insertionsFor, instrument } from "./instrument.ts";
import { ownPackagePlugin } from "./own-package.ts";
import { findPackage, type InstalledPackage, packageNameOf, readPackageJson } from "./packages.ts";
import type { Analysis } from "./schema/index.ts";

export interface Bundle {
  code: string;
  /** Sources are named from the project's root. */
  map: string;
  /** Packages that the bundle needs beside it, by name. */
  externals: Map<string, InstalledPackage>;
}

const OUTFILE = "bundle.mjs";
/** Each round takes at least one more package out of the bundle. */
const MAX_ROUNDS = 8;

/**
 * Bundles the entry file with all it imports. A first pass shows what is in the bundle; packages that cannot work from inside it are
 * left out in the next.
 */
export async function bundle(p: { entry: string; analysis: Analysis; external: string[] }): Promise<Bundle> {
  const { root } = p.analysis;
  const externals = new Externals(p.external);
  const made = await context(options(p, externals)).catch((error: unknown) => {
    throw bundleFailure(error, root);
  });
  try {
    return await bundleInRounds(made, root, externals);
  } finally {
    await made.dispose();
  }
}

async function bundleInRounds(made: BuildContext, root: string, externals: Externals): Promise<Bundle> {
  for (let round = 1; ; round++) {
    const last = round === MAX_ROUNDS;
    const result = await made.rebuild().catch((error: unknown) => {
      if (last || !externals.addAll(packagesAtFault(error, root))) throw bundleFailure(error, root);
      return null;
    });
    if (result === null) continue;
    if (last || !externals.addFrom(inputsOf(result, root))) return finish(result, externals);
  }
}

function options(p: { entry: string; analysis: Analysis }, externals: Externals): BuildOptions {
  const { root } = p.analysis;
  return {
    absWorkingDir: root,
    entryPoints: [p.entry],
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
    plugins: [ownPackagePlugin(root), externals.plugin(), instrumentPlugin(p.analysis)],
  };
}

/** What stays out of the bundle. */
class Externals {
  readonly #names: Set<string>;
  readonly found = new Map<string, InstalledPackage>();

  constructor(listed: string[]) {
    this.#names = new Set([...listed, ...Object.keys(KNOWN_EXTERNALS)]);
  }

  /** True where one of them is new. */
  addAll(names: string[]): boolean {
    const before = this.#names.size;
    for (const name of names) this.#names.add(name);
    return this.#names.size > before;
  }

  /** Adds what the files of a finished bundle call for. True where a package that is in the bundle must leave it. */
  addFrom(files: string[]): boolean {
    const leaving: string[] = [];
    for (const [dir, own] of byPackage(files)) {
      if (dir === null) this.#addLookedUp(own);
      else if (inspect(dir, own) !== null) leaving.push(readPackageJson(dir).name ?? path.basename(dir));
    }
    return this.addAll(leaving);
  }

  #addLookedUp(files: string[]): void {
    for (const { name, fromDir } of files.flatMap(packagesLookedUp)) {
      const found = findPackage(name, fromDir);
      if (found) this.found.set(name, found);
    }
  }

  plugin(): Plugin {
    return {
      name: "athanor-externals",
      setup: (build) => {
        build.onStart(() => this.found.clear());
        build.onResolve({ filter: /^[^./#]/ }, (args) => {
          const name = packageNameOf(args.path);
          if (name === null || !this.#names.has(name) || args.kind === "entry-point") return null;
          const found = findPackage(name, args.resolveDir);
          if (found === null) return null;
          // Importers may see different versions; the one nearest the project's root, which is met first, holds.
          if (!this.found.has(name)) this.found.set(name, found);
          return { path: args.path, external: true };
        });
      },
    };
  }
}

function instrumentPlugin({ sites, hooks }: Analysis): Plugin {
  const files = new Set([...sites, ...hooks].map((site) => realpathSync(site.path)));
  return {
    name: "athanor-instrument",
    setup(build) {
      if (files.size === 0) return;
      const filter = new RegExp(`^(?:${[...files].map(escapeRegExp).join("|")})$`);
      build.onLoad({ filter }, (args) => {
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

/** Absolute paths of the files in the bundle. */
function inputsOf(result: BuildResult, root: string): string[] {
  const names = Object.keys(result.metafile?.inputs ?? {});
  return names.filter((name) => !/^[a-z-]{2,}:/.test(name)).map((name) => path.resolve(root, name));
}

const REQUIRE_BANNER =
  'import { createRequire as __athanorCreateRequire } from "node:module"; var require = __athanorCreateRequire(import.meta.url);\n';

function finish(result: BuildResult, externals: Externals): Bundle {
  const code = result.outputFiles?.find((file) => file.path.endsWith(OUTFILE))?.text;
  const map = result.outputFiles?.find((file) => file.path.endsWith(".map"))?.text;
  if (code === undefined || map === undefined) throw new AthanorError("internal", "esbuild returned no bundle");
  // CommonJS packages ask for Node's modules by `require`. Where esbuild's helper for that is in, no other `require` can be.
  const needsRequire = /^var __require = /m.test(code);
  return {
    code: needsRequire ? REQUIRE_BANNER + code : code,
    map: finishMap(map, needsRequire ? ";" : ""),
    externals: new Map([...externals.found].sort(([a], [b]) => (a < b ? -1 : 1))),
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
