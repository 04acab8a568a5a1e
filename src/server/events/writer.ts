import { AthanorError } from "../../protocol/errors.ts";
import type { JobEvent, NewJobEvent } from "../../protocol/event.ts";
import type { EventBatch, Store } from "../store/store.ts";
import { EventBuffer, type EventWindow } from "./buffer.ts";
import { ProgressLimit } from "./progress-limit.ts";

export interface EventWriterParams {
  store: Pick<Store, "eventAppend">;
  log: { warn(fields: object, message: string): void };
  now: () => number;
  /** Called with what has been committed, in order. */
  onStored(job: number, events: JobEvent[]): void;
}

/**
 * The least time between two writes, in which events gather; the first after a pause does not wait. While more waits than one write takes, and
 * where a write takes longer, it is as long as the write was, so that half of the thread's time at least is others'.
 */
const WRITE_GAP_MS = 20;
/** A write takes a few milliseconds; a job's part in it at most its window. */
const MAX_EVENTS_A_WRITE = 2000;
const MAX_JOBS_A_WRITE = 256;
/** After the store had no room. */
const RETRY_GAP_MS = 1000;

/** Limits of progress that are kept without a look at whether they are needed. */
const MIN_LIMITS = 1000;

/** What is over with a write, so that the last progress is not held back. */
type Over = "attempt" | "job" | null;

interface Taken {
  buffer: EventBuffer;
  events: NewJobEvent[];
}

/**
 * Writes what running attempts log, in batches.
 *
 *   idle      --append--> scheduled          by setImmediate, or a timer where the last write was a moment ago
 *   scheduled --due-->    writing            everything that waits, up to a limit, in one verb of the store
 *   writing   --done-->   idle | scheduled   the latter where more has come, or a progress waits for its turn
 *   any       --stop-->   stopped            what waits is written first
 */
export class EventWriter {
  readonly #store: EventWriterParams["store"];
  readonly #log: EventWriterParams["log"];
  readonly #now: () => number;
  readonly #onStored: EventWriterParams["onStored"];
  /** By job; of the attempt that appended last. */
  readonly #buffers = new Map<number, EventBuffer>();
  readonly #dirty = new Set<EventBuffer>();
  /** The last write under way of each. */
  readonly #underWay = new Map<EventBuffer, Promise<unknown>>();
  /** By job, from its first attempt that logs to its end. */
  readonly #limits = new Map<number, ProgressLimit>();
  #timer: NodeJS.Timeout | NodeJS.Immediate | null = null;
  #writing: Promise<void> = Promise.resolve();
  #isWriting = false;
  /** The last write left some for the next. */
  #isBehind = false;
  #nextWriteAt = 0;
  #stopped = false;

  constructor(p: EventWriterParams) {
    this.#store = p.store;
    this.#log = p.log;
    this.#now = p.now;
    this.#onStored = p.onStored;
  }

  append(batch: EventBatch, window: EventWindow, dropped = 0): void {
    if (this.#stopped || batch.events.length === 0) return;
    const buffer = this.#bufferOf(batch, window);
    if (buffer === null) return;
    buffer.add(batch.events, this.#now(), dropped);
    this.#dirty.add(buffer);
    this.#schedule();
  }

  /** Rejects where the store cannot take them; they wait for the next try. */
  async flush(job: number, over: Over = null): Promise<void> {
    const buffer = this.#buffers.get(job);
    let refusal = await this.#flushNow(buffer, over);
    if (refusal === null) {
      // A write that was under way may have been refused since, and what it was to bring waits again.
      await this.#writing;
      refusal = await this.#flushNow(buffer, over);
    }
    if (refusal !== null) throw refusal;
    if (buffer?.isEmpty && !buffer.hasDropped) this.#drop(buffer);
  }

  /** The attempt, or the job, is over: what it still wants logged has no place any more. */
  forget(job: number, over: "attempt" | "job"): void {
    const buffer = this.#buffers.get(job);
    if (buffer !== undefined) this.#drop(buffer);
    if (over === "job") this.#limits.delete(job);
  }

  async stop(): Promise<void> {
    if (this.#stopped) return this.#writing;
    this.#cancelTimer();
    await this.#writing;
    await this.#write(this.#take([...this.#dirty], true, "job"));
    this.#stopped = true;
    this.#cancelTimer();
    await this.#writing;
  }

  /** Null for a batch of an attempt that a later one has followed. */
  #bufferOf({ job, fence }: EventBatch, window: EventWindow): EventBuffer | null {
    const present = this.#buffers.get(job);
    if (present !== undefined && present.fence === fence) return present;
    if (present !== undefined && present.fence > fence) return null;
    if (present !== undefined) this.#dirty.delete(present);
    const buffer = new EventBuffer(job, fence, window, this.#limitOf(job));
    this.#buffers.set(job, buffer);
    return buffer;
  }

  /** Issues the write before it returns; but for chunks, whose order counts: they wait for those before them. */
  async #flushNow(buffer: EventBuffer | undefined, over: Over): Promise<unknown> {
    if (buffer === undefined) return null;
    if (buffer.hasChunks && this.#underWay.has(buffer)) await this.#underWay.get(buffer);
    if (this.#buffers.get(buffer.job) !== buffer) return null;
    return await this.#write(this.#take([buffer], true, over));
  }

  /** One for all attempts of the job. */
  #limitOf(job: number): ProgressLimit {
    const limit = this.#limits.get(job) ?? new ProgressLimit();
    // Those of jobs that were lost to another server, or went with their app, are never told of.
    if (this.#limits.size > 2 * this.#buffers.size + MIN_LIMITS) {
      const now = this.#now();
      for (const [other, old] of this.#limits) if (old.isIdle(now)) this.#limits.delete(other);
    }
    this.#limits.set(job, limit);
    return limit;
  }

  #schedule(): void {
    if (this.#timer !== null || this.#isWriting || this.#dirty.size === 0 || this.#stopped) return;
    const waitMs = this.#nextWriteAt - performance.now();
    const run = () => {
      this.#timer = null;
      this.#writing = this.#writeDue();
    };
    this.#timer = waitMs > 0 ? setTimeout(run, waitMs) : setImmediate(run);
  }

  #cancelTimer(): void {
    if (this.#timer === null) return;
    clearTimeout(this.#timer as NodeJS.Timeout);
    clearImmediate(this.#timer as NodeJS.Immediate);
    this.#timer = null;
  }

  async #writeDue(): Promise<void> {
    this.#isWriting = true;
    const started = performance.now();
    await this.#write(this.#take(this.#dirty, false, null));
    const ended = performance.now();
    const gapMs = Math.max(this.#isBehind ? 0 : WRITE_GAP_MS, ended - started);
    this.#nextWriteAt = Math.max(this.#nextWriteAt, ended + gapMs);
    this.#isWriting = false;
    this.#schedule();
  }

  #take(buffers: Iterable<EventBuffer>, all: boolean, over: Over): Taken[] {
    const taken: Taken[] = [];
    let count = 0;
    if (!all) this.#isBehind = false;
    for (const buffer of [...buffers]) {
      if (!all && (count >= MAX_EVENTS_A_WRITE || taken.length >= MAX_JOBS_A_WRITE)) {
        this.#isBehind = true;
        break;
      }
      if (buffer.hasChunks && this.#underWay.has(buffer)) continue;
      const events = buffer.take(this.#now(), over);
      if (events.length > 0) taken.push({ buffer, events });
      count += events.length;
      this.#dirty.delete(buffer);
      // To the end of the line, where a progress waits for its turn.
      if (!buffer.isEmpty) this.#dirty.add(buffer);
    }
    return taken;
  }

  /** Returns why nothing was stored, where nothing was. */
  async #write(taken: Taken[]): Promise<unknown> {
    if (taken.length === 0) return null;
    const written = this.#writeNow(taken);
    for (const { buffer } of taken) this.#underWay.set(buffer, written);
    const refusal = await written;
    for (const { buffer } of taken) if (this.#underWay.get(buffer) === written) this.#underWay.delete(buffer);
    return refusal;
  }

  async #writeNow(taken: Taken[]): Promise<unknown> {
    const batches = taken.map(({ buffer, events }) => ({ job: buffer.job, fence: buffer.fence, events }));
    try {
      const stored = await this.#store.eventAppend({ batches, now: this.#now() });
      for (const [index, { buffer }] of taken.entries()) this.#written(buffer, stored[index] ?? []);
      return null;
    } catch (error) {
      this.#refused(taken, error);
      return error;
    }
  }

  #written(buffer: EventBuffer, events: JobEvent[]): void {
    if (events.length > 0) this.#onStored(buffer.job, events);
    // The store takes nothing of an attempt that is over.
    else this.#drop(buffer);
  }

  #refused(taken: Taken[], error: unknown): void {
    const count = taken.reduce((sum, { events }) => sum + events.length, 0);
    const reason = error instanceof AthanorError && error.code === "storage_full" ? "storage_full" : "failed";
    this.#log.warn(
      { err: error, events: count, jobs: taken.length },
      "events of jobs could not be stored; they are kept as far as their windows reach, and tried again",
    );
    for (const { buffer, events } of taken) {
      buffer.refuse(events, reason, this.#now());
      if (!buffer.isEmpty && this.#buffers.get(buffer.job) === buffer) this.#dirty.add(buffer);
    }
    this.#nextWriteAt = performance.now() + RETRY_GAP_MS;
    this.#schedule();
  }

  #drop(buffer: EventBuffer): void {
    this.#dirty.delete(buffer);
    if (this.#buffers.get(buffer.job) === buffer) this.#buffers.delete(buffer.job);
  }
}
