import { setTimeout as sleep } from "node:timers/promises";
import { AthanorError, type ErrorCode } from "../../protocol/errors.ts";
import type { Log } from "../log.ts";
import type { JobChange, JobOutcome, JobRecord, Store } from "../store/store.ts";

const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 5000;
/** The disk gets room again, the database comes back: an end is kept until then. By then the job may be another server's, and the end is refused. */
const PASSING = new Set<ErrorCode>(["storage_full", "store_unreachable"]);
/** Tries of a write that fails for another reason. */
const MAX_TRIES = 4;

/** The outcome as of `now`; a promise where something has to be written first. */
export type Prepare = (now: number) => JobOutcome | Promise<JobOutcome>;

/**
 * Writes how attempts ended. While the disk is full or the database away an outcome stays in memory and is tried again, and no new jobs should be taken
 * (`blocked`), so that no more outcomes gather than calls were open.
 */
export class Finisher {
  readonly #store: Pick<Store, "jobFinish">;
  readonly #log: Pick<Log, "error">;
  readonly #now: () => number;
  readonly #unblocked: () => void;
  #waiting = 0;
  #stop = new AbortController();

  constructor(p: { store: Pick<Store, "jobFinish">; log: Pick<Log, "error">; now(): number; unblocked(): void }) {
    this.#store = p.store;
    this.#log = p.log;
    this.#now = p.now;
    this.#unblocked = p.unblocked;
  }

  get blocked(): boolean {
    return this.#waiting > 0;
  }

  start(): void {
    this.#stop = new AbortController();
  }

  /** Gives up what cannot be written: the next start runs those jobs again. */
  stop(): void {
    this.#stop.abort();
  }

  /**
   * Null where the attempt holds the job no more, or where the outcome could not be written before the server stopped.
   * `prepare` is asked again at each try, as it may itself write to the disk. `issued` is called once, when the first write is under way.
   */
  async finish(record: JobRecord, prepare: Prepare, issued: () => void): Promise<JobChange | null> {
    try {
      return await this.#tryOnce(record, prepare, issued);
    } catch (error) {
      issued();
      this.#waiting++;
      try {
        return await this.#tryAgain(record, prepare, error);
      } finally {
        this.#waiting--;
        if (this.#waiting === 0) this.#unblocked();
      }
    }
  }

  async #tryOnce(record: JobRecord, prepare: Prepare, issued: () => void): Promise<JobChange | null> {
    const started = this.#now();
    const prepared = prepare(started);
    const outcome = prepared instanceof Promise ? await prepared : prepared;
    const now = prepared instanceof Promise ? this.#now() : started;
    const change = this.#store.jobFinish({ job: record.job, fence: record.fence, outcome, now });
    issued();
    return change;
  }

  async #tryAgain(record: JobRecord, prepare: Prepare, first: unknown): Promise<JobChange | null> {
    let error = first;
    let delayMs = FIRST_DELAY_MS;
    for (let tries = 1; ; tries++) {
      const passes = error instanceof AthanorError && PASSING.has(error.code);
      this.#log.error(
        { job: record.job, err: error, tries },
        passes
          ? "how a job ended cannot be stored yet; it is kept and tried again"
          : "how a job ended could not be stored",
      );
      if (!passes && tries >= MAX_TRIES) return await this.#giveUp(record, error);
      if (!(await this.#sleep(delayMs))) return null;
      delayMs = Math.min(MAX_DELAY_MS, delayMs * 2);
      try {
        return await this.#tryOnce(record, prepare, () => {});
      } catch (next) {
        error = next;
      }
    }
  }

  /** An outcome that the store will not take must not keep its job running for ever. */
  async #giveUp(record: JobRecord, cause: unknown): Promise<JobChange | null> {
    const message = `Its end could not be stored: ${cause instanceof Error ? cause.message : String(cause)}`;
    try {
      return await this.#tryOnce(
        record,
        () => ({ type: "fail", error: { code: "internal", message } }),
        () => {},
      );
    } catch (error) {
      this.#log.error(
        { job: record.job, err: error },
        "a job is left running; the next start of the server takes it up again",
      );
      return null;
    }
  }

  async #sleep(delayMs: number): Promise<boolean> {
    try {
      await sleep(delayMs, undefined, { signal: this.#stop.signal });
      return true;
    } catch {
      return false;
    }
  }
}
