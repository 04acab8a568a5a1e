import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { VENDOR_FILE } from "../protocol/spec.ts";
import type { Bundle } from "./bundle.ts";

const BUNDLE_FILE = "bundle.mjs";

/**
 * Bundles as files that can be imported, each in a folder of its own below a temporary one. The vendor file of the newest stays where it is while it is
 * the same, and what Node has compiled of it with it.
 *
 *   empty --layOut()--> holds files --dispose()--> empty
 */
export class LaidOut implements AsyncDisposable {
  #root: Promise<string> | null = null;
  #vendor: { key: string; dir: string } | null = null;
  #number = 0;

  /** Folder and file of the bundle; remove() the folder after its use. */
  async layOut(bundle: Bundle): Promise<{ dir: string; bundlePath: string; compileCacheDir: string | null }> {
    // Real, since the stack names real paths.
    this.#root ??= mkdtemp(path.join(tmpdir(), "athanor-build-")).then((dir) => realpath(dir));
    const dir = path.join(await this.#root, String(++this.#number));
    await mkdir(dir);
    const bundlePath = path.join(dir, BUNDLE_FILE);
    const vendorDir = await this.#layOutVendor(await this.#root, bundle);
    await Promise.all([
      writeFile(bundlePath, `${bundle.code}\n//# sourceMappingURL=${BUNDLE_FILE}.map\n`),
      writeFile(`${bundlePath}.map`, bundle.map),
      linkPackages(dir, bundle),
      vendorDir === null ? null : symlink(path.join(vendorDir, VENDOR_FILE), path.join(dir, VENDOR_FILE)),
    ]);
    return { dir, bundlePath, compileCacheDir: vendorDir === null ? null : path.join(vendorDir, "compiled") };
  }

  async remove(dir: string): Promise<void> {
    await rm(dir, { recursive: true, force: true });
  }

  async dispose(): Promise<void> {
    const root = this.#root;
    this.#root = null;
    this.#vendor = null;
    if (root !== null) await this.remove(await root);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  async #layOutVendor(root: string, bundle: Bundle): Promise<string | null> {
    const { vendor, externals } = bundle;
    if (vendor === null) return null;
    const key = JSON.stringify([vendor.sha256, ...[...externals.values()].map(({ dir }) => dir)]);
    if (this.#vendor?.key === key) return this.#vendor.dir;
    if (this.#vendor !== null) await this.remove(this.#vendor.dir);
    const dir = path.join(root, `vendor-${++this.#number}`);
    await mkdir(dir);
    // Without its source map, which Node would read at each import: what a failure shows are places in the project's own files.
    await Promise.all([writeFile(path.join(dir, VENDOR_FILE), vendor.code), linkPackages(dir, bundle)]);
    this.#vendor = { key, dir };
    return dir;
  }
}

async function linkPackages(dir: string, { externals }: Bundle): Promise<void> {
  const linking = [...externals].map(async ([name, found]) => {
    const link = path.join(dir, "node_modules", name);
    await mkdir(path.dirname(link), { recursive: true });
    await symlink(found.dir, link, "junction");
  });
  await Promise.all(linking);
}
