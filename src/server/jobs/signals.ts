import { isFinal } from "../../protocol/job.ts";
import type { StoreSignal } from "../store/store.ts";
import type { Dispatcher } from "./dispatcher.ts";
import type { JobsOptions } from "./options.ts";
import type { Waiters } from "./waiters.ts";

/** What other servers have done, as far as it concerns the jobs of this one and those that wait here for a job's end. */
export class Signals {
  readonly #options: JobsOptions;
  readonly #dispatcher: Dispatcher;
  readonly #waiters: Waiters;
  #unsubscribe: (() => void) | null = null;

  constructor(options: JobsOptions, dispatcher: Dispatcher, waiters: Waiters) {
    this.#options = options;
    this.#dispatcher = dispatcher;
    this.#waiters = waiters;
  }

  /** Repeatable. */
  start(): void {
    this.#unsubscribe ??= this.#options.store.subscribe((signal) => this.#heed(signal));
  }

  stop(): void {
    this.#unsubscribe?.();
    this.#unsubscribe = null;
  }

  #heed(signal: StoreSignal): void {
    const { due, attempts } = this.#dispatcher;
    switch (signal.type) {
      case "due":
        due.signalled(signal.deployment, signal.function);
        break;
      case "job":
        if (signal.status !== "running") due.freed(signal.app, signal.function, "elsewhere");
        if (isFinal(signal.status)) void this.look([signal.job]);
        break;
      case "cancel":
        attempts.cancel(signal.job);
        break;
      case "missed":
        void due.refresh();
        void this.look(this.#waiters.jobs());
        void attempts.recheck();
        break;
      default:
    }
  }

  /** Tells those that wait for these jobs, where they have ended. */
  async look(jobs: number[]): Promise<void> {
    const { store, log } = this.#options;
    for (const job of jobs) {
      if (!this.#waiters.has(job)) continue;
      try {
        const record = await store.jobGet({ job });
        if (record !== null) this.#waiters.notify(record);
      } catch (error) {
        log.error({ job, err: error }, "the end of a job could not be read; whoever waits for it asks again");
      }
    }
  }
}
