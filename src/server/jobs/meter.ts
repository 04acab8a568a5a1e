import { SERVER_DEFAULTS } from "../../protocol/defaults.ts";

const BUCKETS = 30;
/** Functions that are remembered; beyond, those that have not run for longest are forgotten. */
const MAX_FUNCTIONS = 10_000;

interface Bucket {
  /** Which stretch of time it is of; older ones are overwritten. */
  slot: number;
  attempts: number;
  ranMs: number;
}

/** How long attempts of each function ran in the last minutes, as far as this server ran them. */
export class Meter {
  readonly #bucketMs: number;
  readonly #byFunction = new Map<string, Bucket[]>();

  constructor(windowMs: number = SERVER_DEFAULTS.rateWindowMs) {
    this.#bucketMs = windowMs / BUCKETS;
  }

  ran(app: string, name: string, ranMs: number, now: number): void {
    const key = `${app}/${name}`;
    const buckets = this.#byFunction.get(key) ?? [];
    const slot = Math.floor(now / this.#bucketMs);
    const index = slot % BUCKETS;
    const bucket = buckets[index];
    if (bucket?.slot === slot) {
      bucket.attempts++;
      bucket.ranMs += ranMs;
      return;
    }
    buckets[index] = { slot, attempts: 1, ranMs };
    // The order of the map is that of the last use.
    this.#byFunction.delete(key);
    this.#byFunction.set(key, buckets);
    if (this.#byFunction.size > MAX_FUNCTIONS) this.#byFunction.delete(this.#byFunction.keys().next().value as string);
  }

  /** Milliseconds that one attempt ran, on average; null: none ended in the last minutes. */
  meanMs(app: string, name: string, now: number): number | null {
    const oldest = Math.floor(now / this.#bucketMs) - BUCKETS;
    let attempts = 0;
    let ranMs = 0;
    for (const bucket of this.#byFunction.get(`${app}/${name}`) ?? []) {
      if (bucket === undefined || bucket.slot <= oldest) continue;
      attempts += bucket.attempts;
      ranMs += bucket.ranMs;
    }
    return attempts === 0 ? null : ranMs / attempts;
  }
}

/** What decides how fast the jobs of a function start. */
export interface Pace {
  /** See Meter.meanMs. */
  meanMs: number | null;
  /** Jobs that run at a time. */
  places: number;
  rate: { limit: number; perS: number } | null;
}

/** Seconds until so many jobs have started; null where nothing is known. */
export function secondsUntilStarted(jobs: number, { meanMs, places, rate }: Pace): number | null {
  const byRate = rate === null ? null : Math.floor((jobs - 1) / rate.limit) * rate.perS;
  if (meanMs === null) return byRate === 0 ? null : byRate;
  return Math.max(byRate ?? 0, (jobs * meanMs) / 1000 / Math.max(1, places));
}

/** Where nothing is known of how fast the queue empties. */
const UNKNOWN_RETRY_S = 5;

/** For the Retry-After of a full queue: seconds until one job more will have started. */
export function retryAfterS(pace: Pace): number {
  const seconds = secondsUntilStarted(1, pace) ?? UNKNOWN_RETRY_S;
  const spacing = pace.rate === null ? 0 : pace.rate.perS / pace.rate.limit;
  return Math.min(SERVER_DEFAULTS.maxRetryAfterS, Math.max(1, Math.ceil(Math.max(seconds, spacing))));
}
