import { SERVER_DEFAULTS } from "../../../protocol/defaults.ts";
import type { ClaimedJobs, ClaimFunction, JobClaim, StoreSignal } from "../store.ts";
import type { Settled } from "./batch.ts";
import type { Database, Tx } from "./database.ts";
import { Jobs } from "./jobs.ts";
import { LOCKS } from "./locks.ts";
import type { QueueNames } from "./names.ts";
import type { JobRow } from "./rows.ts";
import type { RunningRows } from "./running-rows.ts";

/**
 * The way of jobs out of their queues to a replica. Claims of functions without limits pass over the rows that others hold, and wait for
 * nobody; those of a function with a limit take turns, so that each sees what the one before it has started.
 */

/** Jobs whose delay is over that one claim moves on. */
const MAX_WOKEN = 1000;

/** A claim with the queues of its functions that have ever been used. */
interface Claim extends JobClaim {
  queues: { queue: number; limits: ClaimFunction }[];
}

/** One function's queue, and what may start of it in one claim. */
interface Source {
  queue: number;
  rate: ClaimFunction["rate"];
  /** By the function's concurrency, and by its rate. */
  room: number;
  starts: number;
  started: number;
}

interface QueueState {
  queue: number;
  paused: boolean;
  rate_per_ms: number;
  running: number;
  delay_over: boolean;
}

export async function claimBatch(
  db: Database,
  names: QueueNames,
  running: RunningRows,
  calls: JobClaim[],
): Promise<{ settled: Settled<ClaimedJobs>[]; signals: StoreSignal[] }> {
  const claims = await Promise.all(calls.map((call) => withQueues(names, call)));
  const limited = new Map<number, boolean>();
  for (const { queue, limits } of claims.flatMap((claim) => claim.queues)) {
    limited.set(queue, limited.get(queue) === true || limits.concurrency !== null || limits.rate !== null);
  }
  const nothing = (): Settled<ClaimedJobs> => ({ value: { jobs: [], retryAt: null } });
  if (limited.size === 0) return { settled: calls.map(nothing), signals: [] };
  const locks = LOCKS.claim([...limited].map(([queue, exclusive]) => ({ queue, shared: !exclusive })));
  // A database may crash and leave its servers alive, with attempts under way: a claim that it forgot would be made again with the same fence.
  return await db.write({ durable: true, locks }, async (tx) => {
    const now = Math.max(...calls.map((call) => call.now));
    const claiming = new Claiming(tx, names, now);
    await claiming.prepare([...limited.keys()]);
    const settled: Settled<ClaimedJobs>[] = [];
    for (const claim of claims) settled.push({ value: await claiming.claim(claim) });
    const signals = await claiming.save();
    return () => {
      for (const row of claiming.started) running.add(row);
      return { settled, signals };
    };
  });
}

async function withQueues(names: QueueNames, claim: JobClaim): Promise<Claim> {
  if (claim.limit <= 0) return { ...claim, queues: [] };
  const functions = new Map(claim.functions.map((limits) => [limits.name, limits]));
  const found = await Promise.all(
    [...functions.values()].map(async (limits) => {
      const [queue] = await names.known(claim.deployment, [limits.name]);
      return queue === undefined ? [] : [{ queue, limits }];
    }),
  );
  return { ...claim, queues: found.flat() };
}

class Claiming {
  readonly #tx: Tx;
  readonly #jobs: Jobs;
  readonly #names: QueueNames;
  readonly #states = new Map<number, QueueState>();
  /** Jobs that this transaction has taken already. */
  readonly #done: number[] = [];
  readonly #signals: StoreSignal[] = [];

  constructor(tx: Tx, names: QueueNames, now: number) {
    this.#tx = tx;
    this.#names = names;
    this.#jobs = new Jobs({ tx, names, now });
  }

  async prepare(queues: number[]): Promise<void> {
    const { now } = this.#jobs;
    const states = await this.#tx.read<QueueState>("claimState", { queues, now });
    for (const state of states) this.#states.set(state.queue, state);
    if (states.some(({ delay_over }) => delay_over)) this.#signals.push(...(await wake(this.#tx, this.#names, now)));
  }

  async claim(claim: Claim): Promise<ClaimedJobs> {
    const sources: Source[] = [];
    for (const { queue, limits } of claim.queues) sources.push(await this.#open(queue, limits, claim));
    const taken = await this.#take(claim, sources);
    for (const row of taken) {
      await this.#start(row.job, claim);
      const source = sources.find(({ queue }) => queue === row.queue);
      if (source !== undefined) source.started++;
    }
    for (const source of sources) this.#countStarts(source, claim.now);
    const retries: number[] = [];
    for (const source of sources) retries.push(...(await this.#heldUntil(source, claim, taken)));
    await this.#names.load(
      taken.map(({ queue }) => queue),
      this.#tx,
    );
    const jobs = taken.map(({ job }) => this.#jobs.record(job));
    return { jobs, retryAt: retries.length === 0 ? null : Math.min(...retries) };
  }

  get started(): JobRow[] {
    return this.#done.flatMap((job) => this.#jobs.get(job) ?? []);
  }

  async save(): Promise<StoreSignal[]> {
    return [...this.#signals, ...(await this.#jobs.save())];
  }

  async #open(queue: number, { concurrency, rate }: ClaimFunction, claim: Claim): Promise<Source> {
    const state = this.#states.get(queue);
    const source = { queue, rate, room: claim.limit, starts: claim.limit, started: 0 };
    if (state === undefined || state.paused) return { ...source, room: 0 };
    if (concurrency !== null) source.room = Math.min(claim.limit, concurrency - state.running);
    if (rate !== null && source.room > 0) {
      const recent = await this.#recentStarts(queue, claim.now - rate.perMs);
      source.starts = rate.limit - recent.reduce((sum, { starts }) => sum + starts, 0);
    }
    return source;
  }

  /** The first ready jobs, locked. Of several functions, first how many are of which, so that none is held without being taken. */
  async #take(claim: Claim, sources: Source[]): Promise<JobRow[]> {
    const open = sources.filter((source) => roomOf(source) > 0);
    if (open.length === 0) return [];
    const p = {
      ...this.#where(claim),
      queues: open.map(({ queue }) => queue),
      rooms: open.map((source) => roomOf(source)),
    };
    if (open.length > 1) {
      const heads = await this.#tx.read<{ queue: number; room: number }>("claimHeads", { ...p, limit: claim.limit });
      p.queues = heads.map(({ queue }) => queue);
      p.rooms = heads.map(({ room }) => room);
    }
    const rows = await this.#tx.read<JobRow>("claimTake", p);
    this.#jobs.adopt(rows);
    this.#done.push(...rows.map(({ job }) => job));
    return rows;
  }

  #where({ deployment }: Claim) {
    return { deployment, now: this.#jobs.now, except: this.#done };
  }

  async #start(job: number, claim: Claim): Promise<void> {
    const row = this.#jobs.get(job) as JobRow;
    const attempt = row.attempt + 1;
    const { now, replica, owner } = claim;
    const change = {
      ...{ status: "running", attempt, fence: row.fence + 1, replica, owner, run_after: null, started_at: now },
      ...{ status_since: now, progress: 0, message: null },
    } satisfies Partial<JobRow>;
    await this.#jobs.change(job, change, [{ event: "job.running", data: { attempt, replica_id: replica } }]);
    const state = this.#states.get(row.queue);
    if (state !== undefined) state.running++;
  }

  /** Keeps when they were started, for as long as any rate of the queue needs. */
  #countStarts({ queue, rate, started }: Source, now: number): void {
    if (rate === null || started === 0) return;
    const kept = this.#states.get(queue)?.rate_per_ms ?? 0;
    if (kept < rate.perMs) void this.#tx.write("rateGrow", { queue, perMs: rate.perMs });
    const before = now - Math.max(kept, rate.perMs) - SERVER_DEFAULTS.rateSlackMs;
    void this.#tx.write("rateStart", { queue, now, starts: started, before });
  }

  /** When the rate lets the next one start, where it holds back one that would have started else: in place of the last one taken, or beside it. */
  async #heldUntil(source: Source, claim: Claim, taken: JobRow[]): Promise<number[]> {
    const { queue, rate, room, starts, started } = source;
    if (rate === null || started < starts || started >= room) return [];
    const next = await this.#tx.get<Place>("claimNext", { ...this.#where(claim), queue });
    if (next === undefined) return [];
    const last = taken.length < claim.limit ? undefined : taken.at(-1);
    if (last !== undefined && !isBefore(next, { rank: -last.priority, place: last.place, job: last.job })) return [];
    const at = roomAt(await this.#recentStarts(queue, claim.now - rate.perMs), rate.limit, rate.perMs);
    return at === null ? [] : [at];
  }

  #recentStarts(queue: number, after: number): Promise<{ at: number; starts: number }[]> {
    return this.#tx.read("rateStarts", { queue, after });
  }
}

/** Where a job stands among those that are ready. */
interface Place {
  rank: number;
  place: number;
  job: number;
}

function isBefore(a: Place, b: Place): boolean {
  return a.rank < b.rank || (a.rank === b.rank && (a.place < b.place || (a.place === b.place && a.job < b.job)));
}

/** How many more of it may start now. */
function roomOf({ room, starts, started }: Source): number {
  return Math.min(room, starts) - started;
}

/** When a start leaves the window that makes room for one. `starts`: the newest first. */
function roomAt(starts: { at: number; starts: number }[], limit: number, perMs: number): number | null {
  let newer = 0;
  for (const { at, starts: count } of starts) {
    newer += count;
    if (newer >= limit) return at + perMs;
  }
  return null;
}

/** Ends delays that are over: the jobs are ready, or wait for their keys. Written before it returns, for the statements that follow. */
export async function wake(tx: Tx, names: QueueNames, now: number): Promise<StoreSignal[]> {
  const jobs = new Jobs({ tx, names, now });
  const rows = await tx.read<JobRow>("delayOver", { now, limit: MAX_WOKEN });
  jobs.adopt(rows);
  const keyed = rows.filter(({ concurrency_key: key }) => key !== null);
  await jobs.keys.lock(keyed.map(({ queue, concurrency_key: key }) => ({ queue, key: key ?? "" })));
  for (const { job, queue, priority, concurrency_key: key, key_limit: limit } of rows) {
    const parked =
      key !== null && (await jobs.keys.place({ queue, key, limit: limit ?? 1, priority, job })) === "parked";
    await jobs.change(job, { hold: parked ? "key" : null }, []);
  }
  return await jobs.save();
}
