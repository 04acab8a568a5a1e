import { build } from "esbuild";
import { baseOptions } from "../esbuild-options.ts";
import type { Externals } from "../external-packages.ts";
import { ownPackagePlugin } from "../own-package.ts";
import type { Target } from "./package-imports.ts";

/** The names that modules of packages export, looked at once. */
export class ModuleExports {
  readonly #root: string;
  readonly #externals: Externals;
  readonly #known = new Map<Target, readonly string[] | null>();

  constructor(root: string, externals: Externals) {
    this.#root = root;
    this.#externals = externals;
  }

  /** Sorted; null: it is no ES module, or was not looked at. */
  of(target: Target): readonly string[] | null {
    return this.#known.get(target) ?? null;
  }

  /** Their files may be others. */
  forget(): void {
    this.#known.clear();
  }

  /** False where one hands on what only shows when it runs. */
  async lookAt(targets: Target[]): Promise<boolean> {
    const unknown = targets.filter((target) => !this.#known.has(target)).sort();
    if (unknown.length === 0) return true;
    const result = await build({
      ...baseOptions(this.#root),
      entryPoints: unknown.map((target, index) => ({ in: target, out: String(index) })),
      outdir: this.#root,
      splitting: true,
      metafile: true,
      plugins: [ownPackagePlugin(this.#root), this.#externals.plugin(new Map())],
    });
    if (result.outputFiles?.some(({ text }) => /^ *__reExport\(/m.test(text))) return false;
    const { inputs, outputs } = result.metafile;
    for (const [file, { entryPoint, exports }] of Object.entries(outputs)) {
      const target = entryPoint === undefined ? undefined : unknown[Number(/(\d+)\.js$/.exec(file)?.[1])];
      const isModule = inputs[entryPoint ?? ""]?.format === "esm";
      if (target !== undefined) this.#known.set(target, isModule ? exports.toSorted() : null);
    }
    return true;
  }
}
