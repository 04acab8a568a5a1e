import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import type { Loader, Plugin } from "esbuild";
import { findPackage, readPackageJson } from "./packages.ts";

const RUNS_FROM_SOURCE = import.meta.url.endsWith(".ts");
const NAMESPACE = "athanor";

/** The root of the package that this very code belongs to. */
const OWN_ROOT = findRoot(import.meta.dirname);

function findRoot(dir: string): string {
  for (let at = dir; path.dirname(at) !== at; at = path.dirname(at)) {
    if (readPackageJson(at).name === "athanor") return at;
  }
  return dir;
}

const ENTRIES: Record<string, string> = RUNS_FROM_SOURCE
  ? { athanor: "src/index.ts", "athanor/client": "src/sdk/client/index.ts" }
  : { athanor: "dist/index.js", "athanor/client": "dist/client.js" };

/**
 * Bundles `athanor` in: the project's installed copy, or else the one that builds. Its files live in a namespace of their own, named from
 * the package's root, so that where the package lies leaves no trace in the bundle.
 */
export function ownPackagePlugin(projectRoot: string): Plugin {
  const installed = RUNS_FROM_SOURCE ? null : findPackage("athanor", projectRoot);
  const root = installed?.dir ?? OWN_ROOT;
  return {
    name: "athanor-own-package",
    setup(build) {
      build.onResolve({ filter: /^athanor(?:\/client)?$/ }, (args) => {
        const entry = ENTRIES[args.path];
        return entry === undefined ? null : { path: entry, namespace: NAMESPACE };
      });
      build.onResolve({ filter: /.*/, namespace: NAMESPACE }, async (args) => {
        if (args.path.startsWith("node:")) return { path: args.path, external: true };
        if (args.path.startsWith("."))
          return { path: path.posix.join(path.posix.dirname(args.importer), args.path), namespace: NAMESPACE };
        const found = await build.resolve(args.path, { resolveDir: root, kind: args.kind });
        if (found.errors.length > 0 || found.external) return found;
        return { path: path.relative(root, found.path).split(path.sep).join("/"), namespace: NAMESPACE };
      });
      build.onLoad({ filter: /.*/, namespace: NAMESPACE }, (args) => {
        const file = path.join(root, args.path);
        if (!existsSync(file)) return { errors: [{ text: `athanor itself is incomplete: ${args.path} is missing` }] };
        const loader: Loader = file.endsWith(".ts") ? "ts" : file.endsWith(".json") ? "json" : "js";
        return { contents: withoutMapComment(readFileSync(file, "utf8")), loader };
      });
    },
  };
}

/** The SDK's own source maps would need files that are not in its package. */
function withoutMapComment(text: string): string {
  return text.replace(/\n\/\/# sourceMappingURL=\S+\s*$/, "\n");
}
