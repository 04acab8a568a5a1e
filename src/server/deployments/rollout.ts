/**
 * The way of a deployment to being live. What is live before is not touched until the last step, whatever comes of the others.
 *
 *   (folder there) --trial--> loads --prepare--> ready, its replicas kept, that of the trial where it is one --switch--> live
 *   any            --a step fails, or stop()--> given up: its replicas leave, and the error says why
 */
import { LOG_DEFAULTS } from "../../protocol/defaults.ts";
import { AthanorError } from "../../protocol/errors.ts";
import type { Log } from "../log.ts";
import type { StartingReplica } from "../replicas/session.ts";
import type { DeploymentError } from "../store/store.ts";
import { deploymentError, failureOf } from "./failure.ts";
import type { LoadedDeployment } from "./loaded.ts";
import type { Phases } from "./phases.ts";

export interface RolloutOptions {
  /** Starts a replica of it and waits until it is ready; see tryDeployment. */
  trial(deployment: LoadedDeployment, signal: AbortSignal): Promise<StartingReplica | null>;
  /** Starts the replicas that are to take over, `spare` being one or leaving, and resolves when all are ready. Rejects with why the first is not. */
  prepare(deployment: LoadedDeployment, spare: StartingReplica | null): Promise<void>;
  /** What was prepared is not to be live. */
  abandon(deployment: LoadedDeployment): void;
  /** A deployment did not get to be live. */
  onFailed?(deployment: LoadedDeployment, error: DeploymentError): void;
  /** The last that its replicas wrote to stderr. */
  lastStderr(deployment: number, limit: number): Promise<string[]>;
  log: Pick<Log, "info" | "warn">;
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

  /** `makeLive` is called once it is ready, and is the switch. */
  async run<T>(deployment: LoadedDeployment, phases: Phases, makeLive: () => Promise<T>): Promise<T> {
    const { trial, log } = this.#options;
    const tried = await phases.time("trial", () => this.#tried(trial(deployment, this.#stopped.signal)));
    try {
      await this.prepare(deployment, phases, tried);
      const made = await phases.time("switch", makeLive);
      const { id, app, spec } = deployment;
      const took = Object.fromEntries(phases.ended.map(({ phase, duration_s: s }) => [phase, s]));
      log.info({ deployment: id, app, functions: spec.functions.length, took }, "deployment is live");
      return made;
    } catch (error) {
      this.giveUp(deployment);
      throw error;
    }
  }

  /** Why it is not live, as it is to be kept, and as the deployer is told. */
  async failed(deployment: LoadedDeployment, error: unknown): Promise<{ why: DeploymentError; told: unknown }> {
    const { log, lastStderr, onFailed } = this.#options;
    const { id, app, number } = deployment;
    const why = deploymentError(error, await lastStderr(number, LOG_DEFAULTS.lastStderrLines));
    onFailed?.(deployment, why);
    log.warn({ deployment: id, app, code: why.code }, "deployment failed; the one before stays live");
    return { why, told: failureOf(error, why) };
  }

  /** After it, the deployment is to be made live, or to be given up. */
  async prepare(deployment: LoadedDeployment, phases: Phases, spare: StartingReplica | null = null): Promise<void> {
    this.#preparing.add(deployment);
    try {
      await phases.time("prepare", () => this.#orStopped(this.#options.prepare(deployment, spare)));
    } finally {
      this.#preparing.delete(deployment);
    }
  }

  giveUp(deployment: LoadedDeployment): void {
    this.#options.abandon(deployment);
  }

  async #tried(trial: Promise<StartingReplica | null>): Promise<StartingReplica | null> {
    try {
      await this.#orStopped(trial);
    } catch (error) {
      void trial.then((tried) => tried?.drain()).catch(() => {});
      throw error;
    }
    return await trial;
  }

  /** What was stopped on purpose says that, and not what the stop did to it. */
  async #orStopped(step: Promise<unknown>): Promise<void> {
    try {
      await step;
    } catch (error) {
      if (!this.#stopped.signal.aborted) throw error;
    }
    if (this.#stopped.signal.aborted)
      throw new AthanorError("shutting_down", "the server stopped before the deployment was live");
  }
}
