import type { DeployPhase, DeployPhaseJson } from "../../protocol/wire.ts";

/** How long each phase of a deploy took, in the order in which they ended; one that failed is the last. */
export class Phases {
  readonly ended: DeployPhaseJson[] = [];

  async time<T>(phase: DeployPhase, step: () => Promise<T>): Promise<T> {
    const startedAt = performance.now();
    try {
      return await step();
    } finally {
      this.ended.push({ phase, duration_s: Math.round(performance.now() - startedAt) / 1000 });
    }
  }
}
