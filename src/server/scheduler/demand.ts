/**
 * How many calls a group has had at a time, running and waiting, over the last minute: averages and peak of any window of it. Time is in buckets,
 * and the average is an integral, calls times milliseconds: so it is right however seldom it is told, and telling it allocates nothing. Data only.
 */

const BUCKET_MS = 1000;

/** The demand as the planner is given it. */
export interface Demand {
  /** Calls at a time, on average over the stable window. */
  stable: number;
  /** The same over the panic window. */
  panic: number;
  /** The most calls at a time in the stable window. */
  peak: number;
}

export interface DemandWindows {
  stableWindowMs: number;
  panicWindowMs: number;
}

export class DemandHistory {
  readonly #windows: DemandWindows;
  /** Of each bucket, by its number modulo their count: calls times milliseconds. */
  readonly #areas: Float64Array;
  readonly #peaks: Float64Array;
  #level = 0;
  /** Up to here it is told. */
  #at: number;
  /** What was before is not known: a window reaches back to here at most. */
  #begun: number;

  constructor(windows: DemandWindows, now: number) {
    this.#windows = windows;
    // One more than the window has: the oldest of them counts in part.
    const buckets = Math.ceil(windows.stableWindowMs / BUCKET_MS) + 1;
    this.#areas = new Float64Array(buckets);
    this.#peaks = new Float64Array(buckets);
    this.#at = now;
    this.#begun = now;
  }

  /** From now on so many calls run and wait. */
  set(level: number, now: number): void {
    this.#advance(now);
    this.#level = level;
    const slot = this.#slot(Math.floor(now / BUCKET_MS));
    if (level > Number(this.#peaks[slot])) this.#peaks[slot] = level;
  }

  read(now: number): Demand {
    this.#advance(now);
    const { stableWindowMs, panicWindowMs } = this.#windows;
    return {
      stable: this.#average(now, stableWindowMs),
      panic: this.#average(now, panicWindowMs),
      peak: Math.max(this.#level, ...this.#peaks),
    };
  }

  /** Before anything is known the average is what is there now. */
  #average(now: number, windowMs: number): number {
    const from = Math.max(this.#begun, now - windowMs);
    if (from >= now) return this.#level;
    const first = Math.floor(from / BUCKET_MS);
    let area = 0;
    for (let bucket = Math.floor(now / BUCKET_MS); bucket > first; bucket--) area += this.#area(bucket);
    // The oldest bucket is taken to have been even, from its beginning or its first call.
    const begins = Math.max(this.#begun, first * BUCKET_MS);
    const ends = Math.min(now, (first + 1) * BUCKET_MS);
    if (ends > begins) area += (this.#area(first) * (ends - from)) / (ends - begins);
    return area / (now - from);
  }

  /** Brings the level that was up to now into the buckets; those that time has passed over begin anew. */
  #advance(now: number): void {
    if (now < this.#at) this.#restart(now);
    let bucket = Math.floor(this.#at / BUCKET_MS);
    const last = Math.floor(now / BUCKET_MS);
    // After a silence longer than all buckets each is passed over once.
    if (last - bucket > this.#areas.length) {
      bucket = last - this.#areas.length;
      this.#at = bucket * BUCKET_MS;
    }
    for (; bucket < last; bucket++) {
      this.#areas[this.#slot(bucket)] = this.#area(bucket) + this.#level * ((bucket + 1) * BUCKET_MS - this.#at);
      this.#at = (bucket + 1) * BUCKET_MS;
      this.#areas[this.#slot(bucket + 1)] = 0;
      this.#peaks[this.#slot(bucket + 1)] = this.#level;
    }
    this.#areas[this.#slot(last)] = this.#area(last) + this.#level * (now - this.#at);
    this.#at = now;
  }

  /** Somebody has set the clock back: what is known is of times that are to come. */
  #restart(now: number): void {
    this.#areas.fill(0);
    this.#peaks.fill(0);
    this.#at = now;
    this.#begun = now;
  }

  #area(bucket: number): number {
    return this.#areas[this.#slot(bucket)] ?? 0;
  }

  #slot(bucket: number): number {
    return bucket % this.#areas.length;
  }
}
