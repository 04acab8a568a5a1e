import { AthanorError } from "../../protocol/errors.ts";
import { isFinal } from "../../protocol/job.ts";
import { formatId } from "../../protocol/names.ts";
import type { CancelManyResult } from "../../protocol/wire.ts";
import type { JobChange, JobFilter, JobRecord } from "../store/store.ts";
import type { Dispatcher } from "./dispatcher.ts";
import { clockOf, type JobsOptions } from "./options.ts";

/** Jobs that one step of cancelling by filter takes, so that other verbs get their turn in between. */
const STEP = 300;

/** Cancels in the store, and stops what runs here; what runs on other servers these stop when the store tells them. */
export class Canceller {
  readonly #options: JobsOptions;
  readonly #dispatcher: Dispatcher;
  readonly #announce: (change: JobChange) => void;

  constructor(options: JobsOptions, dispatcher: Dispatcher, announce: (change: JobChange) => void) {
    this.#options = options;
    this.#dispatcher = dispatcher;
    this.#announce = announce;
  }

  /** One job, and the jobs that its code has made. */
  async cancel(job: number): Promise<JobRecord> {
    const now = clockOf(this.#options)();
    const changes = await this.#options.store.jobCancel({ job, now });
    const own = changes?.[0];
    if (changes === null || own === undefined)
      throw new AthanorError("job_not_found", `There is no ${formatId("jobs", job)}.`);
    const { status } = own.job;
    if (isFinal(status) && own.events.length === 0)
      throw new AthanorError("job_ended", `${formatId("jobs", job)} has ended already, as ${status}.`);
    for (const change of changes) this.#heed(change);
    return own.job;
  }

  /** All that the filter takes and that have not ended; step by step, to the last. */
  async cancelMany(filter: JobFilter): Promise<CancelManyResult> {
    let cancelled = 0;
    const stopping = new Set<number>();
    for (let after: number | null = 0; after !== null; ) {
      const step: { changes: JobChange[]; next: number | null } = await this.#options.store.jobCancelMany({
        filter,
        after,
        limit: STEP,
        now: clockOf(this.#options)(),
      });
      for (const change of step.changes) {
        this.#heed(change);
        if (change.job.status === "running") stopping.add(change.job.job);
        else if (change.events.length > 0) cancelled++;
      }
      after = step.next;
    }
    return { cancelled, stopping: stopping.size };
  }

  #heed(change: JobChange): void {
    const { job, status } = change.job;
    this.#announce(change);
    if (status === "running") this.#dispatcher.attempts.cancel(job);
    else if (change.events.length > 0) this.#dispatcher.due.lowered();
  }
}
