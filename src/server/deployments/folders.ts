/**
 * The folders of deployments on this server's disk. Each can be made again from its upload, which the deploy keeps as a blob: on a server that
 * was not asked to deploy it, after a restore from a backup, or when the folder is gone for whatever reason.
 *
 *   absent --write(): an upload--> there      absent --ensure(): the upload's blob--> there      there --prune(): not needed--> absent
 */
import { readdirSync, renameSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { AthanorError } from "../../protocol/errors.ts";
import { formatId } from "../../protocol/names.ts";
import { type DeploymentUpload, VENDOR_FILE } from "../../protocol/spec.ts";
import type { Log } from "../log.ts";
import { COMPILE_CACHE_DIR } from "../replicas/deployment-folder.ts";
import type { DeploymentRecord } from "../store/store.ts";
import { Dependencies } from "./dependencies.ts";
import { type Installed, isWhole, removeTemporaries, temporaryIn, writeDeployment } from "./files.ts";
import { PythonEnvironments } from "./python/environments.ts";
import { checkUpload } from "./upload.ts";
import { ValidatorCompiler } from "./validators.ts";
import { Vendors } from "./vendors.ts";

export interface UploadBlobs {
  put(bytes: Uint8Array): Promise<string>;
  get(sha256: string): Promise<Uint8Array | null>;
}

export class DeploymentFolders {
  readonly root: string;
  readonly #dependencies: Dependencies;
  readonly #python: PythonEnvironments;
  readonly #vendors: Vendors;
  readonly #validators = new ValidatorCompiler();
  readonly #blobs: UploadBlobs;
  readonly #log: Log;
  /** Under way, by digest. */
  readonly #ensuring = new Map<string, Promise<void>>();

  constructor(p: { dataDir: string; blobs: UploadBlobs; log: Log; env: NodeJS.ProcessEnv }) {
    this.root = join(p.dataDir, "deployments");
    this.#dependencies = new Dependencies({ root: join(p.dataDir, "dependencies"), log: p.log, env: p.env });
    this.#python = new PythonEnvironments({ root: join(p.dataDir, "python"), log: p.log, env: p.env });
    this.#vendors = new Vendors({ root: join(p.dataDir, "vendors") });
    this.#blobs = p.blobs;
    this.#log = p.log;
  }

  async start(): Promise<void> {
    await mkdir(this.root, { recursive: true, mode: 0o700 });
    const parts = [this.#dependencies, this.#python, this.#vendors];
    await Promise.all([removeTemporaries(this.root), ...parts.map((part) => part.start())]);
  }

  async stop(): Promise<void> {
    await Promise.all([this.#dependencies.stop(), this.#python.stop(), this.#vendors.stop()]);
    await Promise.allSettled(this.#ensuring.values());
  }

  has(digest: string): boolean {
    return isWhole(join(this.root, digest));
  }

  /**
   * Resolves with the SHA-256 of the upload's blob. `before` is the folder of the app's live deployment. Throws what keeps the deployment from being run,
   * vendor_missing, storage_full.
   */
  async write(upload: DeploymentUpload, before: string | null): Promise<string> {
    const whole = await this.#vendors.complete(upload);
    const installed = await this.#install(whole, before);
    // Late, so that what takes long, as an installation does, lies before the deployment that names the blob is stored, not between.
    const [uploadBlob] = await Promise.all([
      this.#blobs.put(Buffer.from(JSON.stringify(whole))),
      writeDeployment({ root: this.root, upload: whole, ...installed }),
    ]);
    return uploadBlob;
  }

  /** Makes the folder where it is absent. Throws deployment_unavailable. */
  async ensure(record: DeploymentRecord): Promise<void> {
    const { digest } = record;
    if (this.has(digest)) return;
    let ensuring = this.#ensuring.get(digest);
    if (ensuring === undefined) {
      ensuring = this.#restore(record).finally(() => this.#ensuring.delete(digest));
      this.#ensuring.set(digest, ensuring);
    }
    await ensuring;
  }

  /** Removes the folders, and what they link to, of all but these deployments, unless one is just being made. Returns how many. */
  async prune(kept: ReadonlySet<string>): Promise<number> {
    if (this.#ensuring.size > 0) return 0;
    // Nothing here waits before the last folder is renamed.
    const stale = readdirSync(this.root).filter((digest) => /^[0-9a-f]{64}$/.test(digest) && !kept.has(digest));
    const removed = stale.map((digest) => {
      const temporary = temporaryIn(this.root);
      renameSync(join(this.root, digest), temporary);
      return temporary;
    });
    const left = [...kept].map((digest) => join(this.root, digest));
    removed.push(...this.#dependencies.takeUnused(left), ...this.#python.takeUnused(left));
    removed.push(...this.#vendors.takeUnused(left));
    for (const dir of removed) await rm(dir, { recursive: true, force: true });
    return removed.length;
  }

  async #restore(record: DeploymentRecord): Promise<void> {
    const id = formatId("deployments", record.deployment);
    const bytes = record.uploadBlob === null ? null : await this.#blobs.get(record.uploadBlob);
    if (bytes === null)
      throw new AthanorError("deployment_unavailable", `${id} of ${record.app} is not on this server, nor its upload.`);
    try {
      const upload = checkUpload(JSON.parse(Buffer.from(bytes).toString()));
      await writeDeployment({ root: this.root, upload, ...(await this.#install(upload, null)) });
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new AthanorError("deployment_unavailable", `${id} of ${record.app} cannot be made here again: ${why}`, {
        cause: error,
        hint: "See the server's log; it tries again by itself.",
      });
    }
    this.#log.info({ deployment: id, app: record.app }, "deployment made from its upload");
  }

  /** What lies beside its own files. */
  async #install(upload: DeploymentUpload, before: string | null): Promise<Installed> {
    const [nodeModules, validators, links] = await Promise.all([
      this.#dependencies.install(upload.dependencies),
      this.#validators.compile(upload.spec),
      this.#python.install(upload.spec),
    ]);
    if (nodeModules !== null) links.set("node_modules", nodeModules);
    const vendor = await this.#vendors.install(upload, nodeModules);
    if (vendor !== null) {
      links.set(VENDOR_FILE, join(vendor, VENDOR_FILE));
      if (before !== null) await this.#vendors.keepCompiled(vendor, before);
    }
    const compiled = vendor === null ? null : join(vendor, COMPILE_CACHE_DIR);
    return { validators, links, compiled };
  }
}
