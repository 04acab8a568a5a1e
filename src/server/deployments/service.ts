/**
 * Deployments of this server. Their states are the store's:
 *
 *   building --create() activates--> live --a newer one is live--> superseded
 *   building --the trial fails-->    failed
 *
 * What is live is also kept in memory, where the hot path finds it; create(), remove() and the follower change that, in turns for each app.
 */
import { AthanorError } from "../../protocol/errors.ts";
import { formatId } from "../../protocol/names.ts";
import type { DeploymentUpload } from "../../protocol/spec.ts";
import type { Log } from "../log.ts";
import { checkScheduled } from "../schedules/check.ts";
import { newSchedules } from "../schedules/decide.ts";
import type { DeploymentRecord, Store } from "../store/store.ts";
import { DeploymentFolders, type UploadBlobs } from "./folders.ts";
import { Follower } from "./follower.ts";
import { loadDeployment } from "./load.ts";
import type { LoadedDeployment } from "./loaded.ts";
import { checkUpload } from "./upload.ts";

/** The files of a deployment that was asked for may be needed soon, though nothing in the store says so yet. */
const KEEP_MS = 10 * 60_000;

export interface Deployments {
  /** In memory, or on disk, or made from its upload. Throws deployment_not_found, deployment_unavailable. */
  get(deployment: number): Promise<LoadedDeployment>;
  /** In memory only; what the hot path asks. */
  live(app: string): LoadedDeployment | undefined;
  /** Why there is no live one: app_not_found, or deployment_unavailable where its files can't be had. */
  absence(app: string): AthanorError;
  /** The live deployment of every app. */
  listLive(): LoadedDeployment[];
}

export interface DeploymentServiceOptions {
  store: Store;
  /** Where the uploads are kept. */
  blobs: UploadBlobs;
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
  readonly #folders: DeploymentFolders;
  readonly #loaded = new Map<number, LoadedDeployment>();
  /** The last step under way for each app, so that an app's deploys follow each other. */
  readonly #turns = new Map<string, Promise<unknown>>();
  #live: ReadonlyMap<string, LoadedDeployment> = new Map();
  /** When each digest was last asked for. */
  readonly #asked = new Map<string, number>();
  readonly #follower: Follower;
  #started = false;

  constructor(options: DeploymentServiceOptions) {
    this.#options = options;
    this.#folders = new DeploymentFolders(options);
    this.#follower = new Follower({
      store: options.store,
      folders: this.#folders,
      log: options.log,
      inTurn: (app, step) => this.#inTurn(app, step),
      served: () => this.#live,
      serve: (record) => this.#swap(record.app, this.#load(record)),
      drop: (app) => this.#swap(app, null),
    });
  }

  /** Takes what is live from the store, and makes the folders that are missing. Repeatable. */
  async start(): Promise<void> {
    if (this.#started) return;
    this.#started = true;
    await this.#folders.start();
    await this.#follower.start();
  }

  async stop(): Promise<void> {
    this.#started = false;
    this.#follower.stop();
    await this.#folders.stop();
    await Promise.allSettled(this.#turns.values());
    this.#live = new Map();
    this.#loaded.clear();
  }

  live(app: string): LoadedDeployment | undefined {
    return this.#live.get(app);
  }

  absence(app: string): AthanorError {
    const name = JSON.stringify(app.slice(0, 100));
    return this.#follower.whyUnavailable(app) ?? new AthanorError("app_not_found", `there is no app ${name}`);
  }

  listLive(): LoadedDeployment[] {
    return [...this.#live.values()];
  }

  async get(deployment: number): Promise<LoadedDeployment> {
    const loaded = this.#loaded.get(deployment);
    if (loaded) {
      this.#asked.set(loaded.digest, Date.now());
      return loaded;
    }
    const record = await this.#options.store.deploymentGet({ deployment });
    if (!record)
      throw new AthanorError("deployment_not_found", `there is no deployment ${formatId("deployments", deployment)}`);
    this.#asked.set(record.digest, Date.now());
    await this.#folders.ensure(record);
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
    // What is being made is not in the store yet.
    if (this.#turns.size > 0) return 0;
    const kept = new Set(needed.map((record) => record.digest));
    for (const [digest, at] of this.#asked) {
      if (at > Date.now() - KEEP_MS) kept.add(digest);
      else this.#asked.delete(digest);
    }
    for (const [number, { digest }] of this.#loaded) if (!kept.has(digest)) this.#loaded.delete(number);
    return await this.#folders.prune(kept);
  }

  async #create(upload: DeploymentUpload): Promise<{ record: DeploymentRecord; unchanged: boolean }> {
    const { store, log, now, trial } = this.#options;
    const { spec, digest } = upload;
    const before = this.#live.get(spec.name);
    if (before?.digest === digest && this.#folders.has(digest)) {
      const record = await store.deploymentGet({ deployment: before.number });
      // Another server may have deployed something else since.
      if (record?.status === "live") return { record, unchanged: true };
    }
    const uploadBlob = await this.#folders.write(upload);
    const building = await store.deploymentInsert({ app: spec.name, digest, spec, uploadBlob, now: now() });
    const deployment = this.#load(building);
    try {
      checkScheduled(deployment);
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
    const at = now();
    const schedules = newSchedules(spec.functions, at);
    const record = await store.deploymentActivate({ deployment: deployment.number, schedules, now: at });
    this.#swap(spec.name, deployment);
    log.info({ deployment: deployment.id, app: spec.name, functions: spec.functions.length }, "deployment is live");
    return { record, unchanged: false };
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
      loaded = loadDeployment(record, this.#folders.root);
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
