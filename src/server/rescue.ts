import type { Log } from "./log.ts";
import type { JobChange, Store } from "./store/store.ts";

/** Jobs that one step takes up. */
const STEP = 500;

export interface RescueOptions {
  store: Pick<Store, "jobRescue" | "clock">;
  server(): string;
  /** What has become of the jobs. */
  rescued(changes: JobChange[]): void;
  /** Asked between steps: this server still leads. */
  leads(): boolean;
  log: Pick<Log, "error">;
}

/** Takes up the running jobs of servers whose lease has run out; what the leader does at each of its beats. */
export class Rescue {
  readonly #options: RescueOptions;
  #running: Promise<void> | null = null;

  constructor(options: RescueOptions) {
    this.#options = options;
  }

  /** Does nothing while a call before is under way. Never rejects. */
  run(): Promise<void> {
    this.#running ??= this.#run().finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  async stop(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    const { store, server, rescued, leads, log } = this.#options;
    try {
      for (let count = STEP; count === STEP && leads(); ) {
        const changes = await store.jobRescue({ server: server(), owners: "expired", now: store.clock(), limit: STEP });
        count = changes.length;
        rescued(changes);
      }
    } catch (error) {
      log.error({ err: error }, "jobs of lost servers could not be taken up; tried again");
    }
  }
}
