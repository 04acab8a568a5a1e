/**
 * Builds and deploys, again whenever something has changed.
 *
 *   idle      --changed(), redeploy()-->            building
 *   building  --built, and nothing has changed-->   deploying    unless it is what is live already: idle
 *   building  --it failed-->                        idle         what is live stays live
 *   building, deploying --changed()-->              the same; once that is over, building
 *   deploying --deployed, or refused-->             idle
 *   any       --stop()-->                           stopped      once what is under way is over
 */
import type { DeploymentUpload } from "../../protocol/spec.ts";
import type { DeployResult } from "../../protocol/wire.ts";

export interface Rebuilt {
  result: DeployResult;
  buildMs: number;
  deployMs: number;
}

export interface LoopOptions {
  build(): Promise<DeploymentUpload>;
  deploy(upload: DeploymentUpload, p: { force: boolean }): Promise<DeployResult>;
  onBuilding(changed: readonly string[]): void;
  onDeployed(rebuilt: Rebuilt): void;
  onUnchanged(buildMs: number): void;
  onFailed(error: unknown): void;
  /** What was asked for is done, and nothing else is. */
  onIdle(): void;
}

export class RebuildLoop {
  readonly #options: LoopOptions;
  /** What has changed since the last build began; null: nothing. */
  #changed: Set<string> | null = null;
  #force = false;
  #stopped = false;
  #running: Promise<void> | null = null;
  #liveDigest: string | null = null;

  constructor(options: LoopOptions) {
    this.#options = options;
  }

  changed(files: readonly string[]): void {
    if (this.#stopped) return;
    this.#changed = new Set([...(this.#changed ?? []), ...files]);
    this.#running ??= this.#run();
  }

  /** Deploys what is there, also where it is what is live. */
  redeploy(): void {
    this.#force = true;
    this.changed([]);
  }

  /** Repeatable. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    while (this.#changed !== null && !this.#stopped) {
      const changed = [...this.#changed];
      this.#changed = null;
      this.#options.onBuilding(changed);
      try {
        await this.#pass();
      } catch (error) {
        // Of files that are no longer these it says nothing.
        if (this.#changed === null && !this.#stopped) this.#options.onFailed(error);
      }
      if (this.#changed === null && !this.#stopped) this.#options.onIdle();
    }
    this.#running = null;
  }

  async #pass(): Promise<void> {
    const { build, deploy, onDeployed, onUnchanged } = this.#options;
    const startedAt = performance.now();
    const upload = await build();
    // It was built from files that are no longer these.
    if (this.#changed !== null || this.#stopped) return;
    const buildMs = performance.now() - startedAt;
    const force = this.#force;
    this.#force = false;
    if (upload.digest === this.#liveDigest && !force) return onUnchanged(buildMs);
    const result = await deploy(upload, { force });
    this.#liveDigest = upload.digest;
    if (!this.#stopped) onDeployed({ result, buildMs, deployMs: performance.now() - startedAt - buildMs });
  }
}
