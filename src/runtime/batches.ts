import type { OpenJob } from "../protocol/replica.ts";
import type { BatchSpec } from "../protocol/spec.ts";
import { readAttachments } from "./attachments.ts";
import { Batch, type BatchJob } from "./batch.ts";
import type { Call } from "./call.ts";
import { argumentsOf } from "./invoke.ts";
import { sendAnswer } from "./job-answer.ts";
import type { LoadedApp, LoadedFunction } from "./load.ts";
import type { Logs } from "./logs.ts";
import { ProgressReports } from "./progress.ts";

/**
 * Gathers the jobs of one function, so that one call of its handler gets several. Each stays a job of its own: with its lease, its time limit, its
 * answer.
 *
 *   idle      --a job's input is read-->                  gathering   for waitMs
 *   gathering --maxSize are there, or the time is over--> idle        they are one Batch, which runs by itself
 *   gathering --a job is stopped-->                       gathering   it is answered and left out; idle where it was the only one
 */
export class Batches {
  readonly #app: LoadedApp;
  readonly #fn: LoadedFunction;
  readonly #spec: BatchSpec;
  readonly #logs: Logs;
  #gathered: BatchJob[] = [];
  #cancelTimer: () => void = () => {};

  constructor(p: { app: LoadedApp; fn: LoadedFunction; spec: BatchSpec; logs: Logs }) {
    this.#app = p.app;
    this.#fn = p.fn;
    this.#spec = p.spec;
    this.#logs = p.logs;
  }

  /** Runs one attempt of a job in a batch, and sends its answer. Never rejects. */
  async run(call: Call, open: OpenJob): Promise<void> {
    try {
      const attachments = await readAttachments(call, open.media);
      const args = await argumentsOf({ app: this.#app, fn: this.#fn, body: open.input, attachments });
      if (call.cancelled) throw call.cancelled;
      await this.#join(call, open, args);
    } catch (error) {
      await sendAnswer(call, this.#logs, null, error);
    }
  }

  /** Resolves once the job is answered by its batch; rejects where it was stopped before there was one. */
  #join(call: Call, { jobId, attempt }: OpenJob, args: unknown[]): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const job: BatchJob = {
      call,
      jobId,
      attempt,
      args,
      progress: new ProgressReports(call),
      batch: null,
      answered: resolve,
    };
    call.signal.addEventListener("abort", () => {
      if (job.batch !== null) job.batch.stopped(job);
      else {
        this.#gathered = this.#gathered.filter((other) => other !== job);
        if (this.#gathered.length === 0) this.#cancelTimer();
        reject(call.cancelled);
      }
    });
    this.#gathered.push(job);
    if (this.#gathered.length >= this.#spec.maxSize) this.#start();
    else if (this.#gathered.length === 1) this.#startLater();
    return promise;
  }

  #startLater(): void {
    const { waitMs } = this.#spec;
    if (waitMs > 0) {
      const timer = setTimeout(() => this.#start(), waitMs);
      this.#cancelTimer = () => clearTimeout(timer);
    } else {
      const immediate = setImmediate(() => this.#start());
      this.#cancelTimer = () => clearImmediate(immediate);
    }
  }

  #start(): void {
    this.#cancelTimer();
    const jobs = this.#gathered;
    this.#gathered = [];
    void new Batch({ app: this.#app, fn: this.#fn, logs: this.#logs, jobs }).run();
  }
}
