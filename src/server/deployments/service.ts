/**
 * Deployments of this server. Their states are the store's:
 *
 *   building   --create() activates-->   live         superseded --rollBack() activates--> live
 *   live       --another is live-->      superseded
 *   building   --it does not get ready--> failed      what was live stays so
 *
 * What is live is also kept in memory, where the hot path finds it; create(), rollBack(), remove() and the follower change that, in turns for each
 * app. Each makes the replicas that take over ready first (rollout.ts), so that the switch is one assignment between ready replicas.
 */
import { DEPLOY_DEFAULTS } from "../../protocol/defaults.ts";
import { AthanorError } from "../../protocol/errors.ts";
import { formatId, NAME_PATTERN } from "../../protocol/names.ts";
import type { DeploymentUpload } from "../../protocol/spec.ts";
import type { DeployPhaseJson } from "../../protocol/wire.ts";
import type { Log } from "../log.ts";
import { checkScheduled } from "../schedules/check.ts";
import { newSchedules } from "../schedules/decide.ts";
import type { DeploymentRecord, Store } from "../store/store.ts";
import { DeploymentFolders, type UploadBlobs } from "./folders.ts";
import { Follower } from "./follower.ts";
import { KeptDeployments } from "./kept.ts";
import { loadDeployment } from "./load.ts";
import type { LoadedDeployment } from "./loaded.ts";
import { Misses } from "./misses.ts";
import { Phases } from "./phases.ts";
import { earlierThanLive, refuseRollback } from "./rollback.ts";
import { Rollout, type RolloutOptions } from "./rollout.ts";
import { Turns, within } from "./turns.ts";
import { checkUpload } from "./upload.ts";

/** Deployments whose phases are remembered. */
const MAX_PHASES = 500;

export interface Deployments {
  /** In memory, or on disk, or made from its upload. Throws deployment_not_found, deployment_unavailable. */
  get(deployment: number): Promise<LoadedDeployment>;
  /** In memory only; what the hot path asks. */
  live(app: string): LoadedDeployment | undefined;
  /** As `live`; where that has none, also what was deployed on another server a moment ago. Throws store_unreachable. */
  find(app: string): Promise<LoadedDeployment | undefined>;
  /** Why there is no live one: app_not_found, or deployment_unavailable where its files can't be had. */
  absence(app: string): AthanorError;
  /** The live deployment of every app. */
  listLive(): LoadedDeployment[];
}

export interface DeploymentServiceOptions extends RolloutOptions {
  store: Store;
  /** Where the uploads are kept. */
  blobs: UploadBlobs;
  /** `<data>` */
  dataDir: string;
  log: Log;
  env: NodeJS.ProcessEnv;
  /** The function whose replicas are debugged; see loadDeployment. */
  inspect?: string | null;
  /** The live deployments are now these; `added` is new among them, `retired` no longer one. */
  onChange(p: { live: LoadedDeployment[]; added: LoadedDeployment | null; retired: LoadedDeployment | null }): void;
  /** Deployments that have replicas, or calls that wait for one. */
  inUse(): Iterable<number>;
  now(): number;
}

export interface Deployed {
  record: DeploymentRecord;
  /** It was live already. */
  unchanged: boolean;
}

export class DeploymentService implements Deployments {
  readonly #options: DeploymentServiceOptions;
  readonly #folders: DeploymentFolders;
  readonly #rollout: Rollout;
  readonly #kept: KeptDeployments;
  readonly #turns = new Turns();
  #live: ReadonlyMap<string, LoadedDeployment> = new Map();
  readonly #phases = new Map<number, readonly DeployPhaseJson[]>();
  readonly #follower: Follower;
  readonly #misses: Misses<DeploymentRecord>;
  #started = false;

  constructor(options: DeploymentServiceOptions) {
    const { store, log } = options;
    this.#options = options;
    this.#folders = new DeploymentFolders(options);
    this.#kept = new KeptDeployments((record) => loadDeployment(record, this.#folders.root, options.inspect ?? null));
    this.#rollout = new Rollout(options);
    this.#follower = new Follower({
      store,
      log,
      inTurn: (app, step) => this.#turns.take(app, step),
      served: () => this.#live,
      prepare: (record) => this.#prepareToFollow(record),
      giveUp: (record) => this.#rollout.giveUp(this.#kept.load(record)),
      serve: (record) => this.#swap(record.app, this.#kept.load(record)),
      drop: (app) => this.#swap(app, null),
    });
    this.#misses = new Misses({
      ask: (apps) => store.deploymentListLive({ apps }),
      nameOf: ({ app }) => app,
      gapMs: DEPLOY_DEFAULTS.missGapMs,
      maxWaiting: DEPLOY_DEFAULTS.maxMisses,
    });
  }

  /** Takes what is live from the store, and makes the folders that are missing. Repeatable. */
  async start(): Promise<void> {
    if (this.#started) return;
    this.#started = true;
    this.#rollout.start();
    await this.#folders.start();
    await this.#follower.start();
  }

  /** Gives up what is being made ready: whoever deploys is told so. */
  beginStop(): void {
    this.#follower.stop();
    this.#rollout.stop();
  }

  async stop(): Promise<void> {
    this.#started = false;
    this.beginStop();
    await this.#folders.stop();
    await this.#turns.over();
    this.#live = new Map();
    this.#kept.clear();
  }

  live(app: string): LoadedDeployment | undefined {
    return this.#live.get(app);
  }

  async find(app: string): Promise<LoadedDeployment | undefined> {
    const live = this.#live.get(app);
    if (live !== undefined || !this.#options.store.shared || !NAME_PATTERN.test(app)) return live;
    const record = await this.#misses.look(app);
    if (record === null) return undefined;
    // It may take minutes to install its packages; whoever asks is told so.
    await within(this.#follower.follow(record), DEPLOY_DEFAULTS.missPatienceMs);
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
    const loaded = this.#kept.get(deployment);
    if (loaded) {
      this.#kept.ask(loaded);
      return loaded;
    }
    const record = await this.#options.store.deploymentGet({ deployment });
    if (!record)
      throw new AthanorError("deployment_not_found", `there is no deployment ${formatId("deployments", deployment)}`);
    this.#kept.ask(record);
    await this.#folders.ensure(record);
    return this.#kept.load(record);
  }

  /** How long the phases of its deploy took; empty where this server did not make it live, or has restarted since. */
  phasesOf(deployment: number): readonly DeployPhaseJson[] {
    return this.#phases.get(deployment) ?? [];
  }

  /**
   * Checks an upload, writes its files, installs its dependencies, makes its replicas ready, and makes it live; until then the one before stays live.
   * With `force` also where the live one has this very code: its replicas begin anew.
   */
  async create(upload: unknown, phases = new Phases(), force = false): Promise<Deployed> {
    const checked = checkUpload(upload);
    return this.#turns.take(checked.spec.name, () => this.#create(checked, phases, force));
  }

  /** Makes a deployment live again that was so before, with its schedules. Throws rollback_impossible, and whatever keeps it from being ready. */
  async rollBack(deployment: number): Promise<Deployed> {
    const { store } = this.#options;
    const asked = await store.deploymentGet({ deployment });
    if (asked === null)
      throw new AthanorError("deployment_not_found", `there is no deployment ${formatId("deployments", deployment)}`);
    return this.#turns.take(asked.app, async () => this.#rollBackTo(await store.deploymentGet({ deployment })));
  }

  /** As rollBack, to the one before the live one. Throws app_not_found too. */
  async rollBackApp(app: string): Promise<Deployed> {
    return this.#turns.take(app, async () => this.#rollBackTo(await earlierThanLive(this.#options.store, app)));
  }

  /** Takes an app out, with its jobs. False where there is none. */
  async remove(app: string): Promise<boolean> {
    return this.#turns.take(app, async () => {
      const removed = await this.#options.store.appDelete({ app, now: this.#options.now() });
      if (removed) this.#swap(app, null);
      return removed;
    });
  }

  /** Deletes the files of deployments, and the dependencies, that nothing needs. Returns how many folders. */
  async prune(): Promise<number> {
    const needed = await this.#options.store.deploymentListNeeded();
    // What is being made is not in the store yet.
    if (this.#turns.areTaken) return 0;
    return await this.#folders.prune(this.#kept.prune(needed, this.#options.inUse()));
  }

  async #create(upload: DeploymentUpload, phases: Phases, force: boolean): Promise<Deployed> {
    const { store, now } = this.#options;
    const { spec, digest } = upload;
    const before = this.#live.get(spec.name);
    if (!force && before?.digest === digest && this.#folders.has(digest)) {
      const record = await store.deploymentGet({ deployment: before.number });
      // Another server may have deployed something else since.
      if (record?.status === "live") return { record, unchanged: true };
    }
    const uploadBlob = await phases.time("install", () => this.#folders.write(upload, before?.dir ?? null));
    const building = await store.deploymentInsert({ app: spec.name, digest, spec, uploadBlob, now: now() });
    const deployment = this.#kept.load(building);
    this.#remember(deployment.number, phases);
    try {
      return { record: await this.#makeLive(deployment, phases), unchanged: false };
    } catch (error) {
      this.#kept.drop(deployment.number);
      const { why, told } = await this.#rollout.failed(deployment, error);
      await store.deploymentFail({ deployment: deployment.number, error: why, now: now() }).catch((fault: unknown) => {
        this.#options.log.error({ deployment: deployment.id, err: fault }, "that it failed could not be stored");
        // It may be live all the same, if what was lost is only the store's answer.
        void this.#follower.sync();
      });
      throw told;
    }
  }

  async #rollBackTo(record: DeploymentRecord | null): Promise<Deployed> {
    if (record?.status === "live") {
      if (this.#live.get(record.app)?.number !== record.deployment) void this.#follower.sync();
      return { record, unchanged: true };
    }
    const target = refuseRollback(record, (digest) => this.#folders.has(digest));
    const phases = new Phases();
    await phases.time("install", () => this.#folders.ensure(target));
    const deployment = this.#kept.load(target);
    this.#remember(deployment.number, phases);
    try {
      return { record: await this.#makeLive(deployment, phases), unchanged: false };
    } catch (error) {
      throw (await this.#rollout.failed(deployment, error)).told;
    }
  }

  async #makeLive(deployment: LoadedDeployment, phases: Phases): Promise<DeploymentRecord> {
    const { store, now } = this.#options;
    const { app, number, spec } = deployment;
    checkScheduled(deployment);
    return await this.#rollout.run(deployment, phases, async () => {
      const at = now();
      const schedules = newSchedules(spec.functions, at);
      const record = await store.deploymentActivate({ deployment: number, schedules, now: at });
      this.#swap(app, deployment);
      return record;
    });
  }

  /** At the start of the server nothing is served yet that could go on meanwhile. */
  async #prepareToFollow(record: DeploymentRecord): Promise<void> {
    await this.#folders.ensure(record);
    if (this.#live.has(record.app)) await this.#rollout.prepare(this.#kept.load(record), new Phases());
  }

  /** One assignment, so that a request sees either the old or the new. */
  #swap(app: string, added: LoadedDeployment | null): void {
    const retired = this.#live.get(app) ?? null;
    const live = new Map(this.#live);
    if (added) live.set(app, added);
    else live.delete(app);
    this.#live = live;
    this.#kept.switched(app, retired, added);
    this.#options.onChange({ live: [...live.values()], added, retired });
  }

  #remember(deployment: number, { ended }: Phases): void {
    this.#phases.set(deployment, ended);
    if (this.#phases.size > MAX_PHASES) this.#phases.delete(this.#phases.keys().next().value as number);
  }
}
