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
  #at = 0;
  /** The bucket that time is in, and where it ends: while it lasts, a change of the level costs little more than the clock. */
  #bucket = 0;
  #ends = 0;
  #area = 0;
  #peak = 0;
  /** What was before is not known: a window reaches back to here at most. */
  #begun = 0;

  constructor(windows: DemandWindows, now: number) {
    this.#windows = windows;
    // One more than the window has: the oldest of them counts in part.
    const buckets = Math.ceil(windows.stableWindowMs / BUCKET_MS) + 1;
    this.#areas = new Float64Array(buckets);
    this.#peaks = new Float64Array(buckets);
    this.#begin(now);
  }

  /** From now on so many calls run and wait. */
  set(level: number, now: number): void {
    if (now >= this.#ends || now < this.#at) this.#turn(now);
    this.#area += this.#level * (now - this.#at);
    this.#at = now;
    this.#level = level;
    if (level > this.#peak) this.#peak = level;
  }

  read(now: number): Demand {
    this.set(this.#level, now);
    const { stableWindowMs, panicWindowMs } = this.#windows;
    return {
      stable: this.#average(now, stableWindowMs),
      panic: this.#average(now, panicWindowMs),
      peak: Math.max(this.#peak, ...this.#peaks),
    };
  }

  /** Before anything is known the average is what is there now. */
  #average(now: number, windowMs: number): number {
    const from = Math.max(this.#begun, now - windowMs);
    if (from >= now) return this.#level;
    const first = Math.floor(from / BUCKET_MS);
    let area = 0;
    for (let bucket = Math.floor(now / BUCKET_MS); bucket > first; bucket--) area += this.#areaOf(bucket);
    // The oldest bucket is taken to have been even, from its beginning or its first call.
    const begins = Math.max(this.#begun, first * BUCKET_MS);
    const ends = Math.min(now, (first + 1) * BUCKET_MS);
    if (ends > begins) area += (this.#areaOf(first) * (ends - from)) / (ends - begins);
    return area / (now - from);
  }

  /** Time has left the bucket: those that it has passed over are filled with the level that was. */
  #turn(now: number): void {
    // Somebody has set the clock back: what is known is of times that are to come.
    if (now < this.#at) {
      this.#begin(now);
      return;
    }
    const last = Math.floor(now / BUCKET_MS);
    // After a silence longer than all buckets each is passed over once.
    for (let bucket = Math.max(this.#bucket, last - this.#areas.length); bucket < last; bucket++) {
      const slot = this.#slot(bucket);
      const isCurrent = bucket === this.#bucket;
      this.#areas[slot] = isCurrent ? this.#area + this.#level * (this.#ends - this.#at) : this.#level * BUCKET_MS;
      this.#peaks[slot] = isCurrent ? this.#peak : this.#level;
    }
    this.#enter(last);
    this.#at = last * BUCKET_MS;
  }

  #begin(now: number): void {
    this.#peaks.fill(0);
    this.#at = now;
    this.#begun = now;
    this.#enter(Math.floor(now / BUCKET_MS));
  }

  #enter(bucket: number): void {
    this.#bucket = bucket;
    this.#ends = (bucket + 1) * BUCKET_MS;
    this.#area = 0;
    this.#peak = this.#level;
    // What the slot holds is older than the window.
    this.#peaks[this.#slot(bucket)] = 0;
  }

  #areaOf(bucket: number): number {
    return bucket === this.#bucket ? this.#area : (this.#areas[this.#slot(bucket)] ?? 0);
  }

  #slot(bucket: number): number {
    return bucket % this.#areas.length;
  }
}
