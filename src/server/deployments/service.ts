/**
 * Deployments of this server. Their states are the store's:
 *
 *   building --create() activates--> live --a newer one is live--> superseded
 *   building --the trial fails-->    failed
 *
 * What is live is also kept in memory, where the hot path finds it; only create(), remove() and start() change that.
 */
import { existsSync, readdirSync, renameSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { AthanorError } from "../../protocol/errors.ts";
import { formatId } from "../../protocol/names.ts";
import type { DeploymentUpload } from "../../protocol/spec.ts";
import type { Log } from "../log.ts";
import type { DeploymentRecord, Store } from "../store/store.ts";
import { Dependencies } from "./dependencies.ts";
import { removeTemporaries, temporaryIn, writeDeployment } from "./files.ts";
import { loadDeployment } from "./load.ts";
import type { LoadedDeployment } from "./loaded.ts";
import { checkUpload } from "./upload.ts";
import { compileInThread } from "./validators.ts";

export interface Deployments {
  /** In memory, or loaded from disk. Throws deployment_not_found. */
  get(deployment: number): Promise<LoadedDeployment>;
  /** In memory only; what the hot path asks. */
  live(app: string): LoadedDeployment | undefined;
  /** The live deployment of every app. */
  listLive(): LoadedDeployment[];
}

export interface DeploymentServiceOptions {
  store: Store;
  /** `<data>` */
  dataDir: string;
  log: Log;
  env: NodeJS.ProcessEnv;
  /** Starts a replica of it, waits until it is ready and takes it away again. Throws what kept it from being ready. */
  trial(deployment: LoadedDeployment): Promise<void>;
  /** The live deployments are now these; `added` is new among them, `retired` no longer one. */
  onChange(p: { live: LoadedDeployment[]; added: LoadedDeployment | null; retired: LoadedDeployment | null }): void;
  /** A deployment did not pass its trial. */
  onFailed?(deployment: LoadedDeployment): void;
  now(): number;
}

export class DeploymentService implements Deployments {
  readonly #options: DeploymentServiceOptions;
  readonly #root: string;
  readonly #dependencies: Dependencies;
  readonly #loaded = new Map<number, LoadedDeployment>();
  /** The last step under way for each app, so that an app's deploys follow each other. */
  readonly #turns = new Map<string, Promise<unknown>>();
  #live: ReadonlyMap<string, LoadedDeployment> = new Map();

  constructor(options: DeploymentServiceOptions) {
    this.#options = options;
    this.#root = join(options.dataDir, "deployments");
    this.#dependencies = new Dependencies({
      root: join(options.dataDir, "dependencies"),
      log: options.log,
      env: options.env,
    });
  }

  /** Takes what is live from the store. Repeatable. */
  async start(): Promise<void> {
    await mkdir(this.#root, { recursive: true, mode: 0o700 });
    const [, , live] = await Promise.all([
      removeTemporaries(this.#root),
      this.#dependencies.start(),
      this.#options.store.deploymentListLive(),
    ]);
    this.#live = new Map(live.map((record) => [record.app, this.#load(record)]));
    for (const deployment of this.#live.values()) {
      if (!existsSync(deployment.bundlePath))
        this.#options.log.error(
          { deployment: deployment.id, dir: deployment.dir },
          "the files of a live deployment are gone; deploy the app again",
        );
    }
  }

  async stop(): Promise<void> {
    await this.#dependencies.stop();
    await Promise.allSettled(this.#turns.values());
    this.#live = new Map();
    this.#loaded.clear();
  }

  live(app: string): LoadedDeployment | undefined {
    return this.#live.get(app);
  }

  listLive(): LoadedDeployment[] {
    return [...this.#live.values()];
  }

  async get(deployment: number): Promise<LoadedDeployment> {
    const loaded = this.#loaded.get(deployment);
    if (loaded) return loaded;
    const record = await this.#options.store.deploymentGet({ deployment });
    if (!record)
      throw new AthanorError("deployment_not_found", `there is no deployment ${formatId("deployments", deployment)}`);
    return this.#load(record);
  }

  /** Checks an upload, writes its files, installs its dependencies, tries it, and makes it live; until then the one before stays live. */
  async create(upload: unknown): Promise<{ record: DeploymentRecord; unchanged: boolean }> {
    const checked = checkUpload(upload);
    return this.#inTurn(checked.spec.name, () => this.#create(checked));
  }

  /** Takes an app out, with its jobs. False where there is none. */
  async remove(app: string): Promise<boolean> {
    return this.#inTurn(app, async () => {
      const removed = await this.#options.store.appDelete({ app, now: this.#options.now() });
      if (removed) this.#swap(app, null);
      return removed;
    });
  }

  /** Deletes the files of deployments, and the dependencies, that nothing needs. Returns how many folders. */
  async prune(): Promise<number> {
    const needed = await this.#options.store.deploymentListNeeded();
    // What is being made is not in the store yet. Nothing below waits before the last folder is renamed.
    if (this.#turns.size > 0) return 0;
    const kept = new Set(needed.map((record) => record.digest));
    for (const [number, { digest }] of this.#loaded) if (!kept.has(digest)) this.#loaded.delete(number);
    const stale = readdirSync(this.#root).filter((digest) => /^[0-9a-f]{64}$/.test(digest) && !kept.has(digest));
    const removed = stale.map((digest) => {
      const temporary = temporaryIn(this.#root);
      renameSync(join(this.#root, digest), temporary);
      return temporary;
    });
    removed.push(...this.#dependencies.takeUnused([...kept].map((digest) => join(this.#root, digest))));
    for (const dir of removed) await rm(dir, { recursive: true, force: true });
    return removed.length;
  }

  async #create(upload: DeploymentUpload): Promise<{ record: DeploymentRecord; unchanged: boolean }> {
    const { store, log, now, trial } = this.#options;
    const { spec, digest } = upload;
    const before = this.#live.get(spec.name);
    if (before?.digest === digest && existsSync(before.bundlePath)) {
      const record = await store.deploymentGet({ deployment: before.number });
      if (record) return { record, unchanged: true };
    }
    await this.#writeFiles(upload);
    const building = await store.deploymentInsert({ app: spec.name, digest, spec, uploadBlob: null, now: now() });
    const deployment = this.#load(building);
    try {
      await trial(deployment);
    } catch (error) {
      this.#loaded.delete(deployment.number);
      const { code, message } = reasonOf(error);
      await store.deploymentFail({ deployment: deployment.number, error: { code, message }, now: now() });
      this.#options.onFailed?.(deployment);
      log.warn(
        { deployment: deployment.id, app: spec.name, code },
        "deployment failed its trial; the one before stays live",
      );
      throw error;
    }
    const record = await store.deploymentActivate({ deployment: deployment.number, schedules: [], now: now() });
    this.#swap(spec.name, deployment);
    log.info({ deployment: deployment.id, app: spec.name, functions: spec.functions.length }, "deployment is live");
    return { record, unchanged: false };
  }

  async #writeFiles(upload: DeploymentUpload): Promise<void> {
    const [nodeModules, validators] = await Promise.all([
      this.#dependencies.install(upload.dependencies),
      compileInThread(upload.spec),
    ]);
    await writeDeployment({ root: this.#root, upload, validators, nodeModules });
  }

  /** One assignment, so that a request sees either the old or the new. */
  #swap(app: string, added: LoadedDeployment | null): void {
    const retired = this.#live.get(app) ?? null;
    const live = new Map(this.#live);
    if (added) live.set(app, added);
    else live.delete(app);
    this.#live = live;
    this.#options.onChange({ live: [...live.values()], added, retired });
  }

  #load(record: DeploymentRecord): LoadedDeployment {
    let loaded = this.#loaded.get(record.deployment);
    if (!loaded) {
      loaded = loadDeployment(record, this.#root);
      this.#loaded.set(record.deployment, loaded);
    }
    return loaded;
  }

  async #inTurn<T>(app: string, step: () => Promise<T>): Promise<T> {
    const turn = (this.#turns.get(app) ?? Promise.resolve()).then(step, step);
    this.#turns.set(app, turn);
    try {
      return await turn;
    } finally {
      if (this.#turns.get(app) === turn) this.#turns.delete(app);
    }
  }
}

function reasonOf(error: unknown): { code: string; message: string } {
  if (error instanceof AthanorError) return { code: error.code, message: error.detail };
  return { code: "internal", message: (error as Error).message };
}
