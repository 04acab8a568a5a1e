import path from "node:path";
import type { BuildOptions, BuildResult } from "esbuild";
import { AthanorError } from "../protocol/errors.ts";

/** A file of JavaScript, and its source map, whose sources are named from the project's root. */
export interface Chunk {
  code: string;
  map: string;
}

/** What is equal for all that is bundled. */
export function baseOptions(root: string): BuildOptions {
  return {
    absWorkingDir: root,
    write: false,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node24",
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
  };
}

/** What a build that makes one file is to give besides; see chunkOf. */
export function outputOptions(root: string, file: string): BuildOptions {
  return { outfile: path.join(root, file), sourcemap: "external", sourcesContent: true, metafile: true };
}

const REQUIRE_BANNER =
  'import { createRequire as __athanorCreateRequire } from "node:module"; var require = __athanorCreateRequire(import.meta.url);\n';

/** Of a build of one file. */
export function textOf(result: BuildResult): string {
  const text = result.outputFiles?.find((file) => !file.path.endsWith(".map"))?.text;
  if (text === undefined) throw new AthanorError("internal", "esbuild returned no bundle");
  return text;
}

/** Of a build of one file with its source map. */
export function chunkOf(result: BuildResult): Chunk {
  const code = textOf(result);
  const map = result.outputFiles?.find((file) => file.path.endsWith(".map"))?.text;
  if (map === undefined) throw new AthanorError("internal", "esbuild returned no source map");
  // CommonJS packages ask for Node's modules by `require`. Where esbuild's helper for that is in, no other `require` can be.
  const needsRequire = /^var __require = /m.test(code);
  return {
    code: needsRequire ? REQUIRE_BANNER + code : code,
    map: finishMap(map, needsRequire ? ";" : ""),
  };
}

/** Absolute paths of all files that were read for it. */
export function filesOf(result: BuildResult, root: string): string[] {
  const names = Object.keys(result.metafile?.inputs ?? {});
  return names.filter((name) => !/^[a-z-]{2,}:/.test(name)).map((name) => path.resolve(root, name));
}

interface SourceMap {
  sources: string[];
  sourcesContent?: (string | null)[];
  mappings: string;
}

/** The text of packages is left out: their names, lines and columns are enough for a stack. */
function finishMap(text: string, prefix: string): string {
  const map = JSON.parse(text) as SourceMap;
  const isPackage = (source: string | undefined): boolean =>
    /(?:^|\/)node_modules\/|^athanor[a-z-]*:/.test(source ?? "");
  map.sourcesContent = map.sources.map((source, i) => (isPackage(source) ? null : (map.sourcesContent?.[i] ?? null)));
  map.mappings = prefix + map.mappings;
  return JSON.stringify(map);
}
