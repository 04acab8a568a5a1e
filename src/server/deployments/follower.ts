/**
 * Keeps what this server serves in step with what its store has live, where other servers deploy and delete too, and a restored store has
 * deployments that were never on this disk. For each app:
 *
 *   behind --its turn comes; its folder and the replicas that take over are ready--> served
 *   behind --its folder can't be made, or its replicas do not start--> unavailable, and tried again; what was served before goes on
 *   served --a signal of the store--> behind
 *
 * A deployment is served only if it is still live when it is ready. So of deploys of one app on two servers at once, the one
 * that is activated last is served by both.
 */
import { AthanorError } from "../../protocol/errors.ts";
import { Alarm } from "../alarm.ts";
import type { Log } from "../log.ts";
import type { DeploymentRecord, Store } from "../store/store.ts";

const RETRY_MS = 5000;

export interface FollowerOptions {
  store: Pick<Store, "subscribe" | "deploymentListLive" | "deploymentGet">;
  log: Pick<Log, "error">;
  /** Runs the step once the app's earlier ones are over. */
  inTurn(app: string, step: () => Promise<void>): Promise<void>;
  /** The number of what is served, by app. */
  served(): ReadonlyMap<string, { number: number }>;
  /** Make its folder, and the replicas that take over from what is served. Throws deployment_unavailable, or why they do not start. */
  prepare(record: DeploymentRecord): Promise<void>;
  /** What was prepared, wholly or in part, is not to be served. */
  giveUp(record: DeploymentRecord): void;
  /** Serve this from now on. */
  serve(record: DeploymentRecord): void;
  /** The app is no more. */
  drop(app: string): void;
}

export class Follower {
  readonly #options: FollowerOptions;
  /** Live in the store, and not to be had here. */
  readonly #unavailable = new Map<string, AthanorError>();
  /** Apps that are being made ready. */
  readonly #coming = new Set<string>();
  /** Steps of apps that wait for their turn. */
  readonly #waiting = new Map<string, Promise<void>>();
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
    if (this.#unavailable.has(app) || !this.#coming.has(app)) return this.#unavailable.get(app);
    const detail = `${app} was deployed on another server, and is being made on this one.`;
    return new AthanorError("deployment_unavailable", detail, {
      hint: "Try again after the `Retry-After` seconds.",
      headers: { "retry-after": "1" },
    });
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

  /** Resolves once it is served, or known to be unavailable. */
  async follow(record: DeploymentRecord): Promise<void> {
    if (this.#running) await this.#follow(record.app, record);
  }

  async #follow(app: string, record: DeploymentRecord | undefined): Promise<void> {
    if (record !== undefined && this.#options.served().get(app)?.number === record.deployment) return;
    const waiting = this.#waiting.get(app) ?? this.#inTurn(app, record);
    this.#waiting.set(app, waiting);
    await waiting;
  }

  async #inTurn(app: string, record: DeploymentRecord | undefined): Promise<void> {
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
      if (await this.#isReadyAndLive(record)) {
        this.#unavailable.delete(app);
        this.#options.serve(record);
        return;
      }
    } catch (error) {
      this.#options.giveUp(record);
      throw error;
    }
    this.#options.giveUp(record);
    void this.sync();
  }

  async #isReadyAndLive(record: DeploymentRecord): Promise<boolean> {
    this.#coming.add(record.app);
    try {
      await this.#options.prepare(record);
    } catch (error) {
      if (error instanceof AthanorError) this.#unavailable.set(record.app, error);
      throw error;
    } finally {
      this.#coming.delete(record.app);
    }
    const now = await this.#options.store.deploymentGet({ deployment: record.deployment });
    return this.#running && now?.status === "live";
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
