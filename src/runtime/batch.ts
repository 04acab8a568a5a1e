import { AthanorError } from "../protocol/errors.ts";
import type { Encoded } from "../schema/encode.ts";
import { type Call, type Caller, currentCaller } from "./call.ts";
import { encode, invokeBatch } from "./invoke.ts";
import { sendAnswer } from "./job-answer.ts";
import type { LoadedApp, LoadedFunction } from "./load.ts";
import type { Logs } from "./logs.ts";
import type { ProgressReports } from "./progress.ts";

/** One attempt of a job, with what its handler's parameters get of it. */
export interface BatchJob {
  readonly call: Call;
  readonly jobId: string;
  readonly attempt: number;
  readonly args: unknown[];
  readonly progress: ProgressReports;
  /** Null while it is gathered. */
  batch: Batch | null;
  answered(): void;
}

/**
 * One call of a handler on behalf of several jobs.
 *
 *   running --the handler ends-->                    answering   each job gets its own element's answer, or all what was thrown
 *   running --a job is stopped, others are left-->   running     it is answered at once, and its result will be dropped
 *   running --the last job is stopped-->             running     the signal aborts: nobody waits for the handler's results any more
 */
export class Batch implements Caller {
  readonly #app: LoadedApp;
  readonly #fn: LoadedFunction;
  readonly #logs: Logs;
  readonly #jobs: readonly BatchJob[];
  readonly #live: Set<BatchJob>;
  readonly #controller = new AbortController();
  #calls: readonly Call[];

  constructor(p: { app: LoadedApp; fn: LoadedFunction; logs: Logs; jobs: BatchJob[] }) {
    this.#app = p.app;
    this.#fn = p.fn;
    this.#logs = p.logs;
    this.#jobs = p.jobs;
    this.#live = new Set(p.jobs);
    this.#calls = p.jobs.map(({ call }) => call);
    for (const job of p.jobs) job.batch = this;
  }

  /** Of the jobs that wait for it: what the handler writes is theirs. */
  get calls(): readonly Call[] {
    return this.#calls;
  }

  /** Calls the handler and sends all answers. Never rejects. */
  async run(): Promise<void> {
    let results: unknown[] | null = null;
    let failure: unknown;
    try {
      results = this.#results(await currentCaller.run(this, () => this.#invoke()));
    } catch (error) {
      failure = error;
    }
    const answers = this.#jobs.map((job, index) => {
      if (!this.#live.delete(job)) return undefined;
      return results === null ? this.#answer(job, null, failure) : this.#answerWith(job, results[index]);
    });
    await Promise.all(answers);
  }

  stopped(job: BatchJob): void {
    if (!this.#live.has(job)) return;
    const { cancelled } = job.call;
    if (this.#live.size === 1) {
      currentCaller.run(this, () => this.#controller.abort(cancelled));
      return;
    }
    this.#live.delete(job);
    this.#calls = [...this.#live].map(({ call }) => call);
    void this.#answer(job, null, cancelled);
  }

  #invoke(): unknown {
    return invokeBatch({
      fn: this.#fn,
      jobs: this.#jobs.map(({ args }) => args),
      injected: {
        jobId: null,
        attempt: Math.max(...this.#jobs.map(({ attempt }) => attempt)),
        batch: this.#jobs.map(({ jobId, attempt, call }) => ({
          jobId,
          attempt,
          traceparent: call.traceparent,
          get signal() {
            return call.signal;
          },
        })),
        traceparent: () => null,
        signal: () => this.#controller.signal,
        progress: (progress, message) => {
          for (const job of this.#live) job.progress.report({ progress, message });
        },
        request: () => undefined,
      },
    });
  }

  #results(value: unknown): unknown[] {
    const { length } = this.#jobs;
    if (Array.isArray(value) && value.length === length) return value;
    const what = Array.isArray(value) ? `${value.length} results` : "no array";
    const detail = `${this.#fn.spec.name} returned ${what} for a batch of ${length} jobs; it must return an array of ${length}, in their order`;
    throw new AthanorError("output_invalid", detail);
  }

  async #answerWith(job: BatchJob, result: unknown): Promise<void> {
    if (result instanceof Error) return this.#answer(job, null, result);
    const encoded = currentCaller.run(job.call, () => encode(this.#app, this.#fn, result));
    return encoded.then(
      (answer) => this.#answer(job, answer, undefined),
      (error: unknown) => this.#answer(job, null, error),
    );
  }

  async #answer(job: BatchJob, answer: Encoded | null, failure: unknown): Promise<void> {
    job.progress.flush();
    await currentCaller.run(job.call, () => sendAnswer(job.call, this.#logs, answer, failure));
    job.answered();
  }
}
