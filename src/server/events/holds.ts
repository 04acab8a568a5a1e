import { SERVER_DEFAULTS } from "../../protocol/defaults.ts";
import type { EventWindow } from "./buffer.ts";

/** One who reads all chunks of a job, and holds its function at its `yield` while too many are unread. */
export interface ChunkReader {
  /** It has taken the chunk of this index, and so those before it. */
  took(index: number): void;
  /** It has taken, or began after, all that is stored by now. */
  caughtUp(): void;
  /** Repeatable. */
  leave(): void;
}

interface Held {
  /** The index of the last chunk that each reader has taken. */
  readers: Map<ChunkReader, number>;
  /** A reader is on its way, and has taken none. */
  expected: NodeJS.Timeout | null;
  /** Chunks that the slowest reader has not taken. */
  unread: { index: number; bytes: number }[];
  wake: (() => void)[];
}

/**
 * Keeps the functions of jobs whose chunks are read as they come from running out of their readers' reach: a part of the job's window at most is
 * unread, so that none leaves it unread. Other watchers hold nothing.
 *
 *   free     --expect(), join()--> watched
 *   watched  --the reader falls behind--> held: room() waits       --it takes chunks--> watched
 *   watched, held --the last reader leaves--> expected, for a connection that breaks is made again --nobody comes--> free
 */
export class Holds {
  readonly #jobs = new Map<number, Held>();
  readonly #expectMs: number;

  constructor(expectMs: number = SERVER_DEFAULTS.expectReaderMs) {
    this.#expectMs = expectMs;
  }

  /** A reader of the job will come in a moment. */
  expect(job: number): void {
    const held = this.#of(job);
    clearTimeout(held.expected ?? undefined);
    held.expected = setTimeout(() => {
      held.expected = null;
      this.#changed(job, held);
    }, this.#expectMs).unref();
  }

  join(job: number): ChunkReader {
    const held = this.#of(job);
    clearTimeout(held.expected ?? undefined);
    held.expected = null;
    const took = (index: number): void => {
      if (!held.readers.has(reader)) return;
      held.readers.set(reader, index);
      this.#changed(job, held);
    };
    const reader: ChunkReader = {
      took,
      caughtUp: () => {
        const last = held.unread.at(-1);
        if (last !== undefined && last.index !== held.readers.get(reader)) took(last.index);
      },
      leave: () => {
        if (!held.readers.delete(reader)) return;
        if (held.readers.size === 0) this.expect(job);
        this.#changed(job, held);
      },
    };
    held.readers.set(reader, -1);
    return reader;
  }

  /** A chunk was stored. Resolves once the function may go on; null: it may at once. `over`: nobody waits for it any more. */
  room(
    job: number,
    chunk: { index: number; bytes: number },
    window: EventWindow,
    over: Promise<void>,
  ): Promise<void> | null {
    const held = this.#jobs.get(job);
    if (held === undefined) return null;
    // Another attempt begins again.
    held.unread = held.unread.filter(({ index }) => index < chunk.index);
    held.unread.push(chunk);
    return isBehind(held, window) ? this.#wait(held, window, over) : null;
  }

  /** The job is over: whoever still reads it holds nothing. */
  forget(job: number): void {
    const held = this.#jobs.get(job);
    if (held === undefined) return;
    this.#jobs.delete(job);
    clearTimeout(held.expected ?? undefined);
    held.readers.clear();
    for (const wake of held.wake.splice(0)) wake();
  }

  async #wait(held: Held, window: EventWindow, over: Promise<void>): Promise<void> {
    let isOver = false;
    void over.then(() => {
      isOver = true;
      for (const wake of held.wake.splice(0)) wake();
    });
    while (!isOver && isBehind(held, window)) await new Promise<void>((resolve) => held.wake.push(resolve));
  }

  #of(job: number): Held {
    const held = this.#jobs.get(job) ?? { readers: new Map(), expected: null, unread: [], wake: [] };
    this.#jobs.set(job, held);
    return held;
  }

  #changed(job: number, held: Held): void {
    if (held.readers.size === 0 && held.expected === null && this.#jobs.get(job) === held) this.#jobs.delete(job);
    for (const wake of held.wake.splice(0)) wake();
  }
}

/** What is under way to the store comes on top of a quarter of the window: half of it, see chunkCost. */
function isBehind(held: Held, window: EventWindow): boolean {
  if (held.readers.size === 0 && held.expected === null) return false;
  const taken = held.expected !== null ? -1 : Math.min(...held.readers.values());
  const firstUnread = held.unread.findIndex(({ index }) => index > taken);
  held.unread.splice(0, firstUnread === -1 ? held.unread.length : firstUnread);
  if (held.unread.length > Math.floor(window.events / 4)) return true;
  return held.unread.length > 1 && held.unread.reduce((sum, { bytes }) => sum + bytes, 0) > window.bytes / 4;
}
