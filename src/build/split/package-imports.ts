import type { OnResolveArgs, OnResolveResult, Plugin, PluginBuild } from "esbuild";
import { packageDirOf, packageNameOf } from "../packages.ts";
import { both, type Taken } from "./taken.ts";

/** In front of what stands for a module of a package while the project's own code is bundled. */
export const PACKAGE_PREFIX = "athanor-package:";

/** Where a package's module is: an absolute path, or `athanor` and `athanor/client`, which another plugin finds. */
export type Target = string;

const SELF = Symbol("resolves");
const OWN_PACKAGE = /^athanor(?:\/client)?$/;

interface Found {
  target: Target;
  sideEffects: boolean;
}

/** Which modules of packages the project's own code imports. */
export class PackageImports {
  readonly #found = new Map<string, Found>();
  /** Of those that are not imported by names alone. */
  #whole = new Set<Target>();

  /** Call before own code is bundled for the names that it takes. */
  begin(): void {
    this.#whole = new Set();
  }

  /** What was taken by names, with what cannot be told of: an `import()` or a `require` may use anything. */
  complete(named: ReadonlyMap<Target, Taken>): Map<Target, Taken> {
    const taken = new Map(named);
    for (const target of this.#whole) taken.set(target, both(taken.get(target) ?? new Set(), "all"));
    return taken;
  }

  /** `made` says what stands in for the module. */
  plugin(made: (target: Target) => OnResolveResult): Plugin {
    return {
      name: "athanor-package-imports",
      setup: (build) => {
        build.onResolve({ filter: /^[^./]/ }, async (args) => {
          const found = await this.#resolve(build, args);
          if (found === null) return null;
          if (args.kind !== "import-statement") this.#whole.add(found.target);
          return { sideEffects: found.sideEffects, ...made(found.target) };
        });
      },
    };
  }

  async #resolve(build: PluginBuild, args: OnResolveArgs): Promise<Found | null> {
    if (args.pluginData === SELF || !KINDS.has(args.kind) || args.namespace !== "file") return null;
    if (OWN_PACKAGE.test(args.path)) return { target: args.path, sideEffects: true };
    if (packageNameOf(args.path) === null && !args.path.startsWith("#")) return null;
    const key = JSON.stringify([args.kind, args.resolveDir, args.path, args.with]);
    const known = this.#found.get(key);
    if (known !== undefined) return known;
    const { path, resolveDir, kind, importer } = args;
    const { errors, external, sideEffects, ...resolved } = await build.resolve(path, {
      ...{ resolveDir, kind, importer, with: args.with },
      pluginData: SELF,
    });
    if (errors.length > 0 || external || resolved.namespace !== "file" || resolved.suffix !== "") return null;
    if (packageDirOf(resolved.path) === null) return null;
    const found = { target: resolved.path, sideEffects };
    this.#found.set(key, found);
    return found;
  }
}

const KINDS: ReadonlySet<string> = new Set(["import-statement", "dynamic-import", "require-call"]);
