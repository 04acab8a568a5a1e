/**
 * Keeps what this server serves in step with what its store has live, where other servers deploy and delete too, and a restored store has
 * deployments that were never on this disk. For each app:
 *
 *   behind --its turn comes, and its folder is there or could be made--> served
 *   behind --its folder can't be made--> unavailable, and tried again; what was served before goes on
 *   served --a signal of the store--> behind
 *
 * A deployment is served only if it is still live when its folder is ready. So of deploys of one app on two servers at once, the one
 * that is activated last is served by both.
 */
import { AthanorError } from "../../protocol/errors.ts";
import { Alarm } from "../alarm.ts";
import type { Log } from "../log.ts";
import type { DeploymentRecord, Store } from "../store/store.ts";
import type { DeploymentFolders } from "./folders.ts";

const RETRY_MS = 5000;

export interface FollowerOptions {
  store: Pick<Store, "subscribe" | "deploymentListLive" | "deploymentGet">;
  folders: Pick<DeploymentFolders, "ensure">;
  log: Pick<Log, "error">;
  /** Runs the step once the app's earlier ones are over. */
  inTurn(app: string, step: () => Promise<void>): Promise<void>;
  /** The number of what is served, by app. */
  served(): ReadonlyMap<string, { number: number }>;
  /** Serve this from now on. */
  serve(record: DeploymentRecord): void;
  /** The app is no more. */
  drop(app: string): void;
}

export class Follower {
  readonly #options: FollowerOptions;
  /** Live in the store, and not to be had here. */
  readonly #unavailable = new Map<string, AthanorError>();
  /** Apps that wait for their turn already. */
  readonly #waiting = new Set<string>();
  readonly #retry = new Alarm({ now: Date.now, ring: () => void this.sync() });
  #unsubscribe: (() => void) | null = null;
  #running = false;

  constructor(options: FollowerOptions) {
    this.#options = options;
  }

  /** Resolves once all that is live is served, or known to be unavailable. Rejects where the store can't be read. */
  async start(): Promise<void> {
    this.#running = true;
    this.#unsubscribe = this.#options.store.subscribe(({ type }) => {
      if (type === "deployments" || type === "missed") void this.sync();
    });
    await Promise.all(await this.#begin());
  }

  stop(): void {
    this.#running = false;
    this.#unsubscribe?.();
    this.#retry.clear();
  }

  /** Why the app is not served, where the store has it. */
  whyUnavailable(app: string): AthanorError | undefined {
    return this.#unavailable.get(app);
  }

  /** The store may have changed. An app whose turn is long in coming, as while its dependencies are installed, holds up no other. Never rejects. */
  async sync(): Promise<void> {
    if (!this.#running) return;
    try {
      await this.#begin();
    } catch (error) {
      this.#options.log.error({ err: error }, "what is live could not be read; tried again");
      this.#retrySoon();
    }
  }

  /** The steps that were begun, none of which rejects. */
  async #begin(): Promise<Promise<void>[]> {
    const records = await this.#options.store.deploymentListLive();
    const live = new Map(records.map((record) => [record.app, record]));
    const apps = new Set([...live.keys(), ...this.#options.served().keys(), ...this.#unavailable.keys()]);
    return [...apps].map((app) => this.#follow(app, live.get(app)));
  }

  async #follow(app: string, record: DeploymentRecord | undefined): Promise<void> {
    if (record !== undefined && this.#options.served().get(app)?.number === record.deployment) return;
    if (this.#waiting.has(app)) return;
    this.#waiting.add(app);
    try {
      await this.#options.inTurn(app, async () => {
        // What changes from here on is seen by the step that it begins.
        this.#waiting.delete(app);
        if (this.#running) await (record === undefined ? this.#dropIfGone(app) : this.#serve(record));
      });
    } catch (error) {
      this.#options.log.error({ app, err: error }, "what is live could not be served; tried again");
      this.#retrySoon();
    }
  }

  async #serve(record: DeploymentRecord): Promise<void> {
    const { app, deployment } = record;
    if (this.#options.served().get(app)?.number === deployment) return;
    try {
      await this.#options.folders.ensure(record);
    } catch (error) {
      if (error instanceof AthanorError) this.#unavailable.set(app, error);
      throw error;
    }
    const now = await this.#options.store.deploymentGet({ deployment });
    if (!this.#running) return;
    if (now?.status !== "live") return void this.sync();
    this.#unavailable.delete(app);
    this.#options.serve(record);
  }

  async #dropIfGone(app: string): Promise<void> {
    this.#unavailable.delete(app);
    const served = this.#options.served().get(app);
    if (served === undefined) return;
    const now = await this.#options.store.deploymentGet({ deployment: served.number });
    if (!this.#running) return;
    // Where there is one, the app was deployed here after the store was read.
    if (now === null) this.#options.drop(app);
    else if (now.status !== "live") void this.sync();
  }

  #retrySoon(): void {
    if (this.#running) this.#retry.at(Date.now() + RETRY_MS);
  }
}
