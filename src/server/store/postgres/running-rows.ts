import type { JobRow } from "./rows.ts";

/** Beyond so many the oldest is forgotten. */
const MAX_ROWS = 10_000;

/**
 * The rows of jobs that this server has started, as they were then: the end of a job of which nothing has changed since need not read it
 * first. A row that has changed all the same is found out by its fence and the number of its last event.
 */
export class RunningRows {
  readonly #rows = new Map<number, JobRow>();

  add(row: JobRow): void {
    this.#rows.set(row.job, row);
    if (this.#rows.size <= MAX_ROWS) return;
    const [oldest] = this.#rows.keys();
    if (oldest !== undefined) this.#rows.delete(oldest);
  }

  /** Known no more: whoever takes it is about to change it. */
  take(job: number): JobRow | undefined {
    const row = this.#rows.get(job);
    this.#rows.delete(job);
    return row;
  }
}
