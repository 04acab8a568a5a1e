import type { JobEvent, NewJobEvent } from "../../../protocol/event.ts";
import { isFinal } from "../../../protocol/job.ts";
import type { JobRecord, StoreSignal } from "../store.ts";
import type { Tx } from "./database.ts";
import { Keys, keyPart } from "./keys.ts";
import { extendLog, hasSegments, type SealedSegment, type Segment } from "./log.ts";
import type { QueueNames } from "./names.ts";
import { type JobRow, toJob } from "./rows.ts";

/** Between two numbers of jobs there are places for those whose keys get room in that time. */
export const PLACES_PER_JOB = 2 ** 20;
const MAX_PROMOTED = 100;

interface Entry {
  before: JobRow;
  after: JobRow;
  segments: Segment[] | null;
  sealed: SealedSegment[];
  blobs: string[];
}

/** The table that holds a job besides `jobs`; see the schema. */
type Side = "ready" | "delayed" | "waits" | "running" | "ended";

function sideOf({ status, hold }: JobRow): Side {
  if (status === "running") return "running";
  if (status !== "queued") return "ended";
  if (hold === null) return "ready";
  return hold === "delay" ? "delayed" : "waits";
}

/**
 * The jobs that one transaction changes: locked, changed in memory, written together by `save`. It is the one place where rows of jobs, what
 * else says where they stand, and the counts change.
 */
export class Jobs {
  readonly tx: Tx;
  /** Of the change that comes next. */
  now: number;
  readonly keys: Keys;
  readonly names: QueueNames;
  readonly #entries = new Map<number, Entry>();
  readonly #lastPlaces = new Map<string, number>();

  constructor(p: { tx: Tx; names: QueueNames; now: number }) {
    this.tx = p.tx;
    this.names = p.names;
    this.now = p.now;
    this.keys = new Keys(p.tx);
  }

  /** Those that exist, of which nobody else can change one until the end of the transaction. */
  async lock(numbers: number[]): Promise<void> {
    const missing = [...new Set(numbers)].filter((job) => !this.#entries.has(job));
    if (missing.length > 0) this.adopt(await this.tx.read<JobRow>("jobLock", { jobs: missing }));
  }

  /** Rows that a statement of the transaction has locked. */
  adopt(rows: JobRow[]): void {
    for (const row of rows) {
      if (this.#entries.has(row.job)) continue;
      this.#entries.set(row.job, { before: row, after: row, segments: null, sealed: [], blobs: [] });
    }
  }

  /** As it now is. */
  get(job: number): JobRow | undefined {
    return this.#entries.get(job)?.after;
  }

  record(job: number): JobRecord {
    const { after } = this.#entry(job);
    return toJob(after, this.names.name(after.queue));
  }

  /** Returns what was added to its log. */
  async change(job: number, change: Partial<JobRow>, added: NewJobEvent[], blobs: string[] = []): Promise<JobEvent[]> {
    const entry = this.#entry(job);
    const after = { ...entry.after, ...change };
    const { concurrency_key: key } = after;
    if (key !== null) this.keys.move(after.queue, key, keyPart(entry.after), keyPart(after));
    entry.blobs.push(...blobs);
    const segments = await this.#segments(entry);
    const read = async (segment: Segment) =>
      entry.sealed.find(({ last }) => last === segment.last)?.lines ?? (await this.#lines(job, segment));
    const step = await extendLog(after, added, [...segments, ...entry.sealed], read);
    entry.sealed.push(...step.sealed);
    entry.after = { ...after, ...step.head };
    return step.events;
  }

  /** Jobs ahead of this one in its queue, plus one, as it would stand there. */
  async position(row: JobRow): Promise<number> {
    const rank = -row.priority;
    const { queue, place, job } = row;
    if (row.hold === "key")
      return 1 + Number((await this.tx.get<{ ready: number }>("jobsReady", { queue, rank }))?.ready);
    const found = await this.tx.get<{ ahead: number }>("jobsAhead", { queue, rank, place, job });
    return 1 + Number(found?.ahead) + this.#aheadHere(row);
  }

  /** Gives the places of keys that became free to who is next, and writes all that has changed. Returns what others are to hear of it. */
  async save(): Promise<StoreSignal[]> {
    await this.#promote();
    this.keys.save();
    const changed = [...this.#entries.values()].filter(({ before, after }) => before !== after);
    if (changed.length === 0) return [];
    await this.names.load(
      changed.map(({ after }) => after.queue),
      this.tx,
    );
    void this.tx.write("jobWrite", { rows: JSON.stringify(changed.map((entry) => toWrite(entry))) });
    const sealed = changed.flatMap((entry) => entry.sealed.filter(({ last }) => last >= entry.after.first_event));
    if (sealed.length > 0) void this.tx.write("eventSeal", { rows: JSON.stringify(sealed) });
    const shortened = changed.filter(({ segments, before, after }) => {
      return segments !== null && segments.length > 0 && after.first_event > before.first_event;
    });
    if (shortened.length > 0) {
      const rows = shortened.map(({ after }) => ({ job: after.job, first_event: after.first_event }));
      void this.tx.write("eventPrune", { rows: JSON.stringify(rows) });
    }
    return changed.flatMap((entry) => signalsOf(entry, this.names));
  }

  async #promote(): Promise<void> {
    const waiting = await this.keys.settle();
    if (waiting.length === 0) return;
    const newest = Number((await this.tx.get<{ job: number }>("jobNewest"))?.job);
    for (const { queue, key } of waiting) await this.#promoteOf(queue, key, newest);
  }

  /** In their order, until the next needs more room than there is. */
  async #promoteOf(queue: number, key: string, newest: number): Promise<void> {
    for (;;) {
      const except = [...this.#entries.keys()];
      const next = await this.tx.read<JobRow>("keyNext", { queue, key, except, limit: MAX_PROMOTED });
      this.adopt(next);
      for (const row of next) {
        if (this.keys.state(queue, key).active >= (row.key_limit ?? 1)) return;
        await this.change(row.job, { hold: null, place: await this.#placeBehind(row, newest) }, []);
      }
      if (next.length < MAX_PROMOTED) return;
    }
  }

  /** Behind all that are ready, and before those that will be inserted. */
  async #placeBehind({ deployment, queue, priority }: JobRow, newest: number): Promise<number> {
    const id = `${deployment}/${queue}/${priority}`;
    const ready = { deployment, queue, rank: -priority };
    const last =
      this.#lastPlaces.get(id) ?? (await this.tx.get<{ place: number | null }>("readyLast", ready))?.place ?? 0;
    const place = Math.max(newest * PLACES_PER_JOB, last) + 1;
    this.#lastPlaces.set(id, place);
    return place;
  }

  /** What this transaction has put in front of a job, less what it has taken away. */
  #aheadHere(row: JobRow): number {
    const isAhead = (other: JobRow) =>
      other.queue === row.queue &&
      sideOf(other) === "ready" &&
      (other.priority > row.priority ||
        (other.priority === row.priority &&
          (other.place < row.place || (other.place === row.place && other.job < row.job))));
    let count = 0;
    for (const { before, after } of this.#entries.values()) {
      if (after.job === row.job || before === after) continue;
      count += Number(isAhead(after)) - Number(isAhead(before));
    }
    return count;
  }

  async #segments(entry: Entry): Promise<Segment[]> {
    if (entry.segments !== null) return entry.segments;
    const { before } = entry;
    entry.segments = hasSegments(before) ? await this.tx.read<Segment>("eventSegments", { jobs: [before.job] }) : [];
    return entry.segments;
  }

  async #lines(job: number, { last }: Segment): Promise<string> {
    return (await this.tx.get<{ lines: string }>("eventSegment", { job, last }))?.lines ?? "";
  }

  #entry(job: number): Entry {
    const entry = this.#entries.get(job);
    if (entry === undefined) throw new Error(`jobs:${job} is changed without being locked`);
    return entry;
  }
}

function toWrite({ before, after, blobs }: Entry): object {
  const { input: _input, created_at: _createdAt, result, ...row } = after;
  const [was, goes] = [sideOf(before), sideOf(after)];
  const stays = was === goes;
  return {
    ...row,
    key: row.concurrency_key,
    ...{ was: stays ? null : was, goes: stays ? null : goes, old_place: before.place, old_run_after: before.run_after },
    result: result === before.result ? null : result,
    unexpire:
      was !== "running" &&
      after.expires_at !== null &&
      before.attempt === 0 &&
      (goes === "running" || goes === "ended"),
    prune_at: pruneAt(after),
    blobs: blobs.length === 0 ? null : blobs,
  };
}

export function pruneAt({ finished_at: finishedAt, ttl_s: ttlS }: JobRow): number | null {
  return finishedAt === null ? null : Math.ceil(finishedAt + ttlS * 1000);
}

/** What others are to hear of a change. */
export function signalsOf({ before, after }: Pick<Entry, "before" | "after">, names: QueueNames): StoreSignal[] {
  const { job, deployment, status } = after;
  const { app, function: name } = names.name(after.queue);
  const signals: StoreSignal[] = [];
  if (before.status !== status) signals.push({ type: "job", job, app, function: name, status });
  if (before.last_event !== after.last_event) signals.push({ type: "events", job });
  if (status === "queued") signals.push({ type: "due", deployment, function: name });
  // What a function's limits held back may start when one of its jobs has ended.
  if (before.status === "running" && status !== "running") signals.push({ type: "due", deployment, function: name });
  if (status === "running" && before.cancel_requested_at !== after.cancel_requested_at)
    signals.push({ type: "cancel", job });
  if (isFinal(status) && after.has_webhook) signals.push({ type: "webhooks" });
  return signals;
}
