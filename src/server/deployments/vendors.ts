/**
 * Vendor files of deployments, in `<root>/<hash>`: `vendor.mjs`, its source map, a link to the packages that it needs beside it, and what Node has compiled of
 * it, once that is known. All deployments of one app that have the same link to it; two apps never share a folder.
 */
import { createHash } from "node:crypto";
import { existsSync, readlinkSync } from "node:fs";
import { cp, mkdir, readdir, readFile, rename, rm, symlink } from "node:fs/promises";
import { basename, dirname, join, relative } from "node:path";
import { digestVendor } from "../../protocol/digest.ts";
import { AthanorError } from "../../protocol/errors.ts";
import { type DeploymentUpload, VENDOR_FILE, type VendorContent } from "../../protocol/spec.ts";
import { COMPILE_CACHE_DIR } from "../replicas/deployment-folder.ts";
import { temporaryIn, writeDurably } from "./files.ts";
import { Installations } from "./installations.ts";

export class Vendors {
  readonly #root: string;
  readonly #installations: Installations;

  constructor(p: { root: string }) {
    this.#root = p.root;
    this.#installations = new Installations(p.root);
  }

  async start(): Promise<void> {
    await this.#installations.start();
  }

  async stop(): Promise<void> {
    await this.#installations.stop();
  }

  /** The upload with the content of its vendor, which may be in the folder alone. Throws vendor_missing. */
  async complete(upload: DeploymentUpload): Promise<DeploymentUpload> {
    const { vendor } = upload;
    if (vendor === undefined || vendor.content !== null) return upload;
    const content = await this.#read(this.#dirOf(upload));
    if (content === null || digestVendor(content) !== vendor.sha256)
      throw new AthanorError("vendor_missing", `the vendor file ${vendor.sha256} of ${upload.spec.name} is not here`);
    return { ...upload, vendor: { ...vendor, content } };
  }

  /** The folder of its vendor; null where it has none. `nodeModules` has the packages that are not in it. Throws storage_full. */
  async install(upload: DeploymentUpload, nodeModules: string | null): Promise<string | null> {
    const content = upload.vendor?.content;
    if (!content) return null;
    const dir = this.#dirOf(upload);
    await this.#installations.make(basename(dir), async (temporary) => {
      await writeDurably(join(temporary, VENDOR_FILE), content.code);
      await writeDurably(join(temporary, `${VENDOR_FILE}.map`), content.sourceMap);
      if (nodeModules !== null) await symlink(relative(dir, nodeModules), join(temporary, "node_modules"), "dir");
    });
    return dir;
  }

  /**
   * What Node has compiled for a deployment that links to the folder is kept for those that come, once for each version of Node: it holds little else, so
   * that it does not grow from one deployment to the next.
   */
  async keepCompiled(dir: string, deployment: string): Promise<void> {
    if (vendorOf(deployment) !== basename(dir)) return;
    const kept = join(dir, COMPILE_CACHE_DIR);
    const made = join(deployment, COMPILE_CACHE_DIR);
    const temporary = temporaryIn(dir);
    try {
      // Node has a folder for each of its versions.
      for (const version of existsSync(made) ? await readdir(made) : []) {
        if (existsSync(join(kept, version))) continue;
        await cp(join(made, version), temporary, { recursive: true });
        await mkdir(kept, { recursive: true, mode: 0o700 });
        await rename(temporary, join(kept, version));
      }
    } catch {
      // It only saves time. Another deploy may have been first, or the replica may be writing.
      await rm(temporary, { recursive: true, force: true });
    }
  }

  /** Moves aside what none of these deployments links to, and returns where to; the caller deletes it. Call while nothing is being deployed. */
  takeUnused(deployments: string[]): string[] {
    return this.#installations.takeUnused(new Set(deployments.map(vendorOf)));
  }

  #dirOf({ spec, vendor, dependencies }: DeploymentUpload): string {
    const parts = [spec.name, vendor?.sha256, dependencies];
    return join(this.#root, createHash("sha256").update(JSON.stringify(parts)).digest("hex"));
  }

  async #read(dir: string): Promise<VendorContent | null> {
    try {
      const file = join(dir, VENDOR_FILE);
      const [code, sourceMap] = await Promise.all([readFile(file, "utf8"), readFile(`${file}.map`, "utf8")]);
      return { code, sourceMap };
    } catch {
      return null;
    }
  }
}

/** The hash in a deployment's link to its vendor file; null where it has none. */
function vendorOf(deployment: string): string | null {
  try {
    return basename(dirname(readlinkSync(join(deployment, VENDOR_FILE))));
  } catch {
    return null;
  }
}
