import { SERVER_DEFAULTS } from "../../../protocol/defaults.ts";
import { AthanorError } from "../../../protocol/errors.ts";
import { formatId } from "../../../protocol/names.ts";
import type { InsertedJob, JobStart, NewJob, StoreSignal } from "../store.ts";
import type { Settled } from "./batch.ts";
import type { Database, Tx } from "./database.ts";
import { Jobs } from "./jobs.ts";
import { LOCKS } from "./locks.ts";
import type { QueueNames } from "./names.ts";
import { type Log, type Planned, queuedRow, startedRow, toInsert, toKeys, toRest } from "./new-rows.ts";
import { applyOutcome, ENDS } from "./outcomes.ts";
import { type JobRow, storable, toJob } from "./rows.ts";
import type { RunningRows } from "./running-rows.ts";

/** The way of jobs into their queues. */

const IDEMPOTENCY_WINDOW_MS = SERVER_DEFAULTS.idempotencyWindowS * 1000;

export interface InsertCall {
  jobs: NewJob[];
  start?: JobStart | null;
  now: number;
}

/** One of a call's jobs: made now, by it or by an earlier call of the batch; or before, with its place. */
type Answer = { planned: Planned; existing: boolean } | { row: JobRow; position: number };

/** Those at hand for the jobs of one call. */
interface Places {
  start: JobStart | null;
  left: number;
}

interface KeyUse {
  inputHash: string;
  answer: Answer | null;
  job: number;
}

/** Makes the jobs of all calls in one transaction; of each call all or none. */
export async function insertBatch(
  db: Database,
  names: QueueNames,
  running: RunningRows,
  calls: InsertCall[],
): Promise<{ settled: Settled<InsertedJob[]>[]; signals: StoreSignal[] }> {
  const queues = await Promise.all(calls.map((call) => queuesOf(names, call.jobs)));
  const all = queues.flatMap((found) => ("value" in found ? found.value : []));
  // One that starts jobs is a claim as well.
  const limited = new Map<number, boolean>();
  for (const [index, found] of queues.entries()) {
    const start = calls[index]?.start ?? null;
    if (start === null || "error" in found) continue;
    for (const queue of found.value) limited.set(queue, limited.get(queue) === true || start.concurrency !== null);
  }
  const claims = [...limited].map(([queue, exclusive]) => ({ queue, shared: !exclusive }));
  const locks = [LOCKS.apps({ shared: true }), ...LOCKS.insert(all), ...LOCKS.claim(claims)];
  return await db.write({ durable: true, locks }, async (tx) => {
    const insertion = await Insertion.prepare(tx, names, calls, queues);
    const answers: Settled<Answer[]>[] = [];
    for (const [index, call] of calls.entries()) {
      answers.push(await insertion.plan(call, queues[index] as Settled<number[]>));
    }
    const made = await insertion.make();
    return () => {
      for (const row of insertion.started) running.add(row);
      const settled = answers.map((answer): Settled<InsertedJob[]> => {
        return "error" in answer ? answer : { value: answer.value.map((one) => insertion.toInserted(one, made)) };
      });
      return { settled, signals: insertion.signals(made) };
    };
  });
}

export async function queuesOf(names: QueueNames, jobs: NewJob[]): Promise<Settled<number[]>> {
  const made = new Map<string, Promise<number>>();
  for (const { deployment, function: name } of jobs) {
    const id = `${deployment}/${name}`;
    if (!made.has(id)) made.set(id, names.make(deployment, name));
  }
  const settled = await Promise.allSettled(made.values());
  const failed = settled.find((one) => one.status === "rejected");
  if (failed === undefined) {
    const numbers = jobs.map(({ deployment, function: name }) => made.get(`${deployment}/${name}`) ?? 0);
    return { value: await Promise.all(numbers) };
  }
  if (failed.reason instanceof AthanorError && failed.reason.code === "deployment_not_found")
    return { error: failed.reason };
  throw failed.reason;
}

const pairId = (queue: number, key: string) => `${queue}/${key}`;

/** What holds of the queues while nobody else can add to them, kept in step with what is planned. */
export class Insertion {
  readonly #tx: Tx;
  readonly #names: QueueNames;
  readonly #jobs: Jobs;
  readonly #planned: Planned[] = [];
  readonly #counts = new Map<number, { priority: number; queued: number; ready: number }[]>();
  readonly #paused = new Set<number>();
  readonly #running = new Map<number, number>();
  readonly #deployments = new Set<number>();
  readonly #uses = new Map<string, KeyUse>();
  readonly #cancelledParents = new Set<number>();
  /** For the jobs that are made, in their order; those that are left stay unused. */
  #numbers: number[] = [];
  #saved: StoreSignal[] = [];
  /** As they run, of the jobs that have been made, those that were started. */
  readonly #started = new Map<Planned, JobRow>();

  private constructor(tx: Tx, names: QueueNames, now: number) {
    this.#tx = tx;
    this.#names = names;
    this.#jobs = new Jobs({ tx, names, now });
  }

  static async prepare(
    tx: Tx,
    names: QueueNames,
    calls: InsertCall[],
    queues: Settled<number[]>[],
  ): Promise<Insertion> {
    const insertion = new Insertion(tx, names, Math.max(0, ...calls.map(({ now }) => now)));
    const wanted = calls.flatMap(({ jobs, now }, index) => {
      const found = queues[index];
      return found === undefined || "error" in found
        ? []
        : jobs.map((job, at) => ({ job, now, queue: found.value[at] ?? 0 }));
    });
    await Promise.all([
      insertion.#readCounts([...new Set(wanted.map(({ queue }) => queue))]),
      insertion.#readDeployments([...new Set(wanted.map(({ job }) => job.deployment))]),
      insertion.#readUses(wanted),
      insertion.#readParents(wanted.flatMap(({ job }) => job.parent ?? [])),
      insertion.#takeNumbers(wanted.length),
    ]);
    await insertion.#jobs.keys.lock(
      wanted.flatMap(({ job, queue }) =>
        job.concurrencyKey === null ? [] : { queue, key: storable(job.concurrencyKey.key) },
      ),
    );
    return insertion;
  }

  /** All jobs of a call, or why none. */
  async plan(call: InsertCall, queues: Settled<number[]>): Promise<Settled<Answer[]>> {
    if ("error" in queues) return queues;
    const undo: (() => void)[] = [];
    try {
      const jobs = call.jobs.map((job, index) => ({ job, queue: queues.value[index] ?? 0, now: call.now }));
      const answers: Answer[] = [];
      const places: Places = { start: call.start ?? null, left: call.start?.limit ?? 0 };
      for (const one of jobs) answers.push(this.#earlier(one) ?? (await this.#plan(one, places, undo)));
      return { value: answers };
    } catch (error) {
      if (!(error instanceof AthanorError)) throw error;
      for (const step of undo.toReversed()) step();
      return { error };
    }
  }

  /** Writes what is planned. */
  async make(): Promise<Map<Planned, JobRow>> {
    const jobs = this.#planned.map((one, index) => ({ one, number: this.#numbers[index] ?? 0 }));
    if (jobs.length === 0) return new Map();
    const write = (name: string, rows: object[]) => {
      if (rows.length > 0) void this.#tx.write(name, { rows: JSON.stringify(rows) });
    };
    const inserts = await Promise.all(jobs.map(({ one, number }) => toInsert(one, number)));
    write("jobInsert", inserts);
    write(
      "jobInsertKeys",
      jobs.flatMap(({ one, number }) => toKeys(one, number)),
    );
    write(
      "jobInsertRest",
      jobs.flatMap(({ one, number }) => toRest(one, number)),
    );
    const doomed = jobs.flatMap(({ one, number }) => (one.cancelled ? number : []));
    if (doomed.length > 0) await this.#cancel(doomed);
    this.#saved = await this.#jobs.save();
    const made = new Map(jobs.map(({ one, number }) => [one, this.#jobs.get(number) ?? queuedRow(one, number)]));
    for (const [index, [one, row]] of [...made].entries()) {
      if (one.start !== null) this.#started.set(one, startedRow(row, one.start, inserts[index] as Log));
    }
    return made;
  }

  get started(): Iterable<JobRow> {
    return this.#started.values();
  }

  toInserted(answer: Answer, made: Map<Planned, JobRow>): InsertedJob {
    const toRecord = (row: JobRow) => toJob(row, this.#names.name(row.queue));
    if ("row" in answer) {
      return { job: toRecord(answer.row), existing: true, position: answer.position, started: null };
    }
    const { planned, existing } = answer;
    const row = made.get(planned) as JobRow;
    const running = this.#started.get(planned);
    if (running === undefined) {
      const position = row.status === "queued" ? planned.position : 0;
      return { job: toRecord(row), existing, position, started: null };
    }
    const started = toRecord(running);
    if (existing) return { job: started, existing, position: 0, started: null };
    return { job: toRecord(row), existing, position: planned.position, started };
  }

  signals(made: Map<Planned, JobRow>): StoreSignal[] {
    const fresh = [...made].flatMap(([{ job, start }, row]): StoreSignal[] => {
      const { app, function: name, deployment } = job;
      if (row.status !== "queued") return [];
      const signal = { type: "job", job: row.job, app, function: name } as const;
      return [
        { ...signal, status: "queued" },
        start === null ? { type: "due", deployment, function: name } : { ...signal, status: "running" },
      ];
    });
    return [...fresh, ...this.#saved];
  }

  async #readCounts(queues: number[]): Promise<void> {
    for (const { queue, paused, priority, queued, ready, running } of await this.#tx.read<{
      queue: number;
      paused: boolean;
      priority: number | null;
      queued: number;
      ready: number;
      running: number;
    }>("queueState", { queues })) {
      if (paused) this.#paused.add(queue);
      if (priority === null) continue;
      this.#countsOf(queue).push({ priority, queued, ready });
      this.#running.set(queue, (this.#running.get(queue) ?? 0) + running);
    }
  }

  async #takeNumbers(count: number): Promise<void> {
    if (count === 0) return;
    const rows = await this.#tx.read<{ job: number }>("jobNumbers", { count });
    this.#numbers = rows.map(({ job }) => job);
  }

  async #readDeployments(deployments: number[]): Promise<void> {
    const rows = await this.#tx.read<{ deployment: number }>("jobInsertContext", { deployments });
    for (const { deployment } of rows) this.#deployments.add(deployment);
  }

  /** The jobs that idempotency keys made before, with their places. */
  async #readUses(wanted: { job: NewJob; queue: number; now: number }[]): Promise<void> {
    const pairs = wanted.flatMap(({ job, queue }) =>
      job.idempotency === null ? [] : { queue, key: storable(job.idempotency.key) },
    );
    if (pairs.length === 0) return;
    const used = await this.#tx.read<{
      queue: number;
      key: string;
      input_hash: string;
      job: number;
      created_at: number;
    }>("jobKeysUsed", { queues: pairs.map(({ queue }) => queue), keys: pairs.map(({ key }) => key) });
    const now = Math.max(...wanted.map((one) => one.now));
    const valid = used.filter(({ created_at }) => created_at > now - IDEMPOTENCY_WINDOW_MS);
    if (valid.length === 0) return;
    const rows = await this.#tx.read<JobRow>("jobsGet", { jobs: valid.map(({ job }) => job) });
    const answers = new Map<number, Answer>();
    for (const row of rows) {
      answers.set(row.job, { row, position: row.status === "queued" ? await this.#jobs.position(row) : 0 });
    }
    for (const { queue, key, input_hash: inputHash, job } of valid) {
      this.#uses.set(pairId(queue, key), { inputHash, answer: answers.get(job) ?? null, job });
    }
  }

  async #readParents(parents: number[]): Promise<void> {
    if (parents.length === 0) return;
    const rows = await this.#tx.read<{ job: number; status: string; cancel_requested_at: number | null }>(
      "jobParents",
      { jobs: [...new Set(parents)] },
    );
    for (const row of rows) {
      if (row.status === "cancelled" || row.cancel_requested_at !== null) this.#cancelledParents.add(row.job);
    }
  }

  /** The job that the same idempotency key made, or null where there was none. */
  #earlier({ job, queue }: { job: NewJob; queue: number }): Answer | null {
    if (job.idempotency === null) return null;
    const use = this.#uses.get(pairId(queue, storable(job.idempotency.key)));
    if (use === undefined) return null;
    const made = `The key made ${use.job === 0 ? "a job" : formatId("jobs", use.job)} of ${job.app}/${job.function}`;
    if (use.inputHash !== job.idempotency.inputHash) {
      throw new AthanorError("idempotency_conflict", `${made} with a different input.`);
    }
    if (use.answer === null) {
      // To make another would break the promise of the key: one job within the window.
      throw new AthanorError("job_not_found", `${made}, which has been deleted since it ended.`, {
        hint: "Use a new Idempotency-Key to run it again.",
      });
    }
    return "planned" in use.answer ? { ...use.answer, existing: true } : use.answer;
  }

  async #plan(
    { job, queue, now }: { job: NewJob; queue: number; now: number },
    places: Places,
    undo: (() => void)[],
  ): Promise<Answer> {
    const { app, function: name, deployment, priority } = job;
    if (!this.#deployments.has(deployment)) {
      const id = formatId("deployments", deployment);
      throw new AthanorError("deployment_not_found", `${id} of ${app} does not exist any more.`);
    }
    const counts = this.#countsOf(queue);
    const queued = counts.reduce((sum, count) => sum + count.queued, 0);
    if (queued >= job.queueSize) {
      const detail = `${queued} jobs of ${app}/${name} are queued, and its queue takes ${job.queueSize}.`;
      throw new AthanorError("queue_full", detail, { headers: { "retry-after": "1" } });
    }
    const hold = await this.#hold(job, queue, now, undo);
    const ahead = counts.reduce((sum, count) => sum + (count.priority >= priority ? count.ready : 0), 0);
    const cancelled = job.parent !== null && this.#cancelledParents.has(job.parent);
    const next = ahead === 0 && hold === null && !cancelled;
    const start = next ? this.#takePlace(job, { queue, now, places }, undo) : null;
    const planned = { job, queue, now, hold, position: ahead + 1, cancelled, start };
    if (!cancelled && start === null) this.#count(queue, priority, { queued: 1, ready: Number(hold === null) }, undo);
    this.#planned.push(planned);
    undo.push(() => this.#planned.pop());
    const answer = { planned, existing: false };
    if (job.idempotency !== null) {
      const id = pairId(queue, storable(job.idempotency.key));
      this.#uses.set(id, { inputHash: job.idempotency.inputHash, answer, job: 0 });
      undo.push(() => this.#uses.delete(id));
    }
    return answer;
  }

  /** For a job that nothing stands before. */
  #takePlace(
    { expiresAt }: NewJob,
    { queue, now, places }: { queue: number; now: number; places: Places },
    undo: (() => void)[],
  ): JobStart | null {
    const { start } = places;
    if (start === null || places.left <= 0 || this.#paused.has(queue)) return null;
    const running = this.#running.get(queue) ?? 0;
    if (running >= (start.concurrency ?? Number.POSITIVE_INFINITY)) return null;
    if (expiresAt !== null && Math.ceil(expiresAt) <= now) return null;
    places.left--;
    this.#running.set(queue, running + 1);
    undo.push(() => this.#running.set(queue, running));
    return start;
  }

  async #hold(job: NewJob, queue: number, now: number, undo: (() => void)[]): Promise<JobRow["hold"]> {
    if (job.runAfter !== null && job.runAfter > now) return "delay";
    if (job.concurrencyKey === null) return null;
    const key = storable(job.concurrencyKey.key);
    const { limit } = job.concurrencyKey;
    const part = await this.#jobs.keys.place({ queue, key, limit, priority: job.priority, job: null });
    this.#jobs.keys.move(queue, key, null, part);
    undo.push(() => this.#jobs.keys.move(queue, key, part, null));
    return part === "parked" ? "key" : null;
  }

  #count(queue: number, priority: number, added: { queued: number; ready: number }, undo: (() => void)[]): void {
    const counts = this.#countsOf(queue);
    const count = counts.find((one) => one.priority === priority) ?? { priority, queued: 0, ready: 0 };
    if (!counts.includes(count)) counts.push(count);
    count.queued += added.queued;
    count.ready += added.ready;
    undo.push(() => {
      count.queued -= added.queued;
      count.ready -= added.ready;
    });
  }

  #countsOf(queue: number) {
    const counts = this.#counts.get(queue) ?? [];
    this.#counts.set(queue, counts);
    return counts;
  }

  async #cancel(doomed: number[]): Promise<void> {
    await this.#jobs.lock(doomed);
    for (const job of doomed) {
      const row = this.#jobs.get(job);
      if (row !== undefined) await applyOutcome(this.#jobs, row, { type: "cancel", error: ENDS.cancelledQueued });
    }
  }
}
