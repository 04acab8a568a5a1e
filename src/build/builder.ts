/**
 * Builds one entry file, as often as it is asked to.
 *
 *   cold --build()--> warm     what has not changed is not read, parsed or resolved again
 *   warm --build(), other packages are installed--> warm, after a build as if cold
 *   any  --dispose()--> cold   nothing of it runs any more
 */
import path from "node:path";
import { digestUpload } from "../protocol/digest.ts";
import type { AppSpec, DeploymentUpload, ShippedFile, VendorUpload } from "../protocol/spec.ts";
import { Bundler } from "./bundle.ts";
import { makeDependencies } from "./dependencies.ts";
import { Importer } from "./import-bundle.ts";
import { makeSpec } from "./manifest.ts";
import { forgetPackages } from "./packages.ts";
import { packagesStamp } from "./packages-stamp.ts";
import { PROJECT_FILE, readProjectFile } from "./project-file.ts";
import { completePython } from "./python/index.ts";
import { analyzeFiles } from "./schema/analyze.ts";
import { openProject, type Project } from "./schema/program.ts";
import { Shipper, ships } from "./ship.ts";

export class Builder implements AsyncDisposable {
  readonly #entry: string;
  readonly #bundler: Bundler;
  readonly #importer = new Importer();
  #project: Project | null = null;
  #packagesStamp = "";
  #bundled: string[] = [];
  readonly #shipper = new Shipper();
  /** Files that say what Python apps require. */
  #python: string[] = [];

  /** `splits` false: whatever of packages the app takes is in the bundle. */
  constructor(p: { entry: string; splits?: boolean }) {
    this.#entry = path.resolve(p.entry);
    this.#bundler = new Bundler({ splits: p.splits ?? true });
  }

  /** The project's own files that decide what the last build gave, absolute; also after one that failed, as far as it came. Some may not exist. */
  get inputs(): string[] {
    const bundled = this.#bundled.filter((file) => !file.includes(`${path.sep}node_modules${path.sep}`));
    const beside = path.join(path.dirname(this.#entry), PROJECT_FILE);
    const shipped = [...this.#python, ...this.#shipper.files];
    return [...new Set([this.#entry, beside, ...(this.#project?.watched ?? []), ...bundled, ...shipped])];
  }

  /** Folders in which a file that is new decides as well: those of the files that ship. Absolute. */
  get inputFolders(): string[] {
    return this.#shipper.folders;
  }

  /** The folder of the nearest package.json at or above the entry, else the entry's own. Known once a build has come so far. */
  get root(): string {
    return this.#project?.root ?? path.dirname(this.#entry);
  }

  /** See build(). One at a time. */
  async build(): Promise<DeploymentUpload> {
    const entry = this.#entry;
    this.#lookAtPackages();
    const { external, project } = readProjectFile(path.dirname(entry));
    const opened = openProject({ entry }, this.#project ?? undefined);
    this.#project = opened;
    const { root } = opened;
    const analysis = analyzeFiles(opened);
    const bundle = await this.#bundler.bundle({ entry, analysis, external, packagesStamp: this.#packagesStamp });
    const { vendor } = bundle;
    this.#bundled = bundle.files;
    const answer = await this.#importer.import({ bundle, root, project });
    const spec = makeSpec({ answer, analysis, entry: path.relative(root, entry) });
    this.#python = [];
    completePython(spec, path.dirname(entry), this.#python);
    const upload = {
      spec,
      bundle: bundle.code,
      sourceMap: bundle.map,
      ...(vendor === null ? {} : { vendor: vendorUpload(vendor) }),
      dependencies: makeDependencies(bundle.externals, root),
      files: this.#ship(spec),
    };
    return { ...upload, digest: digestUpload(upload) };
  }

  /** Starts what the next build can use at once. */
  prepare(): void {
    this.#importer.prepare(this.root);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#bundler.dispose(), this.#importer.dispose()]);
  }

  #ship(spec: AppSpec): ShippedFile[] {
    if (ships(spec)) return this.#shipper.ship(path.dirname(this.#entry));
    this.#shipper.clear();
    return [];
  }

  #lookAtPackages(): void {
    const stamp = packagesStamp(path.dirname(this.#entry));
    if (stamp === this.#packagesStamp) return;
    this.#packagesStamp = stamp;
    this.#project = null;
    forgetPackages();
  }
}

function vendorUpload({ sha256, code, map }: { sha256: string; code: string; map: string }): VendorUpload {
  return { sha256, content: { code, sourceMap: map } };
}
