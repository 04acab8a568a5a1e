import { isFinal } from "../../src/protocol/job.ts";
import type { JobJson } from "../../src/protocol/wire.ts";
import { type Answer, codeOf, isExplained, request } from "./ask.ts";
import type { Call, History } from "./history.ts";
import { monotonicMs } from "./monotonic.ts";
import { readStream } from "./stream.ts";
import type { Endpoint, System } from "./system.ts";
import type { Task } from "./work.ts";

const CLIENTS = 16;
const AGAIN_MS = 20;
/** Of calls, those after which an earlier job is looked at. */
const LOOK_EACH = 3;

/** Programs that send calls, cancel, look and watch, and write down what they were answered. */
export class Clients {
  readonly #system: System;
  readonly #history: History;
  readonly #next: () => number;
  readonly #following = new Set<Promise<void>>();
  readonly #gaveUp = new AbortController();

  constructor(system: System, history: History, next: () => number) {
    this.#system = system;
    this.#history = history;
    this.#next = next;
  }

  /** Makes all calls, spread over `forMs` where they can be made that fast. */
  async send(tasks: readonly Task[], forMs: number): Promise<void> {
    const startedAt = monotonicMs();
    let at = 0;
    const client = async (): Promise<void> => {
      for (let task = tasks[at++]; task !== undefined; task = tasks[at++]) {
        const dueInMs = startedAt + (task.n / tasks.length) * forMs - monotonicMs();
        if (dueInMs > 0) await sleep(dueInMs);
        await this.#call(task);
        if (task.n % LOOK_EACH === 0) await this.#look();
      }
    };
    await Promise.all(Array.from({ length: CLIENTS }, client));
  }

  /** Until what was begun beside the calls (cancels, watchers) has come to its end; what has not by then is given up. */
  async rest(withinMs: number): Promise<void> {
    const timer = setTimeout(() => this.#gaveUp.abort(), withinMs);
    while (this.#following.size > 0) await Promise.all(this.#following);
    clearTimeout(timer);
  }

  async #call(task: Task): Promise<void> {
    const { n, kind, key, allowed } = task;
    const options = task.request.options;
    const call: Call = {
      n,
      kind,
      key,
      function: task.function,
      concurrencyKey: options?.concurrency_key ?? null,
      priority: options?.priority ?? 0,
      sentAt: monotonicMs(),
      answers: [],
      allowed,
    };
    this.#history.calls.push(call);
    await Promise.all(Array.from({ length: task.copies }, () => this.#sendOne(task, call)));
    const job = call.answers[0]?.job;
    if (job === undefined) return;
    if (task.cancelAfterMs !== null) this.#follow(this.#cancel(job, task.cancelAfterMs));
    if (task.watchAfterMs !== null) this.#follow(this.#watch(job, task.watchAfterMs));
  }

  /** Sent until it is answered, with its key; without one only once, as nobody knows what became of the first. */
  async #sendOne(task: Task, call: Call): Promise<void> {
    const headers: Record<string, string> = task.key === null ? {} : { "idempotency-key": task.key };
    const path = `/v1/apps/faults/functions/${task.function}/jobs`;
    const ask = (to: Endpoint) => request(to, "POST", path, { body: task.request, headers });
    const answer = task.key === null ? await this.#once(ask) : await this.#untilAnswered(ask);
    if (answer === null) return;
    if (answer.status === 202) call.answers.push({ at: monotonicMs(), job: (answer.body as JobJson).job_id });
    else if (!isExplained(answer)) this.#refused(`POST ${path} (call ${task.n})`, answer);
  }

  async #cancel(job: string, afterMs: number): Promise<void> {
    await sleep(afterMs);
    const path = `/v1/jobs/${job}/cancel`;
    const answer = await this.#untilAnswered((to) => request(to, "POST", path));
    if (answer === null) return;
    if (answer.status === 202) this.#history.cancels.push({ at: monotonicMs(), job });
    else if (codeOf(answer) !== "job_ended") this.#refused(`POST ${path}`, answer);
  }

  /** What a client sees on the way must still be true at the end. */
  async #look(): Promise<void> {
    const { calls } = this.#history;
    const job = calls[Math.floor(this.#next() * calls.length)]?.answers[0]?.job;
    if (job === undefined) return;
    const answer = await this.#untilAnswered((to) => request(to, "GET", `/v1/jobs/${job}`));
    if (answer === null) return;
    if (answer.status !== 200) return this.#refused(`GET /v1/jobs/${job}`, answer);
    const { status, result } = answer.body as JobJson;
    if (isFinal(status)) this.#history.observed.push({ at: monotonicMs(), job, status, result });
  }

  /** Reads the job's stream to its end, over as many connections as it takes. */
  async #watch(job: string, afterMs: number): Promise<void> {
    await sleep(afterMs);
    const watch: History["watches"][number] = { job, connections: [] };
    this.#history.watches.push(watch);
    let cursor = 0;
    while (!this.#gaveUp.signal.aborted) {
      const from = await this.#system.endpoint(this.#next());
      const connection = { at: monotonicMs(), after: cursor, events: [] };
      watch.connections.push(connection);
      await readStream({ from, job, after: cursor, events: connection.events, signal: this.#gaveUp.signal });
      const last = (connection.events as { id: number; event: string }[]).at(-1);
      if (last?.event === "job.end") return;
      cursor = last?.id ?? cursor;
      if (last === undefined) watch.connections.pop();
      await sleep(AGAIN_MS);
    }
  }

  async #once(ask: (to: Endpoint) => Promise<Answer>): Promise<Answer | null> {
    try {
      return await ask(await this.#system.endpoint(this.#next()));
    } catch {
      return null;
    }
  }

  async #untilAnswered(ask: (to: Endpoint) => Promise<Answer>): Promise<Answer | null> {
    while (!this.#gaveUp.signal.aborted) {
      const answer = await this.#once(ask);
      if (answer !== null && !isExplained(answer)) return answer;
      await sleep(answer === null ? AGAIN_MS : AGAIN_MS * 10);
    }
    return null;
  }

  #refused(asked: string, { status, body }: Answer): void {
    this.#history.refusals.push({ at: monotonicMs(), asked, answer: `${status} ${JSON.stringify(body)}` });
  }

  #follow(work: Promise<void>): void {
    this.#following.add(work);
    void work.finally(() => this.#following.delete(work));
  }
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
