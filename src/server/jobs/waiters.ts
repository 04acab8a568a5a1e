import { isFinal } from "../../protocol/job.ts";
import type { JobRecord } from "../store/store.ts";

type Waiter = (record: JobRecord) => void;

/** Callers that wait for a job's end. */
export class Waiters {
  readonly #byJob = new Map<number, Set<Waiter>>();

  /** Tells those that wait, if the job has ended. */
  notify(record: JobRecord): void {
    if (!isFinal(record.status)) return;
    const waiters = this.#byJob.get(record.job);
    this.#byJob.delete(record.job);
    for (const waiter of waiters ?? []) waiter(record);
  }

  has(job: number): boolean {
    return this.#byJob.has(job);
  }

  /** Jobs that somebody waits for. */
  jobs(): number[] {
    return [...this.#byJob.keys()];
  }

  /** Calls once, when the job has ended. Returns what ends the listening. */
  listen(job: number, waiter: Waiter): () => void {
    const waiters = this.#byJob.get(job) ?? new Set<Waiter>();
    this.#byJob.set(job, waiters.add(waiter));
    return () => {
      waiters.delete(waiter);
      if (waiters.size === 0 && this.#byJob.get(job) === waiters) this.#byJob.delete(job);
    };
  }

  /** The ended job; null after `timeoutMs` or when the signal aborts. Listens from the call on. */
  wait(p: { job: number; timeoutMs: number; signal: AbortSignal }): {
    ended: Promise<JobRecord | null>;
    leave(): void;
  } {
    const { promise, resolve } = Promise.withResolvers<JobRecord | null>();
    const over = (record: JobRecord | null): void => {
      clearTimeout(timer);
      p.signal.removeEventListener("abort", leave);
      unlisten();
      resolve(record);
    };
    const unlisten = this.listen(p.job, over);
    const leave = (): void => over(null);
    const timer = setTimeout(leave, p.timeoutMs);
    p.signal.addEventListener("abort", leave, { once: true });
    if (p.signal.aborted) leave();
    return { ended: promise, leave };
  }
}
