/**
 * Bundles an entry file as two: its own code, and the vendor chunk beside it.
 *
 *   own code --bundled without packages--> the names it takes --VendorBundler--> vendor chunk
 *   own code --bundled with stand-ins for what it takes--> bundle, which imports the vendor chunk
 */
import { type BuildContext, context, type Plugin } from "esbuild";
import { VENDOR_FILE } from "../../protocol/spec.ts";
import { baseOptions, type Chunk, chunkOf, filesOf, outputOptions, textOf } from "../esbuild-options.ts";
import type { Externals, Found } from "../external-packages.ts";
import { packageDirOf } from "../packages.ts";
import { PACKAGE_PREFIX, PackageImports, type Target } from "./package-imports.ts";
import { type Taken, takenFrom } from "./taken.ts";
import { quoted, type Vendor, VendorBundler } from "./vendor.ts";

const NAMESPACE = "athanor-package";
/** What the bundle's own code can have no name for. */
const PACKAGES = "__athanorPackages";

export interface Split {
  own: Chunk;
  vendor: Vendor;
  files: string[];
  externals: Found;
}

interface SplitOptions {
  entry: string;
  root: string;
  /** The name of the file that the own code is to be. */
  file: string;
  externals: Externals;
  /** Changes what is read of own files; made anew for each. */
  plugins: () => Plugin[];
}

export class SplitBundler {
  readonly #options: SplitOptions;
  readonly #imports = new PackageImports();
  readonly #vendors: VendorBundler;
  readonly #found: Found = new Map();
  readonly #targets: Target[] = [];
  #vendor: Vendor | null = null;
  #contexts: Promise<{ names: BuildContext; own: BuildContext }> | null = null;

  constructor(options: SplitOptions) {
    this.#options = options;
    this.#vendors = new VendorBundler(options.root, options.externals);
  }

  /** Null where it must be one bundle. Throws what esbuild throws. */
  async bundle(): Promise<Split | null> {
    const { root } = this.#options;
    this.#contexts ??= this.#open();
    const contexts = await this.#contexts;
    const taken = await this.#namesTaken(contexts.names);
    if (taken === null) return null;
    const vendor = await this.#vendors.vendor(taken);
    if (vendor === null) return null;
    this.#vendor = vendor;
    const result = await contexts.own.rebuild();
    const files = filesOf(result, root);
    // A package's file that is imported by a path would be there twice.
    if (files.some((file) => packageDirOf(file) !== null)) return null;
    return {
      own: chunkOf(result),
      vendor,
      files: [...files, ...vendor.files],
      externals: new Map([...vendor.externals, ...this.#found]),
    };
  }

  async dispose(): Promise<void> {
    const contexts = this.#contexts;
    this.#contexts = null;
    const opened = await contexts?.catch(() => null);
    await Promise.all([opened?.names.dispose(), opened?.own.dispose(), this.#vendors.dispose()]);
  }

  async #open(): Promise<{ names: BuildContext; own: BuildContext }> {
    const { entry, root, file, externals, plugins } = this.#options;
    const base = { ...baseOptions(root), entryPoints: [entry] };
    const outside = this.#imports.plugin((target) => ({
      path: PACKAGE_PREFIX + this.#numberOf(target),
      external: true,
    }));
    const names = await context({
      ...base,
      ...outputOptions(root, file),
      sourcemap: false,
      plugins: [externals.plugin(new Map()), outside, ...plugins()],
    });
    const standIns = this.#imports.plugin((target) => ({ path: String(this.#indexOf(target)), namespace: NAMESPACE }));
    const own = await context({
      ...base,
      ...outputOptions(root, file),
      banner: { js: `import { packages as ${PACKAGES} } from "./${VENDOR_FILE}";` },
      external: [`./${VENDOR_FILE}`],
      plugins: [externals.plugin(this.#found), standIns, this.#standInPlugin(), ...plugins()],
    });
    return { names, own };
  }

  /** Null where the text says less than esbuild. */
  async #namesTaken(names: BuildContext): Promise<Map<Target, Taken> | null> {
    this.#imports.begin();
    const result = await names.rebuild();
    const imports = Object.values(result.metafile?.outputs ?? {}).flatMap((output) => output.imports);
    const { taken, statements } = takenFrom(textOf(result), PACKAGE_PREFIX);
    const expected = imports.filter(({ path, kind }) => kind === "import-statement" && path.startsWith(PACKAGE_PREFIX));
    if (statements !== expected.length) return null;
    const named = new Map([...taken].map(([number, names]) => [this.#targets[Number(number)] ?? "", names] as const));
    return this.#imports.complete(named);
  }

  /** Before the vendor chunk is made there is none. */
  #indexOf(target: Target): number {
    return this.#vendor?.modules.findIndex((module) => module.target === target) ?? -1;
  }

  #numberOf(target: Target): number {
    const known = this.#targets.indexOf(target);
    return known >= 0 ? known : this.#targets.push(target) - 1;
  }

  /** A module of a package, as own code sees it: CommonJS that gets it from the vendor chunk, and where it is an ES module, one with its names. */
  #standInPlugin(): Plugin {
    return {
      name: NAMESPACE,
      setup: (build) => {
        build.onResolve({ filter: /^whole:/, namespace: NAMESPACE }, ({ path }) => ({ path, namespace: NAMESPACE }));
        build.onLoad({ filter: /.*/, namespace: NAMESPACE }, ({ path }) => {
          const [, whole, index] = /^(whole:)?(-?\d+)$/.exec(path) ?? [];
          const names = this.#vendor?.modules[Number(index)]?.names ?? null;
          return { contents: whole || names === null ? wholeModule(index) : namedModule(index, names), loader: "js" };
        });
      },
    };
  }
}

function wholeModule(index: string | undefined): string {
  return `module.exports = ${PACKAGES}[${index}]();`;
}

function namedModule(index: string | undefined, names: readonly string[]): string {
  const from = JSON.stringify(`whole:${index}`);
  return names.length === 0 ? `import ${from};` : `export { ${names.map(quoted).join(", ")} } from ${from};`;
}
