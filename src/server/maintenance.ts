/**
 * What is cleared away in the background, every pruneIntervalMs, in small steps that let requests in between:
 * jobs past their ttl, uploads of old deployments and blobs that nothing needs, by the server that leads; files of deployments that nothing needs, by each server.
 *
 *   stopped --start()--> waiting --interval--> pruning --> waiting;  stop() ends it after the step at hand
 */
import { DEPLOY_DEFAULTS, SERVER_DEFAULTS } from "../protocol/defaults.ts";
import type { Blobs } from "./blobs/blobs.ts";
import type { ReplicaLogs } from "./deployments/logs.ts";
import type { DeploymentService } from "./deployments/service.ts";
import type { Log } from "./log.ts";
import type { Store } from "./store/store.ts";

const JOBS_PER_STEP = 200;
/** A blob is written before the job that names it is stored. */
const BLOB_MIN_AGE_MS = 10 * 60_000;

export interface MaintenanceOptions {
  store: Store;
  blobs: Pick<Blobs, "sweep">;
  deployments: Pick<DeploymentService, "prune">;
  logs: Pick<ReplicaLogs, "prune">;
  /** Whether this server clears away what all servers of the store have in common. */
  lease: { readonly leads: boolean };
  log: Pick<Log, "error">;
  /** Default SERVER_DEFAULTS.pruneIntervalMs. */
  intervalMs?: number;
}

export class Maintenance {
  readonly #options: MaintenanceOptions;
  readonly #intervalMs: number;
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<void> = Promise.resolve();
  #stopped = true;

  constructor(options: MaintenanceOptions) {
    this.#options = options;
    this.#intervalMs = options.intervalMs ?? SERVER_DEFAULTS.pruneIntervalMs;
  }

  /** Repeatable. */
  start(): void {
    if (!this.#stopped) return;
    this.#stopped = false;
    this.#wait();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#timer) clearTimeout(this.#timer);
    await this.#running;
  }

  /** One round; a step that fails is logged, and tried again in the next. */
  async prune(): Promise<void> {
    const { store, deployments, logs, lease } = this.#options;
    if (lease.leads) await this.#pruneShared();
    await this.#step("deployments", () => deployments.prune());
    await this.#step("logs", async () => {
      const kept = new Set<number>();
      for (let before: number | undefined; ; ) {
        const page = await store.deploymentList({ limit: 500, ...(before === undefined ? {} : { before }) });
        for (const { deployment } of page) kept.add(deployment);
        before = page.at(-1)?.deployment;
        if (before === undefined) break;
      }
      await logs.prune((deployment) => kept.has(deployment));
    });
  }

  /** What all servers have in common. */
  async #pruneShared(): Promise<void> {
    const { store, blobs } = this.#options;
    await this.#step("jobs", async () => {
      let pruned = JOBS_PER_STEP;
      while (pruned === JOBS_PER_STEP && !this.#stopped)
        pruned = await store.jobPrune({ now: store.clock(), limit: JOBS_PER_STEP });
    });
    await this.#step("uploads", () => store.deploymentPrune({ keep: DEPLOY_DEFAULTS.keptDeployments }));
    await this.#step("blobs", () =>
      blobs.sweep({
        unreferenced: (hashes) => store.blobUnreferenced(hashes),
        minAgeMs: BLOB_MIN_AGE_MS,
        now: Date.now(),
      }),
    );
  }

  #wait(): void {
    this.#timer = setTimeout(() => {
      this.#running = this.prune().then(() => {
        if (!this.#stopped) this.#wait();
      });
    }, this.#intervalMs);
    this.#timer.unref();
  }

  async #step(what: string, step: () => Promise<unknown>): Promise<void> {
    if (this.#stopped) return;
    try {
      await step();
    } catch (error) {
      this.#options.log.error({ what, err: (error as Error).message }, "old data could not be cleared away");
    }
  }
}
