/**
 * The way of a deployment to the moment before it is live. What is live is not touched, whatever comes of it.
 *
 *   (folder there) --trial()--> loads --prepare()--> ready      its replicas are kept for the switch
 *   any            --what was tried fails, or stop()--> given up   its replicas leave; the error says why
 */
import { AthanorError } from "../../protocol/errors.ts";
import type { LoadedDeployment } from "./loaded.ts";
import type { Phases } from "./phases.ts";

export interface RolloutOptions {
  /** Starts a replica of it, waits until it is ready and takes it away again. Throws what kept it from being ready. */
  trial(deployment: LoadedDeployment, signal: AbortSignal): Promise<void>;
  /** Starts the replicas that are to take over, and resolves when all are ready. Rejects with why the first of them is not. */
  prepare(deployment: LoadedDeployment): Promise<void>;
  /** What was prepared is not to be live. */
  abandon(deployment: LoadedDeployment): void;
}

export class Rollout {
  readonly #options: RolloutOptions;
  readonly #preparing = new Set<LoadedDeployment>();
  #stopped = new AbortController();

  constructor(options: RolloutOptions) {
    this.#options = options;
  }

  start(): void {
    this.#stopped = new AbortController();
  }

  /** Gives up what is under way, whose promises reject soon. */
  stop(): void {
    this.#stopped.abort();
    for (const deployment of this.#preparing) this.#options.abandon(deployment);
  }

  async trial(deployment: LoadedDeployment, phases: Phases): Promise<void> {
    await phases.time("trial", () => this.#orStopped(this.#options.trial(deployment, this.#stopped.signal)));
  }

  /** After it, the deployment is to be made live, or to be given up. */
  async prepare(deployment: LoadedDeployment, phases: Phases): Promise<void> {
    this.#preparing.add(deployment);
    try {
      await phases.time("prepare", () => this.#orStopped(this.#options.prepare(deployment)));
    } finally {
      this.#preparing.delete(deployment);
    }
  }

  giveUp(deployment: LoadedDeployment): void {
    this.#options.abandon(deployment);
  }

  /** What was stopped on purpose says that, and not what the stop did to it. */
  async #orStopped(step: Promise<void>): Promise<void> {
    try {
      await step;
    } catch (error) {
      if (!this.#stopped.signal.aborted) throw error;
    }
    if (this.#stopped.signal.aborted)
      throw new AthanorError("shutting_down", "the server stopped before the deployment was live");
  }
}
