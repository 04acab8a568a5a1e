import { isFinal } from "../../src/protocol/job.ts";
import type { CallAnswer, JobJson, SpawnManyResult } from "../../src/protocol/wire.ts";
import { type Answer, codeOf, isExplained, request, requestLines } from "./ask.ts";
import type { Call, History } from "./history.ts";
import { monotonicMs } from "./monotonic.ts";
import { readStream } from "./stream.ts";
import type { Endpoint, System } from "./system.ts";
import type { Task } from "./work.ts";

const CLIENTS = 16;
const AGAIN_MS = 20;
/** Of calls that are cancelled together, those after which all of their key are. */
const SWEEP_EACH = 5;
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
    // Those that were sent after the last sweep of their key.
    this.#follow(this.#sweep(null));
    while (this.#following.size > 0) await Promise.all(this.#following);
    clearTimeout(timer);
  }

  async #call(task: Task): Promise<void> {
    if (task.together !== null) {
      await this.#callTogether(task.together, `call-${task.n}`);
      return;
    }
    const call = this.#noteCall(task);
    await Promise.all(Array.from({ length: task.copies }, () => this.#sendOne(task, call)));
    this.#afterwards(task, call);
    if (task.swept && task.n % SWEEP_EACH === 0) this.#follow(this.#sweep(call.concurrencyKey));
  }

  #noteCall(task: Task): Call {
    const options = task.request.options;
    const call: Call = {
      n: task.n,
      kind: task.kind,
      key: task.key,
      function: task.function,
      concurrencyKey: options?.concurrency_key ?? null,
      priority: options?.priority ?? 0,
      sentAt: monotonicMs(),
      answers: [],
      allowed: task.allowed,
    };
    this.#history.calls.push(call);
    return call;
  }

  /** What is done about a job, besides waiting for it. */
  #afterwards(task: Task, call: Call): void {
    const job = call.answers[0]?.job;
    if (job === undefined) return;
    if (task.cancelAfterMs !== null) this.#follow(this.#cancel(job, task.cancelAfterMs));
    if (task.watchAfterMs !== null) this.#follow(this.#watch(job, task.watchAfterMs));
  }

  /** Many calls in one request, which is sent until it is answered as a whole. */
  async #callTogether({ how, tasks }: NonNullable<Task["together"]>, key: string): Promise<void> {
    const calls = tasks.map((task) => this.#noteCall(task));
    const answer = await this.#untilAnswered((to) =>
      how === "batch"
        ? request(to, "POST", `/v1/apps/faults/functions/${tasks[0]?.function}/jobs/batch`, {
            body: { calls: tasks.map((task) => task.request) },
            headers: { "idempotency-key": key },
          })
        : requestLines(to, "POST", "/v1/calls", {
            body: {
              calls: tasks.map((task) => ({
                app: "faults",
                function: task.function,
                ...task.request,
                ...(task.key === null ? {} : { idempotency_key: task.key }),
              })),
            },
          }),
    );
    if (answer === null) return;
    const at = monotonicMs();
    const jobs = answer.status >= 300 ? null : how === "batch" ? jobIdsOf(answer) : jobsOfLines(answer);
    for (const [index, call] of calls.entries()) {
      const job = jobs?.[index];
      if (job !== undefined) call.answers.push({ at, job });
      else this.#refused(`${how} of ${tasks.length} calls (call ${call.n})`, answer);
      const task = tasks[index];
      if (task !== undefined) this.#afterwards(task, call);
    }
  }

  /** Cancels whatever is queued or running with the key. */
  async #sweep(key: string | null): Promise<void> {
    const path = "/v1/jobs/cancel";
    const body = { app: "faults", function: "patient", ...(key === null ? {} : { concurrency_key: key }) };
    const answer = await this.#untilAnswered((to) => request(to, "POST", path, { body }));
    if (answer !== null && answer.status !== 200) this.#refused(`POST ${path}`, answer);
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

const jobIdsOf = ({ body }: Answer): string[] => (body as SpawnManyResult).job_ids;

/** By the index of the call. */
function jobsOfLines({ body }: Answer): (string | undefined)[] {
  const jobs: (string | undefined)[] = [];
  for (const answer of body as CallAnswer[]) if ("job" in answer) jobs[answer.call] = answer.job.job_id;
  return jobs;
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
